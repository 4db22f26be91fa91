"""What is exported to know what edgekit covers: one row a mode of a Keras layer or function.

The tests prove each row, and the coverage table is made of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import edgekit
from edgekit import exporter, parity
from edgekit.exporter import trace


@dataclass(frozen=True)
class Case:
    """One mode of `subject` ("keras.layers.Conv2D", "keras.ops.abs"), as a model of its own.

    `feeds` are inputs that show the mode, where seeded noise would not. `refused` is what the
    error has to say, for what ONNX cannot hold.
    """

    subject: str
    mode: str
    build: Callable[[], Any]
    feeds: dict[str, np.ndarray[Any, Any]] | None = None
    refused: str | None = None
    opset: int = 18

    @property
    def id(self) -> str:
        """Its name in the tests and the table."""
        return f"{self.subject.rpartition('.')[2]}-{self.mode}"


@dataclass(frozen=True)
class Proof:
    """What a case became: its operators in order of first use, and its worst error."""

    operators: tuple[str, ...]
    max_abs_error: float


def prove(case: Case, path: Path) -> Proof:
    """Export a case and compare the file with Keras; raises where they differ."""
    model = case.build()
    edgekit.export(model, path, opset=case.opset, reference=case.feeds)
    graph = onnx.load(path)
    assert {node.domain for node in graph.graph.node} <= {"", "ai.onnx"}
    with edgekit.open(path) as runner:
        feeds = case.feeds or runner.signature.sample(seed=7, batch=2)
        expected = trace.predict(model, runner.signature.inputs, feeds)
        outputs = runner.run(feeds)
    assert list(outputs) == list(expected)
    tolerance = parity.TOLERANCES[exporter.precision(model)]
    worst = 0.0
    for name, array in expected.items():
        assert outputs[name].dtype == array.dtype
        np.testing.assert_allclose(
            outputs[name], array, atol=tolerance.atol or 0, rtol=tolerance.rtol
        )
        both = outputs[name].astype(np.float64), array.astype(np.float64)
        if array.size:
            worst = max(worst, float(np.nanmax(np.abs(both[0] - both[1]))))
    return Proof(tuple(dict.fromkeys(node.op_type for node in graph.graph.node)), worst)
