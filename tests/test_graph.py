from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgekit.errors import ModelError
from edgekit.graph import inspect
from tests.conftest import write_model

F = TensorProto.FLOAT


def zeros(*shape: int) -> Any:
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("node", "shape", "out", "weights", "macs"),
    [
        pytest.param(
            helper.make_node("Conv", ["x", "w"], ["y"]),
            ["batch", 3, 8, 8],
            ["batch", 5, 6, 6],
            {"w": zeros(5, 3, 3, 3)},
            5 * 6 * 6 * 3 * 3 * 3,
            id="conv",
        ),
        pytest.param(
            helper.make_node("Conv", ["x", "w"], ["y"], group=4),
            ["batch", 4, 8, 8],
            ["batch", 4, 6, 6],
            {"w": zeros(4, 1, 3, 3)},
            4 * 6 * 6 * 3 * 3,
            id="depthwise",
        ),
        pytest.param(
            helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2]),
            ["batch", 3, 4, 4],
            ["batch", 5, 8, 8],
            {"w": zeros(3, 5, 2, 2)},
            3 * 4 * 4 * 5 * 2 * 2,
            id="transposed conv",
        ),
        pytest.param(
            helper.make_node("MatMul", ["x", "w"], ["y"]),
            ["batch", 7, 4],
            ["batch", 7, 3],
            {"w": zeros(4, 3)},
            7 * 4 * 3,
            id="matmul",
        ),
        pytest.param(
            helper.make_node("Gemm", ["x", "w"], ["y"], transB=1),
            ["batch", 4],
            ["batch", 3],
            {"w": zeros(3, 4)},
            4 * 3,
            id="gemm",
        ),
        pytest.param(
            helper.make_node("GRU", ["x", "w", "r"], ["y"], hidden_size=5),
            ["time", "batch", 4],
            ["time", 1, "batch", 5],
            {"w": zeros(1, 15, 4), "r": zeros(1, 15, 5)},
            16 * 15 * (4 + 5),
            id="gru",
        ),
        pytest.param(
            helper.make_node("Relu", ["x"], ["y"]), ["batch", 4], ["batch", 4], {}, 0, id="relu"
        ),
    ],
)
def test_macs(
    tmp_path: Path,
    node: Any,
    shape: list[Any],
    out: list[Any],
    weights: dict[str, Any],
    macs: int,
) -> None:
    path = write_model(tmp_path / "m.onnx", [node], [("x", F, shape)], [("y", F, out)], **weights)
    found = inspect(path, {"batch": 1, "time": 16})
    assert (found.macs, found.uncounted) == (macs, ())
    assert found.parameters == sum(array.size for array in weights.values())
    assert found.operators == {node.op_type: 1}
    assert found.opset == {"ai.onnx": 18}
    assert found.size_bytes == path.stat().st_size


def test_operators_inside_a_branch_are_counted(tmp_path: Path) -> None:
    def branch(op: str) -> Any:
        return helper.make_graph(
            [helper.make_node(op, ["x"], [f"{op}_y"])],
            op,
            [],
            [helper.make_tensor_value_info(f"{op}_y", F, ["batch"])],
        )

    path = write_model(
        tmp_path / "if.onnx",
        [
            helper.make_node(
                "If", ["c"], ["y"], then_branch=branch("Relu"), else_branch=branch("Abs")
            )
        ],
        [("x", F, ["batch"]), ("c", TensorProto.BOOL, [])],
        [("y", F, ["batch"])],
    )
    assert inspect(path).operators == {"If": 1, "Relu": 1, "Abs": 1}


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"x" * 100)
    with pytest.raises(ModelError, match="cannot open"):
        inspect(tmp_path / "bad.onnx")
