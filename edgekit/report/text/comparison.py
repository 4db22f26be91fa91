"""Variants side by side in words: what each costs and gains beside float."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.report.text import milliseconds, size, table
from edgekit.report.text.latency import conditions

if TYPE_CHECKING:
    from edgekit.whole import Comparison, Row


def comparison(report: Comparison) -> list[Any]:
    """One row a variant: size, parity, metric, latency, each beside float."""
    first = report.rows[0]
    rows = [
        (
            row.variant,
            size(row.size_bytes),
            f"{first.size_bytes / row.size_bytes:.2f}x",
            row.passed,
            "-" if row.max_abs_error is None else f"{row.max_abs_error:.2e}",
            "-" if row.sqnr_db is None else f"{row.sqnr_db:.1f}",
            "-" if row.metric is None else f"{row.metric:.4f}",
            milliseconds(row.latency.p50_ms if row.latency else None),
            milliseconds(row.latency.p99_ms if row.latency else None),
            _speedup(row),
        )
        for row in report.rows
    ]
    columns = ("variant", "size", "smaller", "parity", "max abs error", "SQNR dB")
    metric = report.metric_name or "metric"
    drawn = table((*columns, metric, "p50 ms", "p99 ms", "faster (95% interval)"), rows)
    return [report.model, drawn, *report.notes, *conditions(report.conditions)]


def _speedup(row: Row) -> str:
    ratio = row.against_float
    if ratio is None:
        return "-"
    low, high = ratio.ci95
    return f"{1 / ratio.ratio:.2f}x ({1 / high:.2f} to {1 / low:.2f})"
