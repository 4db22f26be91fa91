"""A compiled file in words: what it is, how it loads, and that it answers as its source does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.report.text import milliseconds, size, table

if TYPE_CHECKING:
    from edgekit.compiler import Compiled


def compiled(made: Compiled) -> list[Any]:
    """What was written, its parity with the source, and how to use it."""
    axes = ", ".join(f"{axis} {length}" for axis, length in made.axes.items())
    rows = [
        (
            output.name,
            f"{output.max_abs_error or 0:.2e}",
            f"{output.cosine or 0:.6f}",
            f"{output.sqnr_db or 0:.1f}",
            output.passed,
        )
        for output in made.outputs
    ]
    lines: list[Any] = [
        f"Compiled {made.path} ({made.recipe}{', ' if axes else ''}{axes}): "
        f"{size(made.size_bytes)}, its source {size(made.source_size_bytes)}",
        f"  loads in {milliseconds(made.load_ms)} ms on {made.provider}, "
        f"its source in {milliseconds(made.source_load_ms)} ms (one load each, in this process)",
        *(f"  beside it {path}" for path in made.beside),
        f"Against {made.source} on {made.provider}:",
        table(("output", "max abs error", "cosine", "SQNR dB", "parity"), rows),
    ]
    if made.bundle is not None:
        lines.append(
            f"Use it: edgekit validate {made.bundle.path} --variant {made.variant} "
            f"--provider {made.provider}"
        )
    return lines
