"""Reference inputs with the outputs that Keras gave for them, saved once, checked anywhere.

Whoever has `reference.npz` can judge a model on a device with no TensorFlow. Needs numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit import files
from edgekit.errors import FeedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgekit.signature import Feeds, Outputs, Signature


@dataclass(frozen=True)
class Reference:
    """Inputs and the outputs expected for them, both by name."""

    inputs: Feeds
    outputs: Outputs

    @classmethod
    def load(cls, path: Path) -> Reference:
        """Read a file that `save` wrote."""
        groups = files.load_groups(path)
        if not groups.get("inputs") or not groups.get("outputs"):
            raise FeedError(
                f"The file {str(path)!r} holds no reference: it needs arrays named inputs/NAME "
                "and outputs/NAME, as `edgekit export` writes them."
            )
        return cls(groups["inputs"], groups["outputs"])

    def save(self, path: Path) -> None:
        """Write both as one `.npz`, under `inputs/NAME` and `outputs/NAME`."""
        files.save_arrays(path, {"inputs": self.inputs, "outputs": self.outputs})

    def batches(self, signature: Signature, size: int) -> Iterator[Reference]:
        """Split the samples into batches of `size`, or of the length that the model fixes.

        A batch that a fixed length leaves over is left out; a model without a batch axis is one
        case.
        """
        fixed = signature.fixed_batch
        batched = signature.batched or fixed is not None
        count = len(next(iter(self.inputs.values()))) if batched else 1
        size = fixed or size
        if not batched or size >= count:
            yield self
            return
        for start in range(0, count - size + 1 if fixed else count, size):
            rows = slice(start, start + size)
            yield Reference(
                {name: array[rows] for name, array in self.inputs.items()},
                {name: array[rows] for name, array in self.outputs.items()},
            )
