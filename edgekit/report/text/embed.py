"""A written project in words: what is in it, that its model answers, and how to prove it there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.report.text import size, table

if TYPE_CHECKING:
    from edgekit.embedder.project import Embedded


def embedded(made: Embedded) -> list[Any]:
    """What was written and from what, the golden vectors' errors here, and the next step."""
    what = f"{made.variant} of {made.model}" if made.variant else made.model
    rows = [
        (
            output.name,
            f"{output.max_abs_error or 0:.2e}",
            f"{output.sqnr_db or 0:.1f}",
            output.passed,
        )
        for output in made.outputs
    ]
    return [
        f"Wrote {made.path}: {made.name} for {made.target}, {len(made.files)} files, "
        f"{size(made.size_bytes)}",
        f"  model    {what} ({made.reason}), {size(made.model_size_bytes)}",
        f"  runtime  {made.runtime}",
        f"Golden vectors, {made.cases} cases, on this machine's CPU:",
        table(("output", "max abs error", "SQNR dB", "parity"), rows),
        f"Prove them on the platform: make -C {made.path} test",
    ]
