"""Latency in words: a row a candidate, the ratios, the limits, the verdicts, the conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.latency.contention import OTHERS
from edgekit.latency.gate import longer
from edgekit.latency.percentiles import runs_needed
from edgekit.latency.results import counted, labelled
from edgekit.report.text import milliseconds, shares, size, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgekit.latency import Latency, LatencyReport, Ratio


def latency(report: LatencyReport) -> list[Any]:
    """A row a candidate, the paired ratios, and what has to be known of them."""
    offline = report.conditions["scenario"] == "offline"
    columns: tuple[str, ...] = ("model", "provider", "threads", "batch")
    if any(result.replicas > 1 for result in report.results):
        columns = (*columns, "replicas")
    timed = OFFLINE if offline else LATENCY
    rest = ("runs", "load ms", "first run ms", "memory", "size")
    rows = [
        (*_what(result, columns), *_timed(result, timed), *_apart(result))
        for result in report.results
    ]
    return [
        table((*columns, *timed, *rest), rows),
        *_headline(report),
        *(_ratio(ratio, offline=offline) for ratio in report.ratios),
        *(f"Not ranked: {peer.engine}: {peer.reason}" for peer in report.unranked),
        *(line for result in report.results for line in _missing(result)),
        *(f"Fell back: {result.fallback}" for result in report.results if result.fallback),
        *(line for result in report.results for line in shares(result.nodes, result.time)),
        *_limits(report),
        *(f"{VERDICTS[check.verdict]}: {check.evidence}" for check in report.checks),
        *conditions(report.conditions),
    ]


LATENCY = ("p50 ms", "95% interval", "p90 ms", "p99 ms")
OFFLINE = ("samples/s", "95% interval", "p50 ms")
VERDICTS = {
    "within": "Within budget",
    "over": "OVER BUDGET",
    "undecided": "Undecided, and passed",
    "unknown": "UNKNOWN, and not passed",
}


def _what(result: Latency, columns: tuple[str, ...]) -> tuple[Any, ...]:
    row = (result.label, result.provider, result.threads, result.batch)
    return (*row, result.replicas) if "replicas" in columns else row


def _timed(result: Latency, columns: tuple[str, ...]) -> tuple[str, ...]:
    if columns is OFFLINE:
        low, high = result.samples_per_second_ci95
        rate = f"{result.samples_per_second:,.0f}"
        return rate, f"{low:,.0f} to {high:,.0f}", milliseconds(result.p50_ms)
    low, high = result.ci95_ms
    interval = f"{milliseconds(low)} to {milliseconds(high)}"
    tails = milliseconds(result.p90_ms), milliseconds(result.p99_ms)
    return milliseconds(result.p50_ms), interval, *tails


def _apart(result: Latency) -> tuple[Any, ...]:
    peak = result.peak_memory_bytes
    return (
        result.runs,
        f"{result.load_ms:.1f}",
        milliseconds(result.first_run_ms),
        None if peak is None else size(peak),
        size(result.size_bytes),
    )


def _headline(report: LatencyReport) -> Iterator[str]:
    """Say each candidate's result as MLPerf states it."""
    scenario = report.conditions["scenario"]
    for result in report.results if scenario else ():
        if scenario == "offline":
            figure = f"{result.samples_per_second:,.0f} samples a second"
        elif result.p90_ms is None:
            figure = f"no p90 after {result.runs} runs"
        else:
            figure = f"p90 {milliseconds(result.p90_ms)} ms"
        yield (f"MLPerf {scenario}: {result.label}, {counted(result.threads, 'thread')}: {figure}")


def _ratio(ratio: Ratio, *, offline: bool) -> str:
    ours = labelled(ratio.model, ratio.variant, ratio.engine)
    theirs = labelled(ratio.baseline_model, ratio.baseline_variant, ratio.baseline_engine)
    if ratio.threads != ratio.baseline_threads:
        ours = f"{ours} with {counted(ratio.threads, 'thread')}"
        theirs = f"{theirs} with {counted(ratio.baseline_threads, 'thread')}"
    return (
        f"{ours} takes {ratio.ratio:.2f} times as long {'a sample ' if offline else ''}as "
        f"{theirs} (95% interval {ratio.ci95[0]:.2f} to {ratio.ci95[1]:.2f}): {ratio.verdict}"
    )


def _missing(result: Latency) -> Iterator[str]:
    """Say which percentile the runs were too few for, and what would be enough."""
    for name, quantile, value in (("p90", 0.9, result.p90_ms), ("p99", 0.99, result.p99_ms)):
        if value is None:
            needed = runs_needed(quantile)
            yield (
                f"No {name} of {result.label}: it takes {needed} runs (MLPerf's early stopping "
                f"at 99% confidence) and there were {result.runs}; give --duration "
                f"{longer(result, needed)}."
            )


def _limits(report: LatencyReport) -> Iterator[str]:
    for result in report.results:
        limit = result.roofline
        if limit is None:
            continue
        left = f"; {', '.join(limit.uncounted)} not counted" if limit.uncounted else ""
        yield (
            f"Roofline of {result.label}, {counted(result.threads, 'thread')}: "
            f"{limit.share:.0%} of the limit of {milliseconds(limit.limit_ms)} ms ({limit.bound}): "
            f"{limit.macs / 1e6:,.3g} M MACs at {limit.peak_gmacs:.1f} GMAC/s (float32 product in "
            f"onnxruntime), {size(limit.bytes)} at {limit.copy_gb_s:.1f} GB/s (copy of that size)"
            f"{left}"
        )
    if report.conditions.get("no_roofline"):
        yield f"No roofline: {report.conditions['no_roofline']}"


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
            f"Contended: {'; '.join(found['contention'])}. Ratios hold, absolute figures are too "
            "high."
        )
    if (found["other_share"] or 0.0) > OTHERS:
        lines.append(
            f"Beside it other processes used {found['other_share']:.0%} of the processors: they "
            "share caches, memory and clock speed."
        )
    if found["drifted"]:
        lines.append(f"Drift: the p50 changed by {found['drift']:+.0%} while measuring.")
    return lines
