"""Results -> pictures, through matplotlib (extra: report)."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from edgekit import files
from edgekit.errors import OutputError, needs_extra
from edgekit.report.text.history import grouped

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgekit.latency.history import Entry

SUFFIXES = (".png", ".svg", ".pdf")


def history(entries: Sequence[Entry], path: Path, *, force: bool = False) -> None:
    """Draw the p50 of each series over time with its 95% interval; hollow where contended.

    Raises `OutputError` for another suffix than `SUFFIXES` and for a file that exists.
    """
    if path.suffix not in SUFFIXES:
        raise OutputError(
            f"The plot {str(path)!r} is not one of {', '.join(SUFFIXES)}: give such a name."
        )
    with needs_extra("draw the history"):
        from matplotlib.figure import Figure
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for name, group in grouped(entries).items():
        times: Any = [datetime.datetime.fromisoformat(entry.at) for entry in group]
        p50 = [entry.p50_ms for entry in group]
        below = [entry.p50_ms - entry.p50_low_ms for entry in group]
        above = [entry.p50_high_ms - entry.p50_ms for entry in group]
        drawn = axes.errorbar(times, p50, yerr=[below, above], fmt="o-", capsize=3, label=name)
        busy = [(t, entry.p50_ms) for t, entry in zip(times, group, strict=True) if entry.contended]
        if busy:
            colour = drawn[0].get_color()
            axes.plot(
                *zip(*busy, strict=True), "o", color="white", markeredgecolor=colour, zorder=5
            )
    axes.set(xlabel="time (UTC)", ylabel="p50 in ms (95% interval)", ylim=(0, None))
    figure.legend(loc="outside lower left", fontsize="small")
    figure.autofmt_xdate()
    with files.new_file(path, force=force) as made:
        figure.savefig(made)
