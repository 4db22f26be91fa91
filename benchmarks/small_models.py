"""Models made in code, and the cnn: what the runner's benchmarks run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray[Any, Any]


def one_node(folder: Path) -> Path:
    """Write a model that is one Relu over eight floats."""
    return _save(folder / "one_node.onnx", [helper.make_node("Relu", ["x"], ["y"])], [8], [8])


def widened(folder: Path, mib: int) -> Path:
    """Write a model that widens one float to `mib` MiB, which computes next to nothing."""
    size = mib * 2**18
    node = helper.make_node("Expand", ["x", "shape"], ["y"])
    shape = np.array([1, size])
    return _save(folder / f"widened_{mib}mib.onnx", [node], [1], [size], shape=shape)


def upsampling(folder: Path) -> Path:
    """Write a model that makes a picture of 256 by 256 of one of 64 by 64."""
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], kernel_shape=[4, 4], strides=[4, 4])
    weights = np.random.default_rng(0).random((3, 3, 4, 4)).astype(np.float32)
    return _save(folder / "upsampling.onnx", [node], [3, 64, 64], [3, 256, 256], w=weights)


def small_cnn(folder: Path) -> Path:
    """Give the exported cnn where there is one, else write its like with random weights."""
    exported = Path("artifacts/cnn")
    if (exported / "manifest.json").is_file():
        return exported
    rng = np.random.default_rng(0)
    shapes = {"w1": (32, 1, 3, 3), "w2": (64, 32, 3, 3), "w3": (64 * 7 * 7, 64), "w4": (64, 10)}
    weights = {n: (rng.standard_normal(s) / 10).astype(np.float32) for n, s in shapes.items()}
    same: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    half: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"], **same),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("MaxPool", ["r1"], ["p1"], **half),
        helper.make_node("Conv", ["p1", "w2"], ["c2"], **same),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("MaxPool", ["r2"], ["p2"], **half),
        helper.make_node("Flatten", ["p2"], ["f"]),
        helper.make_node("MatMul", ["f", "w3"], ["d"]),
        helper.make_node("Relu", ["d"], ["r3"]),
        helper.make_node("MatMul", ["r3", "w4"], ["y"]),
    ]
    return _save(folder / "small_cnn.onnx", nodes, [1, 28, 28], [10], **weights)


def _save(
    path: Path, nodes: list[onnx.NodeProto], takes: list[int], gives: list[int], **weights: Array
) -> Path:
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *takes])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", *gives])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    onnx.save(
        helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)]), path
    )
    return path
