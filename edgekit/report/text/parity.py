"""Parity in words: a row an output, and what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.report.text import fallback, table

if TYPE_CHECKING:
    from edgekit.parity import OutputParity, Tolerance
    from edgekit.validation import ParityReport


def parity(report: ParityReport) -> list[Any]:
    """A row a variant, batch size and output, then what went wrong, in words."""
    rows = []
    problems: list[str] = []
    for variant in report.variants:
        for batch, outputs in variant.outputs.items():
            for output in outputs:
                rows.append((variant.variant, batch, *_parity_cells(output, variant.tolerance)))
                if not output.passed:
                    problems.append(
                        f"FAILED {variant.variant}, batch {batch}, output {output.name!r} "
                        f"({output.failure}): {output.detail}"
                    )
        if variant.degenerate:
            problems.append(
                f"FAILED {variant.variant} (reference): every sample of the reference has the same "
                "answer, so it proves nothing; export with --reference."
            )
        problems += fallback(variant.placement, variant.provider)
    columns = ("variant", "batch", "output", "max abs error", "at", "cosine", "SQNR dB")
    parts: list[Any] = [table((*columns, "worst sample dB", "allowed", "parity"), rows), *problems]
    metrics = [(v.variant, f"{v.metric:.4f}") for v in report.variants if v.metric is not None]
    if metrics:
        parts.append(table(("variant", f"held-out {report.metric_name}"), metrics))
    provider = report.variants[0].provider
    verdict = "passed" if report.passed else "FAILED"
    return [f"Parity of {report.model} on {provider}: {verdict}", *parts]


def _parity_cells(output: OutputParity, tolerance: Tolerance) -> tuple[Any, ...]:
    limits = []
    if tolerance.atol is not None:
        limits.append(f"{tolerance.atol:g} + {tolerance.rtol:g}|y|")
    if tolerance.min_sqnr_db is not None:
        limits.append(f"{tolerance.min_sqnr_db:g} dB")
    if output.max_abs_error is None:
        return (output.name, "-", "-", "-", "-", "-", ", ".join(limits), output.passed)
    return (
        output.name,
        f"{output.max_abs_error:.2e}",
        ",".join(map(str, output.index or ())),
        f"{output.cosine:.6f}",
        f"{output.sqnr_db:.1f}",
        "-" if output.worst_sample_sqnr_db is None else f"{output.worst_sample_sqnr_db:.1f}",
        ", ".join(limits),
        output.passed,
    )
