"""Files written without copies of their weights: the bytes that protobuf would write, or two files.

A limit is lowered where the real one would need gigabytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from edgekit.exporter import writer


def model(*weights: np.ndarray[Any, Any]) -> ir.Model:
    """A sum of an input and some weights."""
    x = ir.Value(name="x", shape=ir.Shape([None, 4]), type=ir.TensorType(ir.DataType.FLOAT))
    values = []
    for i, array in enumerate(weights):
        tensor = ir.tensor(array, name=f"w{i}")
        values.append(
            ir.Value(
                name=tensor.name,
                shape=ir.Shape(array.shape),
                type=ir.TensorType(tensor.dtype),
                const_value=tensor,
            )
        )
    node = ir.Node("", "Sum", [x, *values])
    (y,) = node.outputs
    y.name, y.shape, y.type = "y", x.shape, x.type
    graph = ir.Graph(
        [x], node.outputs, nodes=[node], initializers=values, opset_imports={"": 18}, name="g"
    )
    return ir.Model(graph, ir_version=8)


LARGE = np.arange(4 * 2**17, dtype=np.float32).reshape(-1, 4)
SMALL = np.ones((1, 4), np.float32)


@pytest.mark.parametrize(
    "weights",
    [
        pytest.param([], id="none"),
        pytest.param([SMALL], id="small"),
        pytest.param([LARGE], id="large"),
        pytest.param([SMALL, LARGE, 2 * SMALL, np.ones((2**19, 4), np.float16)], id="mixed"),
        pytest.param([LARGE.T[:4].T[::2]], id="strided"),
    ],
)
def test_a_file_is_one_message(tmp_path: Path, weights: list[np.ndarray[Any, Any]]) -> None:
    written = model(*weights)
    writer.save(written, tmp_path / "m.onnx")
    data = (tmp_path / "m.onnx").read_bytes()
    proto = onnx.load_from_string(data)
    onnx.checker.check_model(proto)
    found = {t.name: onnx.numpy_helper.to_array(t) for t in proto.graph.initializer}
    assert len(found) == len(weights)
    for i, array in enumerate(weights):
        np.testing.assert_array_equal(found[f"w{i}"], array)
    # Nothing is there that a parser would not keep.
    assert len(proto.SerializeToString()) == len(data)
    # The model is as it was.
    assert sorted(written.graph.initializers) == sorted(found)


def test_weights_of_two_gigabytes_go_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "EXTERNAL_BYTES", LARGE.nbytes)
    writer.save(model(LARGE), tmp_path / "m.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.onnx", "m.onnx.data"]
    (tensor,) = onnx.load(tmp_path / "m.onnx").graph.initializer
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(tensor), LARGE)
