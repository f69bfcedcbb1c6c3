"""Why frames end without a result: the closed list of reasons."""

from __future__ import annotations

from enum import StrEnum


class SourceDrop(StrEnum):
    """Why a captured frame was never published."""

    FPS_LIMIT = "fps_limit"
    MOTION_GATE = "motion_gate"
    SOURCE_QUEUE_FULL = "source_queue_full"
    SOURCE_CORRUPT = "source_corrupt"
    BROKER_DOWN = "broker_down"
    BROKER_FULL = "broker_full"
    ENCODE_ERROR = "encode_error"
    SHUTDOWN = "shutdown"


class DropReason(StrEnum):
    """Why a published frame ended without a result."""

    TRIMMED_UNREAD = "trimmed_unread"
    TOO_OLD = "too_old"
    DECODE_ERROR = "decode_error"
    CONTRACT_ERROR = "contract_error"
    MODEL_ERROR = "model_error"
    POISON = "poison"
    VANISHED = "vanished"
    LOST_IN_BROKER = "lost_in_broker"
    REMOVED = "removed"
