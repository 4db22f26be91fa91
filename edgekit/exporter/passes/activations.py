"""Activations that ONNX has an operator for, found in what Keras and users write them as.

Before arithmetic is folded into weights: half of a hard sigmoid would go with it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekit.exporter.passes.absorb import affine
from edgekit.exporter.passes.layout import graphs
from edgekit.exporter.passes.layout.forms import constant

SWISH_OPSET = 14


def name(model: Any) -> None:
    """Write each activation that is found as its operator, or as what runs faster."""
    swish = model.opset_imports[""] >= SWISH_OPSET
    for graph in list(model.graphs()):
        for node in list(graph):
            if node.domain or node.graph is not graph:
                continue
            if node.op_type == "Clip":
                _hard_sigmoid(graph, node, swish)
            elif node.op_type == "Softplus":
                _mish(graph, node)
            elif node.op_type == "Where":
                _thresholded(node)


def _hard_sigmoid(graph: Any, clip: Any, swish: bool) -> None:
    """Write `clip(x + 3, 0, 6) / 6` as HardSigmoid, and its product with `x` as HardSwish."""
    before = clip.inputs[0].producer()
    shifted = None if before is None else affine(before)
    after = graphs.only_reader(graph, clip)
    scaled = None if after is None else affine(after)
    limits = [constant(value) for value in clip.inputs[1:]]
    if shifted is None or scaled is None or len(limits) != 2:
        return
    found = (shifted.scale, shifted.shift, scaled.scale, scaled.shift, *limits)
    expected = (None, 3.0, 1 / 6, None, 0.0, 6.0)
    if not all(_is(array, number) for array, number in zip(found, expected, strict=True)):
        return
    x = shifted.value
    product = graphs.only_reader(graph, after)
    (gate,) = after.outputs
    paired = product is not None and product.op_type == "Mul" and {*product.inputs} == {x, gate}
    if paired and swish:
        _write(product, "HardSwish", x)
    else:
        _write(after, "HardSigmoid", x, alpha=1 / 6, beta=0.5)


def _is(array: Any, number: float | None) -> bool:
    if array is None or number is None:
        return array is None and number is None
    return array.size == 1 and abs(float(array.reshape(())) - number) < 1e-3 * abs(number) + 1e-12


def _write(node: Any, kind: str, x: Any, **attributes: Any) -> None:
    """Make a node another one of one input."""
    node.op_type = kind
    node.resize_inputs(1)
    node.replace_input_with(0, x)
    for key, value in attributes.items():
        graphs.set_attribute(node, key, value)


def _mish(graph: Any, softplus: Any) -> None:
    """Write `x * tanh(softplus(x))` as `x * n / (n + 2)` with `n = e^x * (e^x + 2)`.

    onnxruntime's Softplus has no vectors, and Mish is written out with it: a fifth of the speed.
    """
    (x,) = softplus.inputs
    tanh = graphs.only_reader(graph, softplus)
    last = None if tanh is None or tanh.op_type != "Tanh" else graphs.only_reader(graph, tanh)
    if last is None or last.op_type != "Mul" or {*last.inputs} != {x, *tanh.outputs}:
        return
    if not _float32(x):
        return

    def step(kind: str, *inputs: Any) -> Any:
        import onnx_ir as ir

        values = [
            graphs.add_constant(graph, f"{last.name}/constant", np.array(v, np.float32))
            if isinstance(v, float)
            else v
            for v in inputs
        ]
        node = ir.node(kind, values, name=f"{last.name}/{kind}")
        (made,) = node.outputs
        made.name, made.type = f"{last.name}/{kind}__{len(graph)}", x.type
        made.shape = x.shape
        graph.insert_before(last, node)
        return made

    # From 20 on the fraction is one in float32, and e^x squared stays finite.
    power = step("Exp", step("Min", x, 20.0))
    n = step("Mul", power, step("Add", power, 2.0))
    fraction = step("Div", n, step("Add", n, 2.0))
    last.replace_input_with(0, x)
    last.replace_input_with(1, fraction)


def _thresholded(where: Any) -> None:
    """Write `where(x > number, x, 0)` as ThresholdedRelu."""
    condition, x, other = where.inputs
    greater, zero = condition.producer(), constant(other)
    if greater is None or greater.op_type != "Greater" or greater.inputs[0] is not x:
        return
    number = constant(greater.inputs[1])
    if zero is None or number is None or zero.ndim or number.ndim or zero != 0 or not _float32(x):
        return
    _write(where, "ThresholdedRelu", x, alpha=float(number))


def _float32(x: Any) -> bool:
    return bool(x.dtype is not None and x.dtype.name == "FLOAT")
