"""What can be wrong with a camera on the network, in words that keep its secrets."""

from __future__ import annotations

import errno
import ssl
from typing import Protocol

from av import error as ffmpeg

from facestream.errors import SourceBroken, SourceError, SourceMissing, SourceUnreadable


class Address(Protocol):
    """A camera's address: `str` may be shown to anybody, `reveal()` to nobody but the camera."""

    scheme: str
    host: str | None

    def reveal(self) -> str: ...


class CameraUnauthorized(SourceError):
    """It is there and does not let us in."""


class CameraNotFound(SourceMissing):
    """The machine is there, and has no such stream."""


class CameraUnreachable(SourceError):
    """Nobody answers, or not in time."""


class CameraStalled(SourceError):
    """Connected, and no picture comes."""


def explain(error: Exception, url: Address, timed_out: bool = False) -> SourceError:
    """FFmpeg's error in our words: what is wrong, what to do, and the address as it may be shown."""
    if isinstance(error, ffmpeg.HTTPUnauthorizedError | ffmpeg.HTTPForbiddenError):
        refused = "refused" if isinstance(error, ffmpeg.HTTPForbiddenError) else "asks for"
        return CameraUnauthorized(f"{url} {refused} user and password: check both in the camera's address")
    if isinstance(error, ffmpeg.HTTPNotFoundError):
        return CameraNotFound(f"{url}: the camera answers, but has no such stream: check the path")
    if timed_out or isinstance(error, ffmpeg.ExitError | ffmpeg.TimeoutError):
        return CameraUnreachable(f"{url} does not answer in time: is the camera on, and is this its address?")
    if isinstance(error, ffmpeg.HTTPError):
        return SourceBroken(f"{url}: the camera answers with an error of its own; restart it if this goes on")
    if isinstance(error, ffmpeg.InvalidDataError):
        return SourceUnreadable(f"{url} sends nothing that is a video stream: check the path and the port")
    # A format that is not on the list is an invalid argument to FFmpeg.
    if isinstance(error, ffmpeg.ProtocolNotFoundError | ffmpeg.DemuxerNotFoundError | ffmpeg.ArgumentError):
        return SourceUnreadable(f"{url} is in a form, or refers to a place, that is not read from a camera")
    return _explain_number(error, url)


def _explain_number(error: Exception, url: Address) -> SourceError:
    if isinstance(error, ssl.SSLCertVerificationError):
        why = "is not vouched for by FACESTREAM_CAMERA_CA"
        return CameraUnreachable(f"{url}: its certificate {why} ({error.verify_message})")
    number = getattr(error, "errno", None)
    if number == errno.ECONNREFUSED:
        return CameraUnreachable(f"{url}: nobody listens there: is the camera on, and is the port right?")
    if number in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN):
        return CameraUnreachable(f"{url}: there is no way to this address: check the network")
    if number in (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED):
        return CameraUnreachable(f"{url}: the connection was broken off")
    if number == errno.EIO:
        check = "the host's name and the network"
        if url.scheme in ("rtsps", "https", "rtmps"):
            check += ", and its certificate where FACESTREAM_CAMERA_CA is set"
        where = "; where it redirects to is not followed" if url.scheme.startswith("http") else ""
        return CameraUnreachable(f"{url} cannot be reached: check {check}{where}")
    if number == errno.EPROTONOSUPPORT:
        return SourceUnreadable(f"{url} does not offer this transport: try the other of tcp and udp")
    return SourceBroken(f"{url} cannot be read ({type(error).__name__})")


def ended(url: Address) -> SourceError:
    """A live stream has no end: one that ends was broken off."""
    return SourceBroken(f"{url}: the camera ended the stream")


def silent(url: Address) -> CameraStalled:
    return CameraStalled(f"{url} is connected, but sends nothing any more")
