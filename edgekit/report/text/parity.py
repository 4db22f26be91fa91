"""Parity in words: a row an output, or a row a provider and variant, and what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.cases import REFERENCE, lengths_text
from edgekit.parity import worst
from edgekit.report.text import fallback, table
from edgekit.report.text.debug import finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgekit.parity import OutputParity, Tolerance
    from edgekit.verdicts import Check, ParityReport, VariantParity

#: Failures that are written out a variant; the JSON has them all.
MAX_SENTENCES = 2
#: What stands for the verdict where an int8 variant may clip.
BEYOND = "beyond"


def parity(report: ParityReport) -> list[Any]:
    """A table of what was compared, then what went wrong, in words."""
    on = ", ".join(report.providers)
    parts: list[Any] = [f"Parity of {report.model} on {on}: {_verdict(report.passed)}"]
    many = len(report.providers) > 1 or report.refused
    parts.append(_by_provider(report) if many else _by_output(report))
    if report.worst_case:
        parts += _worst_cases(report)
    parts += dict.fromkeys(_sentences(report))
    metrics = [(v.variant, f"{v.metric:.4f}") for v in report.variants if v.metric is not None]
    if metrics:
        parts.append(table(("variant", f"held-out {report.metric_name}"), metrics))
    return parts


def _verdict(passed: bool) -> str:
    return "passed" if passed else "FAILED"


def _by_output(report: ParityReport) -> Any:
    """A row a variant, batch size and output; other lengths have one row, the worst."""
    lengths = any(check.axes for variant in report.variants for check in variant.compared)
    rows: list[tuple[Any, ...]] = []
    for variant in report.variants:
        own = variant.checks[0].axes
        groups: dict[str, list[Check]] = {}
        for check in variant.compared:
            if check.inputs == REFERENCE:
                batch = check.batch if check.axes == own else ""
                groups.setdefault(f"{batch} {lengths_text(check.axes)}", []).append(check)
        for checks in groups.values():
            sizes = ", ".join(str(check.batch) for check in checks)
            where = [variant.variant, sizes, *([lengths_text(checks[0].axes)] if lengths else [])]
            if any(check.error for check in checks):
                rows.append((*where, *["-"] * 7, False))
                continue
            for outputs in zip(*(check.outputs for check in checks), strict=True):
                rows.append((*where, *_cells(worst(outputs), variant.tolerance)))
    first = ("variant", "batch", "lengths") if lengths else ("variant", "batch")
    columns = (*first, "output", "max abs error", "at", "cosine", "SQNR dB", "worst sample dB")
    return table((*columns, "allowed", "parity"), rows)


def _by_provider(report: ParityReport) -> Any:
    """A row a provider and variant: the worst of what was compared."""
    rows = []
    for variant in report.variants:
        checks = [check for check in variant.checks if check.inputs == REFERENCE]
        cells = _worst_cells(variant, REFERENCE)
        names = ", ".join(dict.fromkeys(failure.kind for failure in variant.failures))
        sizes = ", ".join(map(str, dict.fromkeys(check.batch for check in checks)))
        lengths = {a: dict.fromkeys(str(c.axes[a]) for c in checks) for a in checks[0].axes}
        along = "; ".join(f"{axis} {', '.join(sizes)}" for axis, sizes in lengths.items())
        rows.append(
            (
                variant.asked,
                variant.variant,
                sizes,
                along or "-",
                *cells,
                variant.passed,
                names or "-",
            )
        )
    for refused in report.refused:
        state = "FAILED" if refused.counted or refused.provider in report.idle else "cannot run"
        row = (refused.provider, refused.variant, *["-"] * 6, state, refused.step)
        rows.append(row)
    columns = ("provider", "variant", "batch", "lengths", "max abs error", "where", "SQNR dB")
    return table((*columns, "allowed", "parity", "why"), rows)


def _worst_cases(report: ParityReport) -> list[Any]:
    """A row a variant and edge, the worst of its shapes; then the worst of all that count."""
    rows: list[tuple[Any, ...]] = []
    ranked: list[tuple[int, float, str]] = []
    for variant in report.variants:
        edges = dict.fromkeys(c.inputs for c in variant.compared if c.inputs != REFERENCE)
        for edge in edges:
            checks = [check for check in variant.checks if check.inputs == edge]
            passed = all(check.passed for check in checks)
            counted = passed or any(check.counted and not check.passed for check in checks)
            state = passed if counted else BEYOND
            cells = _worst_cells(variant, edge)
            rows.append((variant.asked, variant.variant, edge, *cells, state))
            found = variant.worst(edge)
            if found and found[1].sqnr_db is not None:
                name = f"{variant.variant} on {variant.asked}: {found[0].where}"
                rank = 2 if not counted else int(passed)
                ranked.append((rank, found[1].sqnr_db, name))
    columns = ("provider", "variant", "inputs", "max abs error", "where", "SQNR dB", "allowed")
    parts: list[Any] = [table((*columns, "parity"), rows)]
    if ranked:
        _, sqnr, name = min(ranked)
        parts.append(f"Worst case: {name}, {sqnr:.1f} dB.")
    if any(row[-1] == BEYOND for row in rows):
        parts.append(
            f"{BEYOND}: outside of the range that an int8 variant was calibrated for, where it "
            "clips by design; not counted."
        )
    return parts


def _sentences(report: ParityReport) -> Iterator[str]:
    for variant in report.variants:
        name = f"{variant.variant} on {variant.asked}"
        failures = variant.failures
        for failure in failures[:MAX_SENTENCES]:
            yield f"FAILED {name}, {failure.where} ({failure.kind}): {failure.detail}"
        if len(failures) > MAX_SENTENCES:
            yield f"... and {len(failures) - MAX_SENTENCES} more of {name}: see --json."
        if variant.finding is not None:
            yield from finding(variant.finding)
        if variant.passed and variant.batch_dependent:
            yield _batch_effect(name, variant)
        for line in fallback(variant.placement, variant.provider):
            # Fixed axes are the provider's; the rest is of one variant among several.
            shared = len(report.variants) == 1 or line.startswith("Axes fixed")
            yield line if shared else f"{name}: {line}"
    for refused in report.refused:
        word = "FAILED" if refused.counted else "Cannot run"
        fix = f": {refused.fix}." if refused.fix else "."
        what = f"{refused.variant} on {refused.provider} ({refused.step})"
        yield f"{word} {what}: {refused.reason.rstrip('.')}{fix}"
    for provider in report.idle:
        yield f"FAILED {provider} (placement): it is ready and runs none of the variants."
    others = _elsewhere(report)
    if others:
        yield others
    yield from (f"Note: {note}." for note in report.notes)


def _elsewhere(report: ParityReport) -> str | None:
    """Say who told what is expected, where it was not the reference."""
    checks = [check for variant in report.variants for check in variant.checks]
    names = dict.fromkeys(c.expected_from for c in checks if c.expected_from != REFERENCE)
    if not names:
        return None
    where = [
        lengths_text(check.axes) if check.inputs == REFERENCE else "edge inputs"
        for check in checks
        if check.expected_from != REFERENCE
    ]
    at = "; ".join(part for part in dict.fromkeys(where) if part)
    return f"Expected{f' at {at}' if at else ''}: the answers of {', '.join(names)}."


def _batch_effect(name: str, variant: VariantParity) -> str:
    most = min(variant.batch_effect, key=lambda output: output.sqnr_db or 0.0)
    return (
        f"{name} is batch-dependent: a sample alone and in its batch differ by up to "
        f"{most.max_abs_error:.2e} ({most.sqnr_db:.1f} dB), which is within what "
        f"{variant.precision} may differ ({_allowed(variant.tolerance)})."
    )


def _worst_cells(variant: VariantParity, inputs: str) -> tuple[Any, ...]:
    found = variant.worst(inputs)
    if found is None:
        return ("-", "-", "-", _allowed(variant.tolerance))
    check, output = found
    size = f"batch {check.batch}"
    where = ", ".join(part for part in (size, lengths_text(check.axes)) if part)
    if output.max_abs_error is None:
        return ("-", where, "-", _allowed(variant.tolerance))
    error, sqnr = f"{output.max_abs_error:.2e}", f"{output.sqnr_db:.1f}"
    return (error, where, sqnr, _allowed(variant.tolerance))


def _allowed(tolerance: Tolerance) -> str:
    limits = []
    if tolerance.atol is not None:
        limits.append(f"{tolerance.atol:g} + {tolerance.rtol:g}|y|")
    if tolerance.min_sqnr_db is not None:
        limits.append(f"{tolerance.min_sqnr_db:g} dB")
    return ", ".join(limits)


def _cells(output: OutputParity, tolerance: Tolerance) -> tuple[Any, ...]:
    if output.max_abs_error is None:
        return (output.name, *["-"] * 5, _allowed(tolerance), output.passed)
    return (
        output.name,
        f"{output.max_abs_error:.2e}",
        ",".join(map(str, output.index or ())),
        f"{output.cosine:.6f}",
        f"{output.sqnr_db:.1f}",
        "-" if output.worst_sample_sqnr_db is None else f"{output.worst_sample_sqnr_db:.1f}",
        _allowed(tolerance),
        output.passed,
    )
