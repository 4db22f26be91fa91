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
        """Split the samples into batches of `size`, the last of which starts early to be full.

        A model whose batch is fixed gets batches of that; one without a batch axis is one case.
        """
        count = len(next(iter(self.inputs.values()))) if self.inputs else 0
        if not signature.batched:
            size = fixed_batch(signature)
        if not size or size >= count:
            yield self
            return
        for start in range(0, count, size):
            first = min(start, count - size)
            rows = slice(first, first + size)
            yield Reference(
                {name: array[rows] for name, array in self.inputs.items()},
                {name: array[rows] for name, array in self.outputs.items()},
            )


def fixed_batch(signature: Signature) -> int:
    """Give the one length that the first axis of everything is fixed to, or 0."""
    firsts = {s.shape[0] if s.shape else 0 for s in (*signature.inputs, *signature.outputs)}
    first = firsts.pop()
    return first if isinstance(first, int) and not firsts else 0
