"""Activations that ONNX has an operator for, found in what Keras and users write them as.

Before arithmetic is folded into weights: half of a hard sigmoid would go with it.
"""

from __future__ import annotations

from typing import Any

from edgekit.exporter.passes.absorb import affine
from edgekit.exporter.passes.layout import graphs
from edgekit.exporter.passes.layout.forms import constant

SWISH_OPSET = 14


def name(model: Any) -> None:
    """Write `clip(x + 3, 0, 6) / 6` as HardSigmoid, and its product with `x` as HardSwish."""
    swish = model.opset_imports[""] >= SWISH_OPSET
    for graph in list(model.graphs()):
        for node in list(graph):
            if node.op_type == "Clip" and not node.domain and node.graph is graph:
                _hard_sigmoid(graph, node, swish)


def _hard_sigmoid(graph: Any, clip: Any, swish: bool) -> None:
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
