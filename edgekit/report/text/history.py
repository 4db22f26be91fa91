"""The history in words: a row a result, and a line of bars for each series."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.latency.results import counted, labelled
from edgekit.report.text import milliseconds, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.latency.history import Entry

BARS = "▁▂▃▄▅▆▇█"
#: The newest results of a series that are drawn.
WIDTH = 60


def history(entries: Sequence[Entry], *, where: Path) -> list[Any]:
    """A row a result, oldest first, then the p50 of each series over time."""
    if not entries:
        return [f"Nothing in {where} yet: `edgekit bench` adds to it."]
    rows = [
        (
            entry.at.replace("T", " ")[:16],
            _label(entry),
            entry.provider,
            entry.threads,
            entry.batch,
            milliseconds(entry.p50_ms),
            f"{milliseconds(entry.p50_low_ms)} to {milliseconds(entry.p50_high_ms)}",
            milliseconds(entry.p90_ms),
            f"{entry.samples_per_second:,.0f}",
            entry.onnxruntime,
            entry.sha256[:8] or "-",
            "contended" if entry.contended else "",
        )
        for entry in entries
    ]
    columns = ("time (UTC)", "model", "provider", "threads", "batch", "p50 ms", "95% interval")
    more = ("p90 ms", "samples/s", "onnxruntime", "sha256", "")
    return [table((*columns, *more), rows), *_series(entries), f"From {where}"]


def grouped(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Give the entries of each series, by a name that tells the series apart."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        words = [_label(entry), entry.provider, counted(entry.threads, "thread")]
        words += [f"batch {entry.batch}", *_replicas(entry)]
        found.setdefault(f"{', '.join(words)}, {entry.machine}", []).append(entry)
    return found


def bars(values: Sequence[float]) -> str:
    """Draw values as bars from zero to the largest."""
    top = max(values)
    return "".join(BARS[min(7, int(8 * value / top))] for value in values)


def _series(entries: Sequence[Entry]) -> list[str]:
    lines = []
    for name, group in grouped(entries).items():
        values = [entry.p50_ms for entry in group[-WIDTH:]]
        low, high = milliseconds(min(values)), milliseconds(max(values))
        lines.append(f"{bars(values)}  p50 {low} to {high} ms: {name}")
    return lines


def _label(entry: Entry) -> str:
    path = Path(entry.model)
    name = f"{path.parent.name}/{path.name}" if path.parent.name else path.name
    return labelled(name, entry.variant, entry.engine)


def _replicas(entry: Entry) -> list[str]:
    return [counted(entry.replicas, "replica")] if entry.replicas > 1 else []
