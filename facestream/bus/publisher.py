"""A producer's side of the bus: one `Epoch` per camera, from begin to end."""

from __future__ import annotations

import json
import os
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from facestream.bus.connection import Connection
from facestream.contract import FrameHeader, SourceDrop
from facestream.errors import BusUnavailable, Fenced, UsageError

LEASE_SECONDS = 5.0
"""How long a camera stays its producer's without a word from it; heartbeats come well within it."""


@dataclass(slots=True)
class Totals:
    """What a producer did in one epoch, cumulative: the ledger stores these, it never adds them."""

    captured: int = 0
    in_hand: int = 0
    dropped: dict[SourceDrop, int] = field(default_factory=dict)

    def capture(self) -> None:
        self.captured += 1
        self.in_hand += 1

    def publish(self) -> None:
        self.in_hand -= 1

    def drop(self, reason: SourceDrop, count: int = 1) -> None:
        """Count frames that are in hand as dropped."""
        self.in_hand -= count
        self.dropped[reason] = self.dropped.get(reason, 0) + count


class Rewind(Exception):
    """The broker forgot frames: a lossless source sends again from `seq`."""

    def __init__(self, seq: int) -> None:
        super().__init__(f"send again from frame {seq}")
        self.seq = seq


@dataclass(slots=True)
class Epoch:
    """One source's numbered run of frames; `room` is what the broker last said it will take unread."""

    connection: Connection
    camera: str
    epoch: int
    token: str
    live: bool
    depth: int
    next_seq: int
    totals: Totals
    room: int
    said: int = 0
    holder: str = ""
    fingerprint: str = ""
    doubt: tuple[int, int] | None = None
    """Frames captured and in hand when a reply was lost: that frame may be in the broker."""

    @classmethod
    def begin(
        cls,
        connection: Connection,
        camera: str,
        *,
        live: bool,
        depth: int,
        fingerprint: str = "",
        resume: bool = False,
    ) -> Epoch | float:
        """The camera's new epoch, or, while another producer has it, the seconds its lease still runs."""
        token, keys = secrets.token_hex(8), connection.keys
        holder = f"{socket.gethostname()}:{os.getpid()}"
        reply = connection.call(
            "begin",
            [keys.ledger(camera), keys.cameras(keys.partition(camera))],
            [camera, token, holder, int(LEASE_SECONDS * 1000), fingerprint, "1" if resume else ""],
        )
        match reply:
            case [b"held", _, milliseconds]:
                return max(0.01, int(milliseconds) / 1000)
            case [b"changed"]:
                raise UsageError(
                    f"cannot resume {camera}: its file is not the one that was begun; run it anew"
                )
        _, epoch, last_seq, captured, drops = reply
        totals = Totals(
            int(captured), 0, {SourceDrop(name): count for name, count in json.loads(drops).items()}
        )
        return cls(
            connection,
            camera,
            int(epoch),
            token,
            live,
            depth,
            int(last_seq) + 1,
            totals,
            room=depth,
            holder=holder,
            fingerprint=fingerprint,
        )

    def publish(self, header: FrameHeader, image: bytes) -> None:
        """Publish the next frame and count it; `header` is completed with camera, epoch and seq here.

        Raises Rewind, Fenced, BusFull, BusUnavailable; the frame is then still in the producer's hands.
        """
        header = replace(header, camera=self.camera, epoch=self.epoch, seq=self.next_seq)
        reply = self._call_publish(header.pack(), image)
        self._check_place(reply)
        if reply[0] == b"ahead" and self._find_out():
            self.publish(header, image)  # what is there already was the frame before this one
            return
        self.doubt = None
        self.next_seq += 1
        self.totals.publish()
        if reply[0] != b"ahead":
            self._hear(reply)

    def _call_publish(self, header: bytes, image: bytes) -> list[Any]:
        keys = self.connection.keys
        partition = keys.partition(self.camera)
        names = [keys.ledger(self.camera), keys.frames(self.camera)]
        names += [keys.ready(partition), keys.cameras(partition), keys.unread(self.camera)]
        arguments = [*self._place(self.next_seq), *self._totals(in_hand=self.totals.in_hand - 1)]
        arguments += [header, image, self.holder, self.fingerprint]
        try:
            reply: list[Any] = self.connection.call("publish", names, arguments, retry=not self.live)
        except BusUnavailable:
            self.doubt = self.totals.captured, self.totals.in_hand
            raise
        return reply

    def _find_out(self) -> bool:
        """Whether a frame was booked as a drop and had arrived after all: then it is published.

        While the totals are still what they were, it is in hand and only sent again.
        """
        reason = SourceDrop.BROKER_DOWN if self.live else SourceDrop.SHUTDOWN
        if self.doubt in (None, (self.totals.captured, self.totals.in_hand)):
            return False
        self.doubt = None
        if not self.totals.dropped.get(reason):
            return False
        self.totals.dropped[reason] -= 1
        self.next_seq += 1
        return True

    def report(self, *, ended: bool = False) -> None:
        """Store the totals and renew the lease, or end the epoch; learns how much room there is.

        Raises Rewind when the broker has fewer frames than were published (lossless sources only).
        """
        keys = self.connection.keys
        names = [keys.ledger(self.camera), keys.frames(self.camera)]
        names.append(keys.cameras(keys.partition(self.camera)))
        arguments = [*self._place(self.next_seq - 1), *self._totals(self.totals.in_hand)]
        arguments += ["ended" if ended else "open", self.holder, self.fingerprint]
        reply = self.connection.call("report", names, arguments, retry=not self.live)
        self._check_place(reply)
        if reply[0] != b"ahead":
            self._hear(reply)
        elif self._find_out():
            self.report(ended=ended)

    def renew(self) -> bool:
        """Keep the lease without saying anything else; from any thread. False when the camera is lost."""
        return bool(
            self.connection.call(
                "renew",
                [self.connection.keys.ledger(self.camera)],
                [self.epoch, self.token, int(LEASE_SECONDS * 1000)],
                retry=False,
            )
        )

    def _check_place(self, reply: list[Any]) -> None:
        if reply[0] in (b"fenced", b"late"):
            raise Fenced(f"another producer has taken camera {self.camera}: this one stops sending it")
        if reply[0] == b"rewind":
            self.connection.lost_its_data()
            raise Rewind(reply[1])

    def _hear(self, reply: list[Any]) -> None:
        self.room = reply[1]
        if reply[2]:
            with suppress(BusUnavailable):  # what was said is stored; founding the broker anew can wait
                self.connection.lost_its_data()

    def _place(self, seq: int) -> list[Any]:
        return [self.camera, self.epoch, self.token, seq, "1" if self.live else "", self.depth]

    def _totals(self, in_hand: int) -> list[Any]:
        self.said += 1
        return [
            self.said,
            int(LEASE_SECONDS * 1000),
            self.totals.captured,
            in_hand,
            json.dumps(self.totals.dropped),
        ]
