"""Which samples prove a file, told by functions that stand for Keras and for the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from edgekit.errors import ExportError
from edgekit.exporter import evidence
from edgekit.parity import TOLERANCES
from edgekit.reference import Reference
from edgekit.signature import Feeds, Outputs, Signature, TensorSpec

SPEC = ("float32", ("batch",))
SIGNATURE = Signature((TensorSpec("x", *SPEC),), (TensorSpec("y", *SPEC),))
Answer = Callable[[Any], Any]


@dataclass
class File:
    """A runner of one input and one output."""

    answer: Answer
    signature: Signature = SIGNATURE

    def run(self, feeds: Feeds) -> Outputs:
        return {"y": np.asarray(self.answer(feeds["x"]), np.float32)}


def verify(keras: Answer, file: Answer, reference: list[float], probe: list[float]) -> list[float]:
    """Verify the file's function against Keras's, and give the samples that are kept."""
    model = File(keras)
    feeds = [{"x": np.array(values, np.float32)} for values in (reference, probe)]
    cases = [Reference(each, model.run(each)) for each in feeds]
    runner: Any = File(file)
    kept, _ = evidence.verify(runner, model.run, cases[0], cases[1], TOLERANCES["fp32"])
    return [round(float(x), 3) for x in kept.inputs["x"]]


def step(x: Any) -> Any:
    return x > 0.5


def rounded_step(x: Any) -> Any:
    return x > 0.5 - 1e-7


def centred(x: Any) -> Any:
    return x - x.mean()


@pytest.mark.parametrize(
    ("keras", "file", "reference", "probe", "kept"),
    [
        pytest.param(step, step, [0.5, 0.2], [0.3], [0.5, 0.2], id="equal"),
        pytest.param(
            step, rounded_step, [0.5, 0.2, 0.9], [0.3], [0.2, 0.9], id="a tie is left out"
        ),
        pytest.param(step, rounded_step, [0.2], [0.5, 0.9], [0.2], id="a tie of the probe"),
        pytest.param(centred, centred, [1.0, 2.0], [3.0, 5.0], [1.0], id="samples that depend"),
    ],
)
def test_samples_that_are_kept(
    keras: Answer, file: Answer, reference: list[float], probe: list[float], kept: list[float]
) -> None:
    assert verify(keras, file, reference, probe) == kept


@pytest.mark.parametrize(
    ("file", "reference", "probe", "message"),
    [
        pytest.param(rounded_step, [0.5, 0.5], [0.2], "answers jump", id="only ties"),
        pytest.param(lambda x: x > 0.1, [0.5, 0.2], [0.9], "not answer as Keras", id="wrong"),
        pytest.param(lambda x: x > 0.1, [0.9], [0.9, 0.2], "not answer as Keras", id="wrong probe"),
    ],
)
def test_a_file_that_is_not_proved(
    file: Answer, reference: list[float], probe: list[float], message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        verify(step, file, reference, probe)
