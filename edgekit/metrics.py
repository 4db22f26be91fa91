"""The task's metric of an open model on held-out data. Needs numpy only.

A manifest names its metric; what it computes stands once, in `model_defs.metrics`, which the
training uses too. A NaN never counts as right there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from edgekit.errors import BundleError
from edgekit.reference import fixed_batch
from model_defs.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekit.bundle import Bundle
    from edgekit.signature import Outputs, Signature

#: Samples that are run at once.
BATCH = 64


class Answering(Protocol):
    """What a metric asks: a `Runner`, or what stands for one."""

    signature: Signature

    def run(self, feeds: Mapping[str, Any], /) -> Outputs:
        """Give the outputs of a feed by name."""
        ...


def evaluate(bundle: Bundle, runner: Answering) -> float | None:
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
    return score(runner, data["inputs"], data["targets"][""], name)


def score(
    runner: Answering, inputs: Mapping[str, Any], targets: np.ndarray[Any, Any], name: str
) -> float:
    """Give a metric of `METRICS` of the first output, over samples with their targets."""
    size = BATCH if runner.signature.batched else fixed_batch(runner.signature) or len(targets)
    pieces = []
    for start in range(0, len(targets), size):
        # The last batch starts early to be full, and only what is new of it is kept.
        first = max(0, min(start, len(targets) - size))
        rows = slice(first, first + size)
        answer = runner.run({key: array[rows] for key, array in inputs.items()})
        pieces.append(next(iter(answer.values()))[start - first :])
    scores = np.concatenate(pieces)
    return METRICS[name](scores, targets)
