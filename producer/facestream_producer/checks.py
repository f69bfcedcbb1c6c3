"""What `facestream doctor` says of video: PyAV, its FFmpeg, and the codecs in it."""

from __future__ import annotations

from collections.abc import Iterator

from facestream.errors import FacestreamError
from facestream.health.check import Check, fail, ok, warn
from facestream.settings import Settings

_REINSTALL = "pip install --force-reinstall --only-binary av av"


def checks(_settings: Settings) -> Iterator[Check]:
    try:
        import av
    except Exception as error:  # a missing system library is an ImportError, a damaged one may be anything
        yield fail("pyav", f"does not load ({str(error).splitlines()[0][:150]})", _REINSTALL)
        return
    yield ok("pyav", f"{av.__version__} with FFmpeg {av.ffmpeg_version_info}")
    yield _decoding("h264", "most files and cameras", is_needed=True)
    yield _decoding("hevc", "newer cameras", is_needed=False)
    yield _encoding()
    yield _devices()


def _decoding(codec: str, used_by: str, *, is_needed: bool) -> Check:
    import av
    from av.codec.codec import UnknownCodecError

    name = f"{codec} decoding"
    try:
        return ok(name, str(av.Codec(codec, "r").long_name))
    except UnknownCodecError:
        text = f"not in this FFmpeg: {used_by} cannot be read"
        return fail(name, text, _REINSTALL) if is_needed else warn(name, text, _REINSTALL)


def _encoding() -> Check:
    from facestream_producer.film import h264_encoder

    try:
        return ok("h264 encoding", h264_encoder())
    except FacestreamError as error:
        return warn("h264 encoding", f"{error}", "needed for --annotate only")


def _devices() -> Check:
    from facestream_producer.hardware import offered

    found = offered()
    said = [f"{kind} is here" if trouble is None else f"no {kind} here" for kind, trouble in found.items()]
    return ok("video decoders", ", ".join(["the processor", *said]))
