"""Every error this project raises, named by what the caller must do.

FacestreamError
├── UsageError           change the command, the setting or the file named
│   ├── CameraNameError      a camera name outside [a-z0-9][a-z0-9._-]{0,62}
│   └── SettingsError        an unknown or unusable setting
├── BusError
│   ├── BusUnavailable       wait and try again: unreachable, restarting, loading
│   ├── BusFull              free memory or give the broker more
│   ├── BusRefused           change the broker or the credentials; retrying is of no use
│   └── Fenced               stop: another producer has this camera now
├── ResultsMissed        results are gone that nobody had read: count them in, and read on
├── SourceError          the input cannot be read
│   ├── SourceMissing        nothing is there
│   ├── SourceUnreadable     there, but no video or picture in it
│   └── SourceBroken         it began, then broke off
├── SinkError            a receiver of results did not take them
│   ├── SinkUnavailable      try again: away, full, or not letting us in
│   └── SinkRefused          it never will: put them aside, the rest goes on
├── ImageError           a picture that cannot be read or trusted
├── ModelError
│   ├── ModelMissing         run `facestream models pull`
│   ├── WeightsCorrupt       the file is not what the catalogue promises
│   └── CatalogueError       a catalogue entry is wrong
└── FrameRefused         one frame ends with a counted reason; the rest goes on
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from facestream.contract.reasons import DropReason


class FacestreamError(Exception):
    """Anything a user is told in one line. `exit_code` is the command's exit status."""

    exit_code = 1


class UsageError(FacestreamError):
    exit_code = 2


class CameraNameError(UsageError):
    pass


class SettingsError(UsageError):
    pass


class BusError(FacestreamError):
    pass


class BusUnavailable(BusError):
    exit_code = 75  # as in sysexits.h: a temporary failure, the same again may succeed


class BusFull(BusError):
    pass


class BusRefused(BusError):
    pass


class Fenced(BusError):
    pass


class ResultsMissed(FacestreamError):
    """Results of one partition that were gone before this reader, or its group, had them.

    count: how many, of all cameras of the partition; None when the broker lost its memory, or the group
    was removed, and nobody can know. since, until: the broker's time of the last one had before them and
    of the first one left, None where there is none.
    """

    def __init__(
        self, partition: int, count: int | None, since: datetime | None, until: datetime | None
    ) -> None:
        times = [f"{moment:%Y-%m-%d %H:%M:%S}" if moment else "?" for moment in (since, until)]
        how_many = "an unknown number of" if count is None else f"{count:,}"
        super().__init__(
            f"missed {how_many} results of partition {partition} between {times[0]} and {times[1]} UTC: "
            "they were removed before they were read"
        )
        self.partition, self.count, self.since, self.until = partition, count, since, until


class SourceError(FacestreamError):
    pass


class SourceMissing(SourceError):
    pass


class SourceUnreadable(SourceError):
    pass


class SourceBroken(SourceError):
    pass


class SinkError(FacestreamError):
    pass


class SinkUnavailable(SinkError):
    """`retry_after_seconds`: when the receiver wishes to be tried again, None where it did not say."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class SinkRefused(SinkError):
    pass


class ImageError(FacestreamError):
    pass


class ModelError(FacestreamError):
    pass


class ModelMissing(ModelError):
    pass


class WeightsCorrupt(ModelError):
    pass


class CatalogueError(ModelError):
    pass


class FrameRefused(FacestreamError):
    """One frame that cannot be analysed; `reason` is how it is counted."""

    def __init__(self, reason: DropReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
