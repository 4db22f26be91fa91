"""Mobile readiness in words: a row a target, what is in the way, and the advice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.report.text import table

if TYPE_CHECKING:
    from edgekit.mobile import MobileReport, Partitions


def mobile(report: MobileReport) -> list[Any]:
    """What each accelerator takes as it is and with fixed axes, caveats, advice."""
    lengths = ", ".join(f"{axis} {length}" for axis, length in report.axes.items())
    fixed = (f"with {lengths}", "parts", "worth it") if report.axes else ()
    rows = []
    for each in report.targets:
        after = (*_cells(each.fixed),) if each.fixed else ()
        missing = ", ".join(f"{op} {count}" for op, count in each.unsupported.items())
        ranks = f"too many axes: {', '.join(each.best.rank)}" if each.best.rank else ""
        rows.append(
            (each.target, *_cells(each.as_is), *after, "; ".join(filter(None, (missing, ranks))))
        )
    caveats = [
        (each.target, op, text) for each in report.targets for op, text in each.caveats.items()
    ]
    parts: list[Any] = [
        f"What phones' accelerators would take of {report.path}, by onnxruntime's lists:",
        table(("target", "as it is", "parts", "worth it", *fixed, "not taken"), rows),
    ]
    if caveats:
        parts.append(table(("target", "operator", "taken under a condition, not checked"), caveats))
    return [*parts, *(f"- {line}" for line in report.advice)]


def _cells(found: Partitions) -> tuple[str, str, str]:
    return f"{found.taken} of {found.nodes}", str(len(found.sizes)), found.verdict
