"""What a deployment agreed on is believed only within bounds."""

from __future__ import annotations

import pytest

from facestream.bus.agreement import agreement
from facestream.contract import VERSION
from facestream.errors import BusRefused


def meta(partitions: bytes) -> dict[bytes, bytes]:
    return {b"contract": b"%d" % VERSION, b"partitions": partitions, b"incarnation": b"x"}


def test_what_was_agreed_is_told() -> None:
    assert agreement(meta(b"48"), "here", None, is_cluster=False) == ("x", 48)


@pytest.mark.parametrize("partitions", [b"001600000", b"0", b"99999", b"1" * 5000, "٤".encode(), b"4\n"])
def test_no_number_of_partitions_makes_a_reader_ask_for_millions(partitions: bytes) -> None:
    with pytest.raises(BusRefused, match="leave the number out"):
        agreement(meta(partitions), "here", None, is_cluster=False)
