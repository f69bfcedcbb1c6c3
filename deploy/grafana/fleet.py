"""Whether all of it keeps up, and where frames end."""

from __future__ import annotations

from deploy.grafana.panels import Page, Panel
from deploy.grafana.queries import PER_SECOND, RATE, mean, or_zero, quantile, quantiles, rate

SAID_BY_THE_LIVING = "(facestream_camera_state == 1 and on (camera) facestream_camera_held == 1)"

FLEET = Page(
    "fleet",
    "facestream: fleet",
    "Whether all of it keeps up, and where frames end. The ledger's figures are the truth.",
    {
        "Now": [
            Panel(
                "Cameras live",
                "Registered cameras that send, as their producers say.",
                "none",
                {"live": or_zero(f'count({SAID_BY_THE_LIVING} and facestream_camera_state{{state="live"}})')},
                "number",
                4,
            ),
            Panel(
                "Captured",
                "Frames of all sources.",
                PER_SECOND,
                {"captured": rate("facestream_captured_total")},
                "number",
                4,
            ),
            Panel(
                "Results",
                "Frames that ended as a result.",
                PER_SECOND,
                {"results": rate("facestream_results_total")},
                "number",
                4,
            ),
            Panel(
                "Faces",
                "Faces found by all workers.",
                PER_SECOND,
                {"faces": rate("facestream_worker_faces_found_total")},
                "number",
                4,
            ),
            Panel(
                "Workers alive",
                "Heard of by the broker within the last seconds.",
                "none",
                {"workers": "sum(facestream_workers_alive)"},
                "number",
                4,
                good_from=1,
            ),
            Panel(
                "Unaccounted frames",
                "Has to be 0: frames that have neither a result nor a counted drop.",
                "none",
                {"frames": "sum(abs(facestream_unaccounted_frames))"},
                "number",
                4,
                bad_from=1,
            ),
        ],
        "Does it keep up?": [
            Panel(
                "Age of results",
                "From capture to result, by the broker's clock. Files wait for workers, and count here too.",
                "s",
                quantiles("facestream_result_age_seconds"),
            ),
            Panel(
                "Late results of cameras",
                "The share that is over a second old; the objective allows 1 %.",
                "percentunit",
                {
                    "5 minutes": "facestream:late_results:ratio_rate5m",
                    "1 hour": "facestream:late_results:ratio_rate1h",
                },
            ),
            Panel(
                "Waiting",
                "Frames that no worker has taken yet.",
                "none",
                {"unread": "sum(facestream_frames_unread)", "in flight": "sum(facestream_frames_in_flight)"},
            ),
            Panel(
                "Oldest unread frame",
                "The ten cameras or files whose oldest frame waits longest.",
                "s",
                {"{{camera}}": "topk(10, facestream_oldest_unread_age_seconds)"},
            ),
            Panel(
                "Age by camera",
                "The ten with the oldest results, 95th percentile.",
                "s",
                {
                    "{{camera}}": "topk(10, "
                    + quantile(0.95, "facestream_result_age_seconds", by="le, camera")
                    + ")"
                },
            ),
            Panel(
                "Seconds a batch spends",
                "The mean by stage, over all workers: which stage has grown says what is slow.",
                "s",
                {"{{stage}}": mean("facestream_worker_stage_seconds", by="stage")},
            ),
        ],
        "Where frames end": [
            Panel(
                "Ends",
                "Results and drops together are what was captured.",
                PER_SECOND,
                {
                    "result": rate("facestream_results_total"),
                    "{{reason}}": rate("facestream_dropped_total", by="reason"),
                },
                "stack",
                12,
            ),
            Panel(
                "Share of drops by reason",
                "Of all that was captured. docs/operations.md says what each reason means, and what to do.",
                "percentunit",
                {"{{reason}} ({{where}})": "reason:facestream_dropped:ratio_rate5m"},
                width=12,
            ),
        ],
        "Cameras": [
            Panel(
                "Cameras by state",
                "As their producers say; the states of producers that are gone are left out.",
                "none",
                {"{{state}}": f"count by (state) ({SAID_BY_THE_LIVING})"},
                "stack",
                12,
            ),
            Panel(
                "Busiest cameras",
                "Frames captured, the ten that send most.",
                PER_SECOND,
                {"{{camera}}": f"topk(10, {rate('facestream_captured_total', by='camera')})"},
                width=12,
            ),
        ],
        "What is found": [
            Panel(
                "Faces by apparent gender",
                "Faces in frames, not people: who stays counts in every frame. Said by a network, of looks.",
                PER_SECOND,
                {"{{label}}": rate("facestream_worker_faces_total", '{attribute="gender"}', by="label")},
                "stack",
            ),
            Panel(
                "Share without an answer",
                "Too small or too uncertain. It moves when a camera, its light or the crowd changes.",
                "percentunit",
                {"{{attribute}}": "attribute:facestream_unknown_faces:ratio_rate1h"},
            ),
            Panel(
                "Mean score",
                "Of faces, and of what is said of them; 0 to 1.",
                "percentunit",
                {
                    "faces": mean("facestream_worker_face_score"),
                    "{{attribute}}": mean("facestream_worker_attribute_score", by="attribute"),
                },
            ),
        ],
        "Processes": [
            Panel(
                "Restarts",
                "Child processes started again in the last ten minutes.",
                "none",
                {"{{process}} on {{instance}}": "increase(facestream_restarts_total[10m])"},
            ),
            Panel(
                "Memory",
                "Resident memory of each process.",
                "bytes",
                {"{{job}} {{instance}}": 'process_resident_memory_bytes{job=~"facestream.*"}'},
            ),
            Panel(
                "Processor",
                "Cores in use by each process.",
                "none",
                {"{{job}} {{instance}}": f'rate(process_cpu_seconds_total{{job=~"facestream.*"}}{RATE})'},
            ),
        ],
    },
)
