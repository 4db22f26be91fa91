"""What a compiled file is compared with its source on: fixed axes, and samples of that size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import CompileError
from edgekit.feeds import make_feeds
from edgekit.reference import fixed_batch
from edgekit.runtime.runner import RunOptions, open_runner
from edgekit.runtime.shapes import fix_axes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edgekit.compiler.writers import Writer
    from edgekit.signature import Feeds, Outputs, Signature

#: Different inputs that a compiled file is compared with its source on.
SAMPLES = 4


@dataclass(frozen=True)
class Case:
    """How the source is run: the signature wanted of the file, the lengths it has, and samples.

    `answers` are those of the source on the CPU.
    """

    signature: Signature
    axes: dict[str, int]
    feeds: tuple[Feeds, ...]
    answers: tuple[Outputs, ...]
    options: RunOptions


def make_case(
    source: Path, reference: Mapping[str, Any] | None, writer: Writer, options: RunOptions
) -> Case:
    """Fix the free axes that the writer needs fixed or that were given, and make samples.

    The samples are made of the inputs of a reference, where there is one.

    Raises `CompileError` for a free axis whose length nothing tells.
    """
    with open_runner(source) as runner:
        feeds = _samples(source, reference, runner.signature, writer, options.get("axes") or {})
        answers = tuple(runner.run(each) for each in feeds)
        signature = runner.signature
    axes = signature.lengths(feeds[0]) if writer.fixed_axes else dict(options.get("axes") or {})
    run = RunOptions(**{**options, "axes": axes or None, "provider": writer.provider})
    return Case(fix_axes(signature, axes), axes, feeds, answers, run)


def _samples(
    source: Path,
    reference: Mapping[str, Any] | None,
    signature: Signature,
    writer: Writer,
    axes: Mapping[str, int],
) -> tuple[Feeds, ...]:
    fix_axes(signature, axes)  # an axis that is not there is refused by name
    batch = next((axes[axis] for axis in _batch_axes(signature) if axis in axes), 1)
    known = {*axes, *_batch_axes(signature), *_told(signature, reference)}
    unknown = [axis for axis in signature.free_axes if axis not in known]
    if unknown and writer.fixed_axes:
        raise CompileError(
            f"The model {str(source)!r} has the free axes {', '.join(map(repr, unknown))} and no "
            f"reference that tells their length: give --fix-axis {unknown[0]}=LENGTH."
        )
    return tuple(
        make_feeds(
            signature,
            reference=_turned(reference, signature, batch * seed),
            batch=batch if _batch_axes(signature) else fixed_batch(signature) or 1,
            axes=axes,
            seed=seed,
        )
        for seed in range(SAMPLES)
    )


def _batch_axes(signature: Signature) -> set[str]:
    """The axis that `make_feeds` takes for the batch: the free first one of all inputs."""
    firsts = {spec.shape[0] if spec.shape else 0 for spec in signature.inputs}
    return {axis for axis in firsts if isinstance(axis, str)} if len(firsts) == 1 else set()


def _told(signature: Signature, reference: Mapping[str, Any] | None) -> set[str]:
    """The free axes of inputs that a reference has."""
    given = reference or {}
    axes = (axis for spec in signature.inputs if spec.name in given for axis in spec.shape)
    return {axis for axis in axes if isinstance(axis, str)}


def _turned(
    reference: Mapping[str, Any] | None, signature: Signature, by: int
) -> Mapping[str, Any] | None:
    """Start a reference of samples at another one, so that what is cut off it differs."""
    if reference is None or not signature.batched:
        return reference
    return {name: np.roll(array, -by, axis=0) for name, array in reference.items()}
