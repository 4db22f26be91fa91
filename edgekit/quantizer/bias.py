"""Bias correction: what rounding adds to a channel on average is taken from its bias.

Rounded weights, and values cut at the ends of a range, move the mean of a channel's output. The
mean error on calibration data is taken from the bias, layer by layer from the input on, so that
each one is measured behind layers that are right already (Nagel et al., "Data-Free Quantization
Through Weight Equalization and Bias Correction", 2019, section 4.2, the empirical way).
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.quantizer import graph
from edgekit.quantizer.observe import observe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.quantizer.calibration import Calibration

Array = np.ndarray[Any, np.dtype[Any]]

#: Samples that the means are taken over: every layer needs a run of its own over them.
SAMPLES = 64


def add_biases(model: Any, nodes: Sequence[Any]) -> None:
    """Give each Conv and Gemm that has none a bias of zeros, for its correction."""
    import onnx_ir as ir

    for node in nodes:
        if node.op_type == "MatMul" or (len(node.inputs) > 2 and node.inputs[2] is not None):
            continue
        weight = node.inputs[1].const_value.shape
        transposed = node.op_type == "Conv" or node.attributes.get_int("transB", 0)
        name = f"{node.inputs[1].name}__bias__{node.name}"
        zeros = ir.Tensor(np.zeros(weight[0 if transposed else 1], np.float32), name=name)
        bias = ir.Value(name=name, shape=zeros.shape, type=ir.TensorType(zeros.dtype))
        bias.const_value = zeros
        model.graph.register_initializer(bias)
        node.resize_inputs(3)
        node.replace_input_with(2, bias)


def correct(floats: Path, model: Any, nodes: Sequence[str], calibration: Calibration) -> list[str]:
    """Correct the biases of a model in QDQ form, in place; gives notes of what was done.

    `floats` is the float file that it was made from, `nodes` the names of the layers to correct,
    which are the same in both.
    """
    data = dataclasses.replace(calibration, samples=min(SAMPLES, calibration.samples))
    layers = [node for node in model.graph if node.name in set(nodes) and _bias(node) is not None]
    names = _outputs(floats, [node.name for node in layers])
    expected = _means(floats, list(names.values()), data, [_axis(node) for node in layers])
    sizes = []
    with tempfile.TemporaryDirectory(dir=floats.parent) as folder:
        part = Path(folder) / "part.onnx"
        for node, want in zip(layers, expected, strict=True):
            _save_part(model, node, part)
            (got,) = _means(part, [node.outputs[0].name], data, [_axis(node)])
            sizes.append(float(np.abs(got - want).max() / max(float(np.abs(want).max()), 1e-12)))
            _add(node, want - got)
    if not layers:
        return ["bias correction changed nothing: no layer has a bias to correct"]
    return [
        f"the biases of {len(layers)} layers were corrected: the means of channels were off by up "
        f"to {max(sizes):.1%} of the layer's largest mean"
    ]


def _axis(node: Any) -> int:
    return 1 if node.op_type == "Conv" else -1


def _outputs(path: Path, names: Sequence[str]) -> dict[str, str]:
    """Give the name of the first output of each node of a file."""
    given = {node.name: node.outputs[0].name for node in graph.load(path).graph}
    return {name: given[name] for name in names}


def _means(path: Path, names: list[str], data: Calibration, axes: list[int]) -> list[Array]:
    """Give the mean of each channel of some tensors over all samples."""
    sums: list[Any] = [0.0] * len(names)
    counts = [0] * len(names)
    for tensors in observe(path, names, data.batches(1)):
        for i, (name, axis) in enumerate(zip(names, axes, strict=True)):
            rows = np.moveaxis(tensors[name], axis, -1).reshape(-1, tensors[name].shape[axis])
            sums[i] = sums[i] + rows.sum(0, dtype=np.float64)
            counts[i] += len(rows)
    return [total / max(count, 1) for total, count in zip(sums, counts, strict=True)]


def _save_part(model: Any, node: Any, path: Path) -> None:
    """Write the part of a model that leads to a node's output, as its only output."""
    from onnx_ir.passes import common

    part = model.clone()
    (value,) = (n.outputs[0] for n in part.graph if n.name == node.name)
    part.graph.outputs.clear()
    part.graph.outputs.append(value)
    common.RemoveUnusedNodesPass()(part)
    graph.save(part, path)


def _bias(node: Any) -> Any:
    """Give the constant that is a layer's bias, or None: of a MatMul, the one that is added."""
    if node.op_type in ("Conv", "Gemm"):
        value = node.inputs[2] if len(node.inputs) > 2 else None
    else:
        uses = node.outputs[0].uses()
        adds = len(uses) == 1 and uses[0].node.op_type == "Add"
        value = uses[0].node.inputs[1 - uses[0].idx] if adds else None
    maker = value.producer() if value is not None else None
    if maker is not None and maker.op_type == "DequantizeLinear":
        value = maker.inputs[0]
        if value.const_value is None or value.const_value.numpy().dtype != np.int32:
            return None
    alone = value is not None and value.const_value is not None and len(value.uses()) == 1
    return value if alone else None


def _add(node: Any, error: Array) -> None:
    """Add to a layer's bias: to the nearest of its steps where it is an integer."""
    import onnx_ir as ir

    bias = _bias(node)
    values = bias.const_value.numpy()
    if values.dtype == np.int32:
        (use,) = bias.uses()
        scale = use.node.inputs[1].const_value.numpy().astype(np.float64)
        limits = np.iinfo(np.int32)
        moved = (values + np.rint(error / scale)).clip(limits.min, limits.max).astype(np.int32)
    else:
        moved = (values + error.reshape(values.shape)).astype(np.float32)
    bias.const_value = ir.Tensor(moved, name=bias.name)
