"""JPEG from any pixel format has the colours and the size a plain conversion would give."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pytest
import simplejpeg
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from facestream.errors import SourceUnreadable
from facestream_producer.colours import Colours, planes_of
from facestream_producer.encoder import Encoder, encode, fit

# Pixel format, colour space and range of a decoded frame.
FORMATS = [
    ("yuv420p", Colorspace.ITU709, ColorRange.MPEG),
    ("yuv420p", Colorspace.ITU601, ColorRange.MPEG),
    ("yuv420p", Colorspace.ITU709, ColorRange.JPEG),
    ("yuvj420p", Colorspace.ITU601, ColorRange.JPEG),
    ("yuv444p", Colorspace.ITU709, ColorRange.MPEG),
    ("yuv420p10le", Colorspace.ITU709, ColorRange.MPEG),
    ("nv12", Colorspace.ITU709, ColorRange.MPEG),
    ("yuyv422", Colorspace.ITU601, ColorRange.MPEG),
    ("bgr24", None, None),
    ("bgra", None, None),
]


def name_of(how: tuple[str, Colorspace | None, ColorRange | None]) -> str:
    return "-".join(str(getattr(part, "name", part)) for part in how)


SIZES = [(160, 120), (161, 121), (163, 97), (1279, 719)]


def colourful(width: int, height: int) -> NDArray[np.uint8]:
    """Smooth enough that halving the colour resolution costs nothing, with every hue in it."""
    y, x = np.mgrid[0:height, 0:width]
    across, down = x / width, y / height
    blue = 127 + 120 * np.sin(5 * across + 3 * down)
    green = 127 + 120 * np.sin(4 * across - 6 * down + 1)
    red = 127 + 120 * np.cos(3 * across + 2 * down)
    return np.stack([blue, green, red], axis=-1).astype(np.uint8)


def as_frame(
    image: NDArray[np.uint8], pixel_format: str, space: Colorspace | None, span: ColorRange | None
) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(image, "bgr24")
    return frame.reformat(format=pixel_format, dst_colorspace=space, dst_color_range=span)


def decoded(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(simplejpeg.decode_jpeg(data, "BGR"))


def assert_alike(got: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> None:
    difference = np.abs(got.astype(int) - wanted.astype(int))
    # A wrong colour space is off by 6 on average here, a wrong range by 9, a shifted plane by 20.
    assert difference.mean() < 3.5
    assert np.percentile(difference, 99) < 16


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("how", FORMATS, ids=name_of)
def test_colours_of_every_pixel_format_survive(
    how: tuple[str, Colorspace | None, ColorRange | None], size: tuple[int, int]
) -> None:
    image = colourful(*size)
    done = encode(as_frame(image, *how), max_side=None, quality=95)

    assert (done.width, done.height) == (done.source_width, done.source_height) == size
    assert_alike(decoded(done.data), image)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("how", FORMATS[:4], ids=name_of)
def test_the_short_way_to_the_colours_of_a_jpeg_is_swscales(
    how: tuple[str, Colorspace | None, ColorRange | None], size: tuple[int, int]
) -> None:
    """Level by level; through one matrix also what is blacker and whiter than allowed."""
    is_bt709 = how[1] is Colorspace.ITU709
    frame = as_frame(colourful(*size), *how)
    if not is_bt709:
        for plane in frame.planes:
            np.frombuffer(memoryview(plane), np.uint8)[:256] = np.arange(256)
    colours = Colours.of(frame)
    assert colours == Colours(is_bt709, is_full=how[2] is ColorRange.JPEG)
    wanted = frame.reformat(
        format="yuvj420p", dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.JPEG
    )
    for got, exact in zip(colours.to_jpeg(planes_of(frame)), planes_of(wanted), strict=True):
        difference = np.abs(got.astype(int) - exact)
        assert difference.mean() < 1.5  # swscale itself is off by two in some sizes
        assert np.percentile(difference, 99.9) <= (3 if is_bt709 else 1)


@pytest.mark.parametrize("side", [640, 333, 64])
@pytest.mark.parametrize("how", FORMATS[:4], ids=name_of)
def test_shrinking_averages_areas(how: tuple[str, Colorspace | None, ColorRange | None], side: int) -> None:
    image = colourful(1279, 719)
    done = encode(as_frame(image, *how), max_side=side, quality=95)

    assert max(done.width, done.height) == side
    assert (done.source_width, done.source_height) == (1279, 719)
    wanted = cv2.resize(image, (done.width, done.height), interpolation=cv2.INTER_AREA)
    assert_alike(decoded(done.data), np.asarray(wanted, np.uint8))


def test_shrinking_does_not_alias() -> None:
    """Lines thinner than a pixel become their average; taking every n-th pixel would leave stripes."""
    stripes = np.zeros((720, 1280, 3), np.uint8)
    stripes[:, ::4] = 255
    for picture in (stripes, as_frame(stripes, "yuv420p", Colorspace.ITU709, ColorRange.MPEG)):
        grey = decoded(encode(picture, max_side=320, quality=95).data)[:, 8:-8]
        assert grey.std() < 8
        assert 50 < grey.mean() < 80


@pytest.mark.parametrize("max_side", [None, 64, 1280])
def test_a_small_picture_is_never_enlarged(max_side: int | None) -> None:
    image = colourful(48, 64)
    for picture in (image, as_frame(image, "yuv420p", Colorspace.ITU709, ColorRange.MPEG)):
        done = encode(picture, max_side=max_side)
        assert (done.width, done.height) == (48, 64)
        assert decoded(done.data).shape == (64, 48, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (33, 17)])
def test_tiny_pictures(size: tuple[int, int]) -> None:
    image = np.full((size[1], size[0], 3), (200, 90, 40), np.uint8)
    for picture in (image, as_frame(image, "yuv420p", Colorspace.ITU601, ColorRange.MPEG)):
        assert_alike(decoded(encode(picture, max_side=None, quality=95).data), image)


def test_pixels_as_an_array_are_bgr_however_they_lie_in_memory() -> None:
    image = colourful(320, 200)
    mirrored = image[:, ::-1]
    assert not mirrored.flags.c_contiguous
    done = Encoder(max_side=160).encode(mirrored)

    wanted = cv2.resize(np.ascontiguousarray(mirrored), (160, 100), interpolation=cv2.INTER_AREA)
    assert (done.width, done.height, done.source_width, done.source_height) == (160, 100, 320, 200)
    assert_alike(decoded(done.data), np.asarray(wanted, np.uint8))


def test_one_encoder_takes_changing_sizes_and_formats() -> None:
    encoder = Encoder(max_side=100)
    for size, how in [((160, 120), FORMATS[0]), ((90, 200), FORMATS[6]), ((161, 121), FORMATS[3])]:
        image = colourful(*size)
        done = encoder.encode(as_frame(image, *how))
        assert max(done.width, done.height) == 100
        wanted = cv2.resize(image, (done.width, done.height), interpolation=cv2.INTER_AREA)
        assert_alike(decoded(done.data), np.asarray(wanted, np.uint8))


def test_the_frame_given_is_left_as_it_was() -> None:
    frame = as_frame(colourful(160, 120), *FORMATS[0])
    before = frame.to_ndarray().copy()
    encode(frame, max_side=80)
    assert np.array_equal(frame.to_ndarray(), before)
    assert frame.colorspace == Colorspace.ITU709


def test_quality_is_what_it_costs() -> None:
    image = colourful(640, 480)
    sizes = [len(encode(image, max_side=None, quality=quality).data) for quality in (30, 85, 98)]
    assert sizes == sorted(sizes)
    assert sizes[2] > sizes[0] * 2


def test_what_is_no_picture_is_refused() -> None:
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 3), np.float32)):
        with pytest.raises(ValueError, match="a picture is"):
            encode(wrong, max_side=None)  # type: ignore[arg-type]
    with pytest.raises(SourceUnreadable, match="the limit is"):
        encode(np.zeros((1, 16_385, 3), np.uint8), max_side=640)


@pytest.mark.parametrize(
    ("size", "side", "fitted"),
    [
        ((1280, 720), 640, (640, 360)),
        ((720, 1280), 640, (360, 640)),
        ((1280, 720), None, (1280, 720)),
        ((100, 50), 640, (100, 50)),
        ((16_000, 2), 640, (640, 1)),
        ((1, 1), 1, (1, 1)),
    ],
)
def test_fit(size: tuple[int, int], side: int | None, fitted: tuple[int, int]) -> None:
    assert fit(*size, side) == fitted
