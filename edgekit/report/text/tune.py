"""A search in words: a row a candidate, the front, the winner, and what it was measured under."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.parity import MAX_SQNR_DB
from edgekit.report.text import milliseconds, size, table
from edgekit.report.text.latency import conditions

if TYPE_CHECKING:
    from edgekit.tuner import Row, Tuned

#: Layers of a ranking that are named.
NAMED = 5


def tuned(found: Tuned) -> list[Any]:
    """Everything that was tried, the one that won and why, and how to open it."""
    return [
        f"Tuned {found.model} for {found.provider}: {_goal(found)}",
        table(_columns(found), [_cells(row, found) for row in found.rows]),
        "* on the Pareto front of accuracy, latency and size; > the winner; (!) below the goal",
        *_excluded(found),
        *_reasons(found),
        f"{found.reason[0].upper()}{found.reason[1:]}.",
        *_outcome(found),
        *found.notes,
        *_time(found),
        *(conditions(found.conditions) if found.conditions else ()),
    ]


def _goal(found: Tuned) -> str:
    goal = found.goal
    wanted = {"latency": "the fastest", "size": "the smallest"}[goal.objective]
    limits = []
    if goal.metric_name is not None:
        limits.append(f"{goal.metric_name} at most {goal.max_drop:g} below float's")
    if goal.min_sqnr_db is not None:
        limits.append(f"an SQNR of {goal.min_sqnr_db:g} dB or more")
    return f"{wanted} with {' and '.join(limits)}"


def _columns(found: Tuned) -> tuple[str, ...]:
    metric = (found.goal.metric_name,) if found.goal.metric_name else ()
    return ("", "candidate", *metric, "SQNR dB", "size", "p50 ms", "faster (95% interval)")


def _cells(row: Row, found: Tuned) -> tuple[str, ...]:
    mark = ("*" if row.front else "") + (">" if row.winner else "")
    metric = "-" if row.metric is None else f"{row.metric:.4f}"
    short = " (!)" if row.admissible is False else ""
    sqnr = "-" if row.sqnr_db in (None, MAX_SQNR_DB) else f"{row.sqnr_db:.1f}"
    judged = (f"{metric}{short}", sqnr) if found.goal.metric_name else (f"{sqnr}{short}",)
    speed = row.speed
    return (
        mark,
        row.name,
        *judged,
        "-" if row.size_bytes is None else size(row.size_bytes),
        milliseconds(speed.p50_ms if speed else None),
        "-" if speed is None or speed.ci95 == (1.0, 1.0) else _faster(speed.ratio, speed.ci95),
    )


def _faster(ratio: float, ci95: tuple[float, float]) -> str:
    low, high = ci95
    return f"{1 / ratio:.2f}x ({1 / high:.2f} to {1 / low:.2f})"


def _excluded(found: Tuned) -> list[str]:
    """Name the layers that were left in float, from a ranking of their damage."""
    lines = []
    for name, layers in found.rankings.items():
        worst = ", ".join(f"{node} {level:.1f} dB" for node, level in layers[:NAMED])
        lines.append(f"{name}, SQNR with one layer quantised alone: {worst}")
    return lines


def _reasons(found: Tuned) -> list[str]:
    """Say why something is not known, once for each reason."""
    names: dict[str, list[str]] = {}
    for row in found.rows:
        if row.reason is not None:
            names.setdefault(row.reason, []).append(row.name)
    return [f"{'; '.join(rows)}: {reason}" for reason, rows in names.items()]


def _outcome(found: Tuned) -> list[str]:
    lines = []
    if found.path is not None:
        (winner,) = (row for row in found.rows if row.winner)
        left = f", with {', '.join(winner.exclude)} in float" if winner.exclude else ""
        lines.append(f"Wrote {found.path}{left}.")
    if found.threads != 1 or found.optimization != "all":
        where = found.path or found.model
        if found.variant is not None:
            where = f"{found.model}', variant='{found.variant}"
        lines.append(
            f"Open it with edgekit.open('{where}', threads={found.threads}, "
            f"optimization='{found.optimization}')."
        )
    return lines


def _time(found: Tuned) -> list[str]:
    lines = [
        f"{found.measured} measurements in {found.spent_s:.0f} s of {found.budget_s:g}, "
        f"{found.remembered} more from {found.ledger}."
    ]
    if found.cut:
        lines.append(f"The time did not suffice for all {', '.join(found.cut)}.")
    return lines
