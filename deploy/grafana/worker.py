"""One worker."""

from __future__ import annotations

from deploy.grafana.panels import Page, Panel
from deploy.grafana.queries import PER_SECOND, RATE, WORKER, mean, or_zero, quantile, quantiles, rate

ONE_WORKER = Page(
    "worker",
    "facestream: one worker",
    "What one worker has seen since its start. It may miss an event: the ledger is the truth.",
    {
        "Now": [
            Panel(
                "Worker",
                "Its name in the broker.",
                "none",
                {"{{worker}}": f"facestream_worker_info{WORKER}"},
                "name",
                8,
            ),
            Panel(
                "Results",
                "Frames it completed.",
                PER_SECOND,
                {"results": rate("facestream_worker_results_total", WORKER)},
                "number",
                4,
            ),
            Panel(
                "Faces",
                "Faces it found.",
                PER_SECOND,
                {"faces": rate("facestream_worker_faces_found_total", WORKER)},
                "number",
                4,
            ),
            Panel(
                "In hand",
                "Frames taken and not yet ended.",
                "none",
                {"frames": f"facestream_worker_frames_in_hand{WORKER}"},
                "number",
                4,
            ),
            Panel(
                "Broker lost",
                "Times in the last hour.",
                "none",
                {"times": f"increase(facestream_worker_broker_lost_total{WORKER}[1h])"},
                "number",
                4,
                bad_from=1,
            ),
        ],
        "Time": [
            Panel(
                "Seconds a batch spends, mean",
                "By stage; `take` includes waiting for frames.",
                "s",
                {"{{stage}}": mean("facestream_worker_stage_seconds", WORKER, by="stage")},
            ),
            Panel(
                "Seconds a batch spends, 95th percentile",
                "By stage.",
                "s",
                {"{{stage}}": quantile(0.95, "facestream_worker_stage_seconds", WORKER, "le, stage")},
            ),
            Panel(
                "Age of results",
                "As this worker's clock sees it.",
                "s",
                quantiles("facestream_worker_result_age_seconds", WORKER),
            ),
        ],
        "Frames": [
            Panel(
                "Refused",
                "By reason; 0 until there are any.",
                PER_SECOND,
                {"{{reason}}": or_zero(rate("facestream_worker_dropped_total", WORKER, by="reason"))},
                "stack",
            ),
            Panel(
                "Joins and adoptions",
                "Times it joined the broker, and frames of dead workers it put back, in ten minutes.",
                "none",
                {
                    "joins": f"increase(facestream_worker_joins_total{WORKER}[10m])",
                    "frames adopted": f"increase(facestream_worker_adopted_total{WORKER}[10m])",
                },
            ),
            Panel(
                "Size of faces",
                "The shorter side, in pixels of the frame as analysed; under about 24 there is no label.",
                "none",
                quantiles("facestream_worker_face_side_pixels", WORKER),
            ),
        ],
        "Process": [
            Panel("Memory", "Resident.", "bytes", {"resident": f"process_resident_memory_bytes{WORKER}"}),
            Panel(
                "Processor",
                "Cores in use.",
                "none",
                {"cores": f"rate(process_cpu_seconds_total{WORKER}{RATE})"},
            ),
            Panel("Open files", "Sockets included.", "none", {"open": f"process_open_fds{WORKER}"}),
        ],
    },
    {"instance": "label_values(facestream_worker_info, instance)"},
)
