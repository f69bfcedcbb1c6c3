"""One camera or file."""

from __future__ import annotations

from deploy.grafana.panels import Page, Panel
from deploy.grafana.queries import CAMERA, PER_SECOND, or_zero, quantiles, rate

ONE_CAMERA = Page(
    "camera",
    "facestream: one camera",
    "Everything the ledger and the registry say of one camera or file.",
    {
        "State": [
            Panel(
                "State",
                "As its producer says; of files and of cameras that are not registered there is none.",
                "none",
                {"{{state}}": f"facestream_camera_state{CAMERA}"},
                "states",
                12,
            ),
            Panel(
                "Producer",
                "Whether a living producer holds it, and how its last epoch stands.",
                "none",
                {
                    "held": f"facestream_camera_held{CAMERA}",
                    "epoch {{state}}": f"facestream_epoch_state{CAMERA}",
                },
                "states",
                12,
            ),
        ],
        "Frames": [
            Panel(
                "In and out",
                "What was captured, and what ended as a result.",
                PER_SECOND,
                {
                    "captured": rate("facestream_captured_total", CAMERA),
                    "published": rate("facestream_published_total", CAMERA),
                    "results": rate("facestream_results_total", CAMERA),
                },
            ),
            Panel(
                "Drops by reason",
                "0 until there are any.",
                PER_SECOND,
                {
                    "{{reason}} ({{where}})": or_zero(
                        rate("facestream_dropped_total", CAMERA, by="reason, where")
                    )
                },
                "stack",
            ),
            Panel(
                "Age of results",
                "By the broker's clock.",
                "s",
                quantiles("facestream_result_age_seconds", CAMERA),
            ),
            Panel(
                "Waiting",
                "Frames in the producer's hands, unread, and in the broker altogether.",
                "none",
                {
                    "at the producer": f"facestream_frames_at_producer{CAMERA}",
                    "unread": f"facestream_frames_unread{CAMERA}",
                    "in flight": f"facestream_frames_in_flight{CAMERA}",
                },
            ),
            Panel(
                "Oldest unread frame",
                "0 when none is unread.",
                "s",
                {"waits": f"facestream_oldest_unread_age_seconds{CAMERA}"},
            ),
            Panel(
                "Unaccounted frames",
                "Has to be 0, of both identities of the ledger.",
                "none",
                {"{{identity}}": f"facestream_unaccounted_frames{CAMERA}"},
                bad_from=1,
            ),
        ],
    },
    {"camera": "label_values(facestream_captured_total, camera)"},
)
