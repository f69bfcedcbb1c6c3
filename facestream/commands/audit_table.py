"""The ledgers as a table: drawn for a terminal, one line a camera for a pipe."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from facestream.audit import Audit
from facestream.bus.ledger import Ledger
from facestream.printable import printable

_PLAIN = (
    *("camera", "epoch", "captured", "at producer", "published", "dropped at source"),
    *("results", "dropped", "in flight", "in hand", "closes"),
)
_TEXTS = ("camera", "epoch", "closes")


def drawn(found: Audit) -> Table:
    """Narrow enough for 80 columns: reasons stand under their camera, with their counts under `dropped`."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    table.add_column("camera", overflow="fold")
    table.add_column("epoch", no_wrap=True)
    for name in ("captured", "held", "published", "results", "dropped", "in flight", "taken"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("ok", no_wrap=True)
    for ledger in found.ledgers:
        _add_drawn(table, ledger, _state(found, ledger))
    for camera in found.unreadable:
        table.add_row(camera, "?", *[""] * 7, Text("NO", style="bold red"))
    if len(found.ledgers) > 1:
        table.add_section()
        _add_drawn(table, found.whole, "")
    table.caption = "held by its producer; in flight: in the broker, of these taken by workers"
    table.caption_justify = "left"
    return table


def plain(found: Audit) -> str:
    """Columns set apart by spaces, one line a camera however long: for reading, grep and awk."""
    rows = [list(_PLAIN)]
    rows += [_plain_row(ledger, _state(found, ledger)) for ledger in found.ledgers]
    rows += [[camera, "?", *["?"] * 8, "NO"] for camera in found.unreadable]
    if len(found.ledgers) > 1:
        rows.append(_plain_row(found.whole, "-"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(_set, row, _PLAIN, widths)).rstrip() for row in rows)


def _state(found: Audit, ledger: Ledger) -> str:
    standing = found.standings.get(ledger.camera)
    return printable(standing.state if standing else ledger.state, 16)


def _add_drawn(table: Table, ledger: Ledger, state: str) -> None:
    reasons = ledger.dropped_at_source | ledger.dropped
    counts = [ledger.captured, ledger.in_hand_of_producer, ledger.published, ledger.results]
    counts += [sum(reasons.values()), ledger.in_flight, ledger.in_hand_of_workers]
    verdict = Text("yes", style="green") if ledger.closes else Text("NO", style="bold red")
    table.add_row(ledger.camera, Text(state), *[f"{count:,}" for count in counts], verdict)
    for reason, count in _ordered(reasons):
        table.add_row(Text(f"  {reason}", style="dim"), *[""] * 5, Text(f"{count:,}", style="dim"))


def _plain_row(ledger: Ledger, state: str) -> list[str]:
    return [
        ledger.camera,
        state or "-",
        f"{ledger.captured}",
        f"{ledger.in_hand_of_producer}",
        f"{ledger.published}",
        _listed(ledger.dropped_at_source),
        f"{ledger.results}",
        _listed(ledger.dropped),
        f"{ledger.in_flight}",
        f"{ledger.in_hand_of_workers}",
        "yes" if ledger.closes else "NO",
    ]


def _listed(reasons: dict[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in _ordered(reasons)) or "0"


def _ordered(reasons: dict[str, int]) -> list[tuple[str, int]]:
    """The commonest first. Names come from the broker: what is not printable is shown escaped."""
    known = [(ascii(reason)[1:-1], count) for reason, count in reasons.items() if count]
    return sorted(known, key=lambda item: (-item[1], item[0]))


def _set(cell: str, column: str, width: int) -> str:
    return cell.ljust(width) if column in _TEXTS else cell.rjust(width)
