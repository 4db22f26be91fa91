"""Latency in words: a row a candidate, the ratios, the conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.report.text import milliseconds, size, table

if TYPE_CHECKING:
    from edgekit.latency import LatencyReport


def latency(report: LatencyReport) -> list[Any]:
    """A row a candidate, the paired ratios, and the conditions."""
    columns = ("model", "provider", "threads", "batch", "p50 ms", "95% interval", "p90 ms")
    rows = [
        (
            _labelled(result.model, result.variant),
            result.provider,
            result.threads,
            result.batch,
            milliseconds(result.p50_ms),
            f"{milliseconds(result.ci95_ms[0])} to {milliseconds(result.ci95_ms[1])}",
            milliseconds(result.p90_ms),
            milliseconds(result.p99_ms),
            result.runs,
            f"{result.load_ms:.1f}",
            milliseconds(result.first_run_ms),
            size(result.size_bytes),
        )
        for result in report.results
    ]
    more = ("p99 ms", "runs", "load ms", "first run ms", "size")
    parts: list[Any] = [table((*columns, *more), rows)]
    parts += [
        f"{_labelled(ratio.model, ratio.variant)} takes {ratio.ratio:.2f} times as long as "
        f"{_labelled(ratio.baseline_model, ratio.baseline_variant)} "
        f"(95% interval {ratio.ci95[0]:.2f} to {ratio.ci95[1]:.2f}): {ratio.verdict}"
        for ratio in report.ratios
    ]
    parts += [f"Fell back: {result.fallback}" for result in report.results if result.fallback]
    return [*parts, *conditions(report.conditions)]


def _labelled(model: str, variant: str | None) -> str:
    return f"{model} ({variant})" if variant else model


def conditions(found: dict[str, Any]) -> list[str]:
    """What a measurement depends on, and a warning where the machine was not quiet."""
    if not found:
        return []
    lines = [
        f"Measured on {found['cpu']}, {found['cores']} cores, onnxruntime {found['onnxruntime']}, "
        f"{found['duration_s']:g} s a candidate in {found['rounds']} interleaved rounds, fed "
        f"{found['feeds']}; included: {found['included']}."
    ]
    if found["contended"]:
        lines.append(
            f"Contended: the timed thread had its core {found['cpu_share']:.0%} of the time; "
            "ratios hold, absolute figures are too high."
        )
    if found["drifted"]:
        lines.append(f"Drift: the p50 changed by {found['drift']:+.0%} while measuring.")
    return lines
