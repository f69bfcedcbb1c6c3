"""Every kind of picture is read with its own colours, the right way up; a folder in natural order."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from facestream.errors import SourceMissing
from facestream_models.images import decode_image, list_images, read_image, shown
from support import pictures
from support.pictures import (
    CORNERS,
    HEIGHT,
    KINDS,
    WIDTH,
    as_pillow,
    corners_of,
    encoded,
    four_corners,
    laced_png,
    library_output,
    picture_bytes,
    png_chunk,
    seen_by_pillow,
    turned_bytes,
)

UPRIGHT = tuple(CORNERS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_has_its_colours_and_its_shape(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"photo.{kind}"
    path.write_bytes(picture_bytes(kind))
    image = read_image(path)
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert corners_of(image) == UPRIGHT
    assert np.abs(image.astype(int) - seen_by_pillow(path.read_bytes())).mean() < 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif", "avif"])
def test_a_picture_stored_turned_comes_upright(kind: str, orientation: int) -> None:
    image = decode_image(turned_bytes(kind, orientation), "photo")
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert corners_of(image) == UPRIGHT


@pytest.mark.parametrize("options", [{"tiffinfo": {274: 6}}, {"tiffinfo": {274: 6}, "big_tiff": True}])
def test_tiff_keeps_its_turn_in_its_own_tag(options: dict[str, object]) -> None:
    stored = np.rot90(four_corners(), 1)
    assert corners_of(decode_image(encoded(as_pillow(stored), "tif", **options), "photo")) == UPRIGHT


def test_exif_that_makes_no_sense_turns_nothing() -> None:
    data = picture_bytes("jpg")
    for exif in (b"", b"II", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 40):
        block = b"Exif\0\0" + exif
        marked = data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]
        assert corners_of(decode_image(marked, "photo")) == UPRIGHT


@pytest.mark.parametrize("kind", KINDS)
def test_one_pixel_is_a_picture(kind: str) -> None:
    image = decode_image(encoded(Image.new("RGB", (1, 1), (10, 200, 30)), kind), "photo")
    assert image.shape == (1, 1, 3)
    assert np.abs(image[0, 0].astype(int) - (30, 200, 10)).max() <= 6


@pytest.mark.parametrize("kind", KINDS)
def test_grey_has_three_equal_channels(kind: str) -> None:
    data = encoded(as_pillow(four_corners()).convert("L"), kind)
    image = decode_image(data, "photo")
    assert np.abs(np.ptp(image.astype(int), axis=2)).max() <= 1
    assert np.abs(image.astype(int) - seen_by_pillow(data)).max() <= 3


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("png", "P", {}),
        ("png", "1", {}),
        ("png", "LA", {}),
        ("bmp", "P", {}),
        ("bmp", "1", {}),
        ("tif", "P", {}),
        ("tif", "1", {"compression": "group4"}),
        ("tif", "RGB", {"compression": "jpeg"}),
        ("tif", "RGB", {"compression": "tiff_deflate"}),
        ("tif", "RGB", {"compression": "packbits"}),
        ("tif", "RGB", {"compression": "raw", "big_tiff": True}),
        ("tif", "CMYK", {}),
        ("jpg", "RGB", {"progressive": True}),
        ("jpg", "RGB", {"subsampling": 2}),
        ("webp", "RGB", {"lossless": False, "quality": 95}),
    ],
)
def test_rarer_forms_look_as_another_reader_sees_them(
    kind: str, mode: str, options: dict[str, object]
) -> None:
    data = encoded(as_pillow(four_corners()).convert(mode), kind, **options)
    image = decode_image(data, "photo")
    inner = np.s_[2 : HEIGHT // 2 - 8, 2 : WIDTH // 2 - 8]  # off the edges, where chroma is a matter of taste
    assert np.abs(image[inner].astype(int) - seen_by_pillow(data)[inner]).max() <= 4
    assert np.abs(image.astype(int) - seen_by_pillow(data)).mean() < 4


@pytest.mark.parametrize("kind", ["png", "webp", "tif", "avif"])
@pytest.mark.parametrize("alpha", [0, 77, 128, 254])
def test_what_is_transparent_lies_on_white(kind: str, alpha: int) -> None:
    picture = as_pillow(four_corners()).convert("RGBA")
    picture.putalpha(alpha)
    data = encoded(picture, kind)
    image = decode_image(data, "photo")
    expected = four_corners() * (alpha / 255) + 255 * (1 - alpha / 255)
    assert np.abs(image[4:24, 4:40] - expected[4:24, 4:40]).max() <= 4


def test_a_transparent_palette_colour_lies_on_white() -> None:
    picture = as_pillow(four_corners()).quantize(4)
    for kind in ("png", "gif"):
        image = decode_image(encoded(picture, kind, transparency=picture.getpixel((0, 0))), "photo")
        assert image[5, 5].tolist() == [255, 255, 255]
        assert corners_of(image)[1:] == UPRIGHT[1:]


def test_the_fourth_byte_of_a_bmp_is_no_alpha() -> None:
    bgra = np.dstack([four_corners(), np.zeros((HEIGHT, WIDTH), np.uint8)])
    _, data = cv2.imencode(".bmp", bgra)
    assert corners_of(decode_image(data.tobytes(), "photo")) == UPRIGHT


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_become_eight(suffix: str, channels: int) -> None:
    ramp = np.linspace(0, 65535, HEIGHT * WIDTH).astype(np.uint16).reshape(HEIGHT, WIDTH)
    stored = ramp if channels == 1 else np.dstack([ramp] * 3 + [np.full_like(ramp, 65535)] * (channels - 3))
    _, data = cv2.imencode(suffix, stored)
    image = decode_image(data.tobytes(), "photo")
    assert np.abs(image.astype(float) - (ramp / 257)[..., None]).max() <= 1


@pytest.mark.parametrize("transform", [0, 2])
def test_cmyk_jpeg_as_adobe_writes_it(transform: int) -> None:
    """Inks are stored inverted; a second transform, YCCK, is told by one byte of the Adobe marker."""
    data = bytearray(encoded(as_pillow(four_corners()).convert("CMYK"), "jpg"))
    data[data.index(b"Adobe") + 11] = transform
    image = decode_image(bytes(data), "photo")
    assert np.abs(image.astype(int) - seen_by_pillow(bytes(data))).max() <= 3
    assert (corners_of(image) == UPRIGHT) == (transform == 0)


def test_an_interlaced_png_and_one_with_a_wrong_colour_profile() -> None:
    assert np.array_equal(decode_image(laced_png(four_corners()), "photo"), four_corners())
    plain = picture_bytes("png")
    profile = png_chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(b"no profile at all"))
    with library_output() as said:
        assert corners_of(decode_image(plain[:33] + profile + plain[33:], "photo")) == UPRIGHT
    assert said == [b""]


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "avif", "tif"])
def test_of_several_frames_the_first_is_read(kind: str) -> None:
    first, second = as_pillow(four_corners()), as_pillow(np.rot90(four_corners(), 2))
    data = encoded(first, kind, save_all=True, append_images=[second])
    assert Image.open(pictures.io.BytesIO(data)).n_frames == 2
    assert corners_of(decode_image(data, "photo")) == UPRIGHT


def test_a_webp_frame_smaller_than_its_canvas_lies_on_white() -> None:
    still = encoded(as_pillow(four_corners()), "webp")
    u24 = [number.to_bytes(3, "little") for number in (10, 4, WIDTH - 1, HEIGHT - 1, 100)]
    frame = b"".join(u24) + b"\0" + still[12:]
    canvas = (159).to_bytes(3, "little") + (119).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + canvas
    body += b"ANIM" + struct.pack("<I", 6) + b"\0" * 6 + b"ANMF" + struct.pack("<I", len(frame)) + frame
    image = decode_image(b"RIFF" + struct.pack("<I", len(body)) + body, "photo")
    assert image.shape == (120, 160, 3)
    assert np.array_equal(image[8 : 8 + HEIGHT, 20 : 20 + WIDTH], four_corners())
    image[8 : 8 + HEIGHT, 20 : 20 + WIDTH] = 255
    assert image.min() == 255


def test_bytes_after_a_jpeg_or_before_its_end_are_no_harm() -> None:
    data = picture_bytes("jpg")
    for changed in (data + b"\0" * 500, data + picture_bytes("jpg"), data[:-2] + b"\x12\x34" + data[-2:]):
        with library_output() as said:
            assert corners_of(decode_image(changed, "photo")) == UPRIGHT
        assert said == [b""]


def test_names_are_printed_on_one_line_in_any_terminal(tmp_path: Path) -> None:
    name = os.fsdecode(b"new\nline\x1b[31m\xff.jpg")
    assert shown(Path(name)) == "new?line?[31m?.jpg"
    with pytest.raises(SourceMissing) as caught:
        read_image(tmp_path / name)
    str(caught.value).encode()
    assert "\n" not in str(caught.value)


def test_a_folder_lists_its_pictures_in_natural_order(tmp_path: Path) -> None:
    names = ["10.jpg", "2.JPG", "a1.png", "notes.txt", ".hidden.png", "1.heic", "b.gif"]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "sub.jpg").mkdir()
    (tmp_path / "sub.jpg" / "3.webp").write_bytes(b"x")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "4.webp").write_bytes(b"x")
    listed = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert listed == ["1.heic", "2.JPG", "10.jpg", "a1.png", "b.gif"]
    deep = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path, recursive=True)]
    assert deep == [*listed, "sub.jpg/3.webp"]
    for recursive in (False, True):
        with pytest.raises(SourceMissing, match="does not exist"):
            list_images(tmp_path / "nowhere", recursive=recursive)
