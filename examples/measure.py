"""What the examples say of a latency, in one line, and which classes they take for which."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

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


def confusion_picture(
    truth: np.ndarray, answers: np.ndarray, labels: Sequence[str], out: Path
) -> None:
    """Draw how often each class, an index of `labels` a sample, is answered for each other."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    counts = np.zeros((len(labels), len(labels)), int)
    np.add.at(counts, (truth, answers), 1)
    figure, axis = plt.subplots(figsize=(6, 5), layout="constrained")
    axis.imshow(counts / np.maximum(counts.sum(1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    axis.set_xticks(range(len(labels)), labels, rotation=30, ha="right")
    axis.set_yticks(range(len(labels)), labels)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            axis.text(column, row, str(count), ha="center", va="center")
    axis.set(xlabel="answer", ylabel="truth")
    figure.savefig(out)
    plt.close(figure)
