"""The broker, as its exporter and the workers see it."""

from __future__ import annotations

from deploy.grafana.panels import Page, Panel
from deploy.grafana.queries import quantile

BROKER = Page(
    "broker",
    "facestream: broker",
    "The broker as its exporter sees it, and as it looks from the workers.",
    {
        "Now": [
            Panel(
                "Up",
                "Whether it answered the last reading.",
                "none",
                {"up": "min(facestream_broker_up)"},
                "number",
                6,
                good_from=1,
            ),
            Panel(
                "Refuses",
                "A certificate, a password, or what a user may do.",
                "none",
                {"refuses": "max(facestream_broker_refused)"},
                "number",
                6,
                bad_from=1,
            ),
            Panel(
                "Registry",
                "Whether the registry of cameras can be read.",
                "none",
                {"up": "min(facestream_registry_up)"},
                "number",
                6,
                good_from=1,
            ),
            Panel(
                "Deployment",
                "Another incarnation has forgotten all before it.",
                "none",
                {"{{incarnation}}": "facestream_deployment_info"},
                "name",
                6,
            ),
        ],
        "Memory": [
            Panel(
                "Memory",
                "Used, and what it may use; full, it refuses new frames.",
                "bytes",
                {
                    "used": "sum(facestream_broker_memory_used_bytes)",
                    "may use": "sum(facestream_broker_memory_max_bytes)",
                },
            ),
            Panel(
                "Kept for readers",
                "Results go by time and memory, rejects by number.",
                "none",
                {
                    "results": "sum(facestream_results_retained)",
                    "rejects": "sum(facestream_rejects_retained)",
                },
            ),
            Panel(
                "Frames",
                "In the broker; those of dead workers wait for the next one.",
                "none",
                {
                    "in flight": "sum(facestream_frames_in_flight)",
                    "of dead workers": "sum(facestream_frames_orphaned)",
                },
            ),
        ],
        "Who is there": [
            Panel(
                "Processes alive",
                "Heard of within the last seconds.",
                "none",
                {"workers": "sum(facestream_workers_alive)", "producers": "sum(facestream_producers_alive)"},
            ),
            Panel(
                "In the workers' hands",
                "Frames by worker.",
                "none",
                {"{{worker}}": "facestream_frames_in_hand"},
                "stack",
            ),
            Panel(
                "Left out",
                "Cameras, workers and states that facestream did not write: another program uses it.",
                "none",
                {
                    "of the ledger": "sum(facestream_exporter_skipped)",
                    "of the registry": "sum(facestream_registry_skipped)",
                },
                bad_from=1,
            ),
        ],
        "How it answers": [
            Panel(
                "A reading takes",
                "Of all cameras, by the exporter.",
                "s",
                {"seconds": "max(facestream_exporter_read_seconds)"},
                width=12,
            ),
            Panel(
                "A worker waits for it",
                "95th percentile of a batch's commit, over all workers.",
                "s",
                {"commit": quantile(0.95, "facestream_worker_stage_seconds", '{stage="commit"}')},
                width=12,
            ),
        ],
    },
)
