"""What is no whole picture is refused in one line before it does harm; nothing else ever happens."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from facestream.errors import ImageError, SourceMissing
from facestream_models.images import MAX_FILE_BYTES, decode_image, read_image
from facestream_models.images import Image as Picture
from support import pictures
from support.pictures import (
    HEIGHT,
    KINDS,
    WIDTH,
    as_pillow,
    claiming_to_be_huge,
    encoded,
    four_corners,
    library_output,
    picture_bytes,
    png_of,
    turned_bytes,
)


def refusal(data: bytes) -> str:
    """The one line a file of these bytes is refused with; libraries stay silent meanwhile."""
    with library_output() as said, pytest.raises(ImageError) as caught:
        decode_image(data, "photo")
    assert said == [b""]
    message = str(caught.value)
    assert message.startswith("photo ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.9, 0.99])
def test_a_picture_that_breaks_off_is_refused(kind: str, share: float) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    data = picture_bytes(kind, noise)
    assert "download it again" in refusal(data[: int(len(data) * share)])


def test_a_jpeg_or_png_without_its_end_is_refused() -> None:
    assert "download it again" in refusal(picture_bytes("jpg")[:-2])
    assert "download it again" in refusal(picture_bytes("png")[:-12])
    progressive = encoded(as_pillow(four_corners()), "jpg", progressive=True)
    last_scan = progressive.rindex(b"\xff\xda")
    assert "download it again" in refusal(progressive[:last_scan])


def test_a_png_with_less_in_it_than_it_promises_is_refused() -> None:
    rows = b"".join(b"\0" + row.tobytes() for row in four_corners())
    assert decode_image(png_of(WIDTH, HEIGHT, 8, 2, rows), "photo").shape == (HEIGHT, WIDTH, 3)
    assert "download it again" in refusal(png_of(WIDTH, HEIGHT, 8, 2, rows[:-500]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_header_that_claims_a_monster_is_refused_before_decoding(kind: str) -> None:
    bomb = claiming_to_be_huge(kind)
    assert "claims 60,000 x 60,000 pixels" in refusal(bomb)
    assert "claims 40,000 x 40,000 pixels" in refusal(claiming_to_be_huge(kind, 40_000))
    assert "claims 10,001 x 10,001 pixels" in refusal(claiming_to_be_huge(kind, 10_001))
    if kind != "webp":  # whose sizes begin at one
        assert "damaged" in refusal(claiming_to_be_huge(kind, 0))


def test_the_size_a_decoder_finds_must_be_the_one_checked() -> None:
    """An AVIF may claim 96 x 64 in its boxes and hold anything."""
    small, large = picture_bytes("avif"), picture_bytes("avif", four_corners(128, 128))
    at, there = large.index(b"ispe") + 8, small.index(b"ispe") + 8
    assert "damaged" in refusal(large[:at] + small[there : there + 8] + large[at + 8 :])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"Dear Sir or Madam,\n", "holds text, not a picture"),
        (b"<!doctype html><title>404</title>", "holds text"),
        ("Grüße".encode(), "holds text"),
        (b"BMW is a car maker", "holds text"),
        (b'<?xml version="1.0"?><svg xmlns="x">', "SVG"),
        (b"%PDF-1.7\n\x80", "PDF"),
        (bytes(range(256)), "not a picture of a known kind"),
        (b"\xff\x0a\xfa\x1f\0\0", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\x1aE\xdf\xa3\0\0\0", "facestream run"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "heif-convert"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heix", "heif-convert"),
        (b"\0\0\0\x10ftypmsf1\0\0\0\0", "heif-convert"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, words: str) -> None:
    assert words in refusal(data)


def test_a_video_is_told_from_a_picture() -> None:
    assert "facestream run" in refusal(pictures.video_bytes())


def test_tiff_of_numbers_that_are_no_colours_is_refused() -> None:
    ramp = Image.fromarray(np.linspace(0, 1, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.float32))
    assert "floating-point" in refusal(encoded(ramp, "tif"))
    assert "32-bit" in refusal(encoded(ramp.convert("I"), "tif"))


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    data = encoded(as_pillow(four_corners()), "jpg", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert "scans" in refusal(data[:-2] + scan * 600 + data[-2:])


def test_no_file_a_folder_a_pipe_a_huge_file(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match=r"nothing-here\.jpg does not exist"):
        read_image(tmp_path / "nothing-here.jpg")
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(SourceMissing, match="does not exist"):
        read_image(tmp_path / "file" / "photo.jpg")
    with pytest.raises(ImageError, match="is a folder"):
        read_image(tmp_path)
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ImageError, match="a pipe"):
        read_image(tmp_path / "pipe.jpg")
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + (1 << 20))
    with pytest.raises(ImageError, match="257 MiB"):
        read_image(tmp_path / "huge.jpg")
    (tmp_path / "round.jpg").symlink_to(tmp_path / "round.jpg")
    with pytest.raises(ImageError, match="cannot be read"):
        read_image(tmp_path / "round.jpg")


def test_a_file_one_may_not_read_is_said_to_be_so() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "photo.jpg")
        path.write_bytes(picture_bytes("jpg"))
        Path(folder).chmod(0o755)
        path.chmod(0)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            with pytest.raises(ImageError, match="may not be read"):
                read_image(path)
        finally:
            if root:
                os.seteuid(0)


def _alive(data: bytes) -> None:
    """A picture or one line: no other exception, and no library speaks."""
    with library_output() as said:
        outcome = _outcome(data)
    assert said == [b""]
    if isinstance(outcome, ImageError):
        assert "\n" not in str(outcome)
    else:
        assert outcome.ndim == 3
        assert outcome.shape[2] == 3
        assert outcome.dtype == np.uint8


def _outcome(data: bytes) -> Picture | ImageError:
    try:
        return decode_image(data, "photo")
    except ImageError as error:
        return error


@pytest.mark.parametrize(
    "kind", [*KINDS, "turned.jpg", "turned.avif", "turned.webp", "alpha.png", "alpha.avif"]
)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8),
    near_the_start=st.booleans(),
    keep=st.one_of(st.just(1.0), st.floats(0, 1)),
    tail=st.binary(max_size=16),
)
@example(changes=[], near_the_start=False, keep=0.5, tail=b"")
def test_broken_files_end_as_a_picture_or_as_one_line(
    kind: str, changes: list[tuple[float, int]], near_the_start: bool, keep: float, tail: bytes
) -> None:
    data = bytearray(_sound(kind))
    reach = min(len(data), 400) if near_the_start else len(data)
    for place, byte in changes:
        data[min(int(place * reach), len(data) - 1)] = byte
    _alive(bytes(data[: int(len(data) * keep)]) + tail)


def _sound(kind: str) -> bytes:
    form, _, suffix = kind.rpartition(".")
    if form == "turned":
        return turned_bytes(suffix, 6)
    if form == "alpha":
        picture = as_pillow(four_corners()).convert("RGBA")
        picture.putalpha(128)
        return encoded(picture, suffix)
    return picture_bytes(suffix)


@settings(max_examples=100, deadline=None)
@given(
    start=st.sampled_from(
        [
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n",
            b"RIFF\xff\xff\0\0WEBP",
            b"BM",
            b"II*\0",
            b"MM\0+",
            b"GIF89a",
            b"\0\0\0\x14ftypavif\0\0\0\0",
            b"",
        ]
    ),
    rest=st.binary(max_size=300),
)
def test_anything_that_begins_like_a_picture_ends_as_one_or_as_one_line(start: bytes, rest: bytes) -> None:
    _alive(start + rest)
