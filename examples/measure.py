"""What the examples say of a latency, in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import edgekit


def latency_line(path: Path, **options: Any) -> str:
    """`edgekit.benchmark` of one file on one thread, with its conditions.

    `options` go to `edgekit.benchmark`.
    """
    report = edgekit.benchmark(path, duration_s=1.0, **options)
    found = report.results[0]
    spread = f"p50 {found.p50_ms:.3g} ms, p90 {found.p90_ms:.3g} ms"
    where = f"{report.conditions['cpu']}, onnxruntime {report.conditions['onnxruntime']}"
    return f"{spread} (cpu provider, 1 thread, batch 1, {found.runs} runs, {where})"
