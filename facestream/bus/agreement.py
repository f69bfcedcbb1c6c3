"""What a deployment agreed on when it was founded, as whoever only reads finds it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from facestream.bus.connection import CLUSTER_PARTITIONS
from facestream.bus.keys import SLOTS
from facestream.contract import VERSION
from facestream.errors import BusRefused


def agreement(
    raw: Mapping[bytes, bytes], address: str, partitions: int | None, *, is_cluster: bool
) -> tuple[str, int]:
    """(incarnation, partitions) of `fs:meta`; the incarnation is empty where nobody has begun.

    partitions: how many the caller believes there are, None for no opinion.
    Raises BusRefused when contract or partitions are not ours.
    """
    if not raw:
        return "", partitions or (CLUSTER_PARTITIONS if is_cluster else 1)
    known = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in raw.items()}
    contract, agreed = known.get("contract", "?"), known.get("partitions", "?")
    if contract != str(VERSION):
        raise BusRefused(
            f"the broker at {address} carries contract version {contract}, "
            f"this is version {VERSION}: run the same release everywhere"
        )
    is_number = re.fullmatch("[0-9]{1,5}", agreed) is not None
    if not is_number or not 1 <= int(agreed) <= SLOTS or partitions not in (None, int(agreed)):
        raise BusRefused(
            f"the broker at {address} has {agreed[:16]} partitions, not {partitions or 1}: "
            "leave the number out, or use an empty broker"
        )
    return known.get("incarnation", "?"), int(agreed)
