"""Deciding about a delivery: a frame worth analysing, or a refusal with its reason."""

from __future__ import annotations

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from facestream.bus.taker import Delivery
from facestream.contract import MAX_IMAGE_BYTES, DropReason, FrameHeader
from facestream.errors import FrameRefused

Pixels = NDArray[np.uint8]

# A progressive JPEG has about ten scans; each costs time for the whole picture, however few its bytes.
MAX_SCANS = 64
_SCAN = b"\xff\xda"


def accept_header(delivery: Delivery, max_attempts: int) -> FrameHeader:
    """The frame's header; raises FrameRefused (poison, contract_error)."""
    if delivery.attempts > max_attempts:
        raise FrameRefused(
            DropReason.POISON, f"given up after {max_attempts} attempts: workers died or failed with it"
        )
    header = FrameHeader.unpack(delivery.header)
    if header.camera.encode() != delivery.camera:
        raise FrameRefused(DropReason.CONTRACT_ERROR, "the header names another camera than its stream")
    if header.codec != "jpeg":
        raise FrameRefused(DropReason.CONTRACT_ERROR, f"codec {header.codec[:16]!r} is not one of: jpeg")
    return header


def decode_pixels(header: FrameHeader, delivery: Delivery) -> Pixels:
    """The picture, BGR uint8 (height, width, 3); raises FrameRefused (decode_error, contract_error).

    Its size is read from the JPEG's own header and must be what the frame's header says before anything
    is decoded, so a picture that claims to be enormous costs nothing.
    """
    if not 0 < delivery.image_bytes <= MAX_IMAGE_BYTES:
        raise FrameRefused(DropReason.DECODE_ERROR, f"a picture of {delivery.image_bytes} bytes")
    image = delivery.image
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(image)
    except ValueError as error:
        raise FrameRefused(DropReason.DECODE_ERROR, f"not a JPEG ({error})") from None
    if (width, height) != (header.width, header.height):
        raise FrameRefused(
            DropReason.CONTRACT_ERROR,
            f"the JPEG is {width} x {height} where the header says {header.width} x {header.height}",
        )
    if image.count(_SCAN) > MAX_SCANS:
        raise FrameRefused(DropReason.DECODE_ERROR, f"a JPEG of more than {MAX_SCANS} scans")
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(image, colorspace="BGR")
    except ValueError as error:
        raise FrameRefused(DropReason.DECODE_ERROR, f"a broken JPEG ({error})") from None
    return pixels
