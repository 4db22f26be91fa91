"""The task's metric of an open model on a bundle's held-out data. Needs numpy only.

A manifest names its metric; what it computes stands once, in `model_defs.metrics`, which the
training uses too. A NaN never counts as right there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgekit.errors import BundleError
from model_defs.metrics import METRICS

if TYPE_CHECKING:
    from edgekit.bundle import Bundle
    from edgekit.runtime.runner import Runner

#: Samples that are run at once.
BATCH = 64


def evaluate(bundle: Bundle, runner: Runner) -> float | None:
    """Give the metric of an open model on the bundle's held-out data, or None without any."""
    name = bundle.manifest.metric
    data = bundle.data("evaluation")
    if data is None or name is None:
        return None
    if name not in METRICS:
        raise BundleError(
            f"The bundle {str(bundle.path)!r} names the metric {name!r}: this edgekit knows "
            f"{', '.join(METRICS)}."
        )
    targets = data["targets"][""]
    fixed = runner.signature.fixed_batch
    size = fixed or (BATCH if runner.signature.batched else len(targets))
    # A model of a fixed batch leaves out the samples that do not fill one.
    count = len(targets) // size * size if fixed else len(targets)
    pieces = [
        runner.run({key: array[start : start + size] for key, array in data["inputs"].items()})
        for start in range(0, count, size)
    ]
    if not pieces:
        return None
    scores = np.concatenate([next(iter(piece.values())) for piece in pieces])
    return METRICS[name](scores, targets[:count])
