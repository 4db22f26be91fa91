"""The proof of a file: its answers beside Keras's, on samples that can be compared.

Two kinds cannot. A sample whose answer depends on the others of its batch is compared with them
only. One that Keras itself answers otherwise when its input moves by a rounding (two candidates of
a `top_k` are as good) says nothing about a conversion, and is left out.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit import parity
from edgekit.errors import ExportError
from edgekit.reference import Reference
from edgekit.validation import check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edgekit.parity import OutputParity, Tolerance
    from edgekit.runtime.runner import Runner
    from edgekit.signature import Feeds, Outputs

    Keras = Callable[[Feeds], Outputs]

#: What rounding makes of a number on its way through a deep network, of the number itself.
ROUNDING = 1e-5
MOVES = 4


def verify(
    runner: Runner, keras: Keras, reference: Reference, probe: Reference, tolerance: Tolerance
) -> tuple[Reference, dict[int, tuple[OutputParity, ...]]]:
    """Compare the file with Keras on the reference and at other lengths of the free axes.

    Gives the reference with the evidence, without the samples that cannot be compared. Raises
    `ExportError` where the file answers otherwise than Keras.
    """
    evidence = check(runner, reference, tolerance)
    if not _passed(itertools.chain(*evidence.values())):
        if runner.signature.batched and _mixes(runner, keras, reference, tolerance):
            feeds = {name: array[:1] for name, array in reference.inputs.items()}
            reference = Reference(feeds, keras(feeds))
        else:
            reference = _steady(runner, keras, reference, tolerance)
        evidence = check(runner, reference, tolerance)
    other = parity.compare(probe.outputs, runner.run(probe.inputs), tolerance)
    if not _passed(other):
        probe = _steady(runner, keras, probe, tolerance)
        other = parity.compare(probe.outputs, runner.run(probe.inputs), tolerance)
    for output in itertools.chain(*evidence.values(), other):
        if not output.passed:
            raise ExportError(
                f"The exported model does not answer as Keras does: its output {output.name!r} "
                f"has {output.detail}; this is a defect of the conversion, please report it "
                "with the model."
            )
    return reference, evidence


def _passed(outputs: Iterable[OutputParity]) -> bool:
    return all(output.passed for output in outputs)


def _mixes(runner: Runner, keras: Keras, reference: Reference, tolerance: Tolerance) -> bool:
    """Whether Keras itself answers otherwise for a sample alone than for it in its batch."""
    return any(
        not _passed(parity.compare(case.outputs, keras(case.inputs), tolerance))
        for case in reference.batches(runner.signature, 1)
    )


def _steady(runner: Runner, keras: Keras, reference: Reference, tolerance: Tolerance) -> Reference:
    """Leave out the samples that fail, if Keras's own answers to them jump.

    Raises `ExportError` where no other is left.
    """
    right: list[Reference] = []
    for case in reference.batches(runner.signature, 1):
        if _passed(parity.compare(case.outputs, runner.run(case.inputs), tolerance)):
            right.append(case)
        elif not _jumps(keras, case, tolerance):
            return reference
    if not right:
        raise ExportError(
            "The exported model cannot be compared: Keras's own answers jump where an input moves "
            f"by {ROUNDING:g} of itself, as where two candidates of a top_k are equal; give "
            "inputs with a clear answer with reference={name: array}."
        )
    return Reference(_stacked([c.inputs for c in right]), _stacked([c.outputs for c in right]))


def _stacked(groups: list[Feeds]) -> Feeds:
    return {name: np.concatenate([group[name] for group in groups]) for name in groups[0]}


def _jumps(keras: Keras, case: Reference, tolerance: Tolerance) -> bool:
    """Whether Keras answers otherwise when the floats of its inputs move by a rounding."""
    rng = np.random.default_rng(0)
    return any(
        not _passed(parity.compare(case.outputs, keras(_moved(case.inputs, rng)), tolerance))
        for _ in range(MOVES)
    )


def _moved(feeds: Feeds, rng: Any) -> Feeds:
    return {
        name: (array * (1 + ROUNDING * rng.normal(size=array.shape))).astype(array.dtype)
        if array.dtype.kind == "f"
        else array
        for name, array in feeds.items()
    }
