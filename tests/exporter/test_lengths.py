"""Arithmetic with lengths: what is left of it, and that the answers stay."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import onnxruntime
import pytest
from onnx_ir.passes import common

from edgekit.exporter.passes import lengths, tidy

READ = """
    s = Shape(x)
    n = Cast<to=6>(s)
    b = Slice(n, zero, one, zero)
    b0 = Squeeze(b, zero)
    t = Slice(n, one, two, zero)
    t0 = Squeeze(t, zero)
    bu = Unsqueeze(b0, zero)
    tu = Unsqueeze(t0, zero)
"""


def parsed(body: str, outputs: str, *, x: str = "float[batch, time, 6]", opset: int = 18) -> Any:
    text = f"""
    <ir_version: 8, opset_import: ["": {opset}]>
    g ({x} x) => ({outputs})
    <int64[1] zero = {{0}}, int64[1] one = {{1}}, int64[1] two = {{2}}, int32[1] six = {{6}},
     float half = {{0.5}}>
    {{ {body} }}
    """
    return onnx.parser.parse_model(text)


def run(proto: Any, *shapes: tuple[int, ...]) -> list[Any]:
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    return [
        session.run(None, {"x": np.arange(np.prod(shape), dtype=np.float32).reshape(shape)})
        for shape in shapes
    ]


@pytest.mark.parametrize(
    ("body", "outputs", "left"),
    [
        pytest.param(
            f"{READ} c = Concat<axis=0>(bu, tu, six) k = Cast<to=7>(c) y = Reshape(x, k)",
            "float[a, b, c] y",
            {"Reshape": 1},
            id="both stay in place",
        ),
        pytest.param(
            f"{READ} m = Mul(bu, six) c = Concat<axis=0>(tu, m) k = Cast<to=7>(c)"
            " y = Reshape(x, k)",
            "float[a, b] y",
            {"Reshape": 1, "Mul": 1, "Concat": 1, "Shape": 2, "Cast": 3},
            id="a product stays",
        ),
        pytest.param(
            f"{READ} c = Concat<axis=0>(tu, bu, six) k = Cast<to=7>(c) y = Reshape(x, k)",
            "float[a, b, c] y",
            {"Reshape": 1, "Concat": 1, "Shape": 2},
            id="two that move",
        ),
        pytest.param(
            f"{READ} c = Concat<axis=0>(bu, six) k = Cast<to=7>(c) y0 = Expand(half, k)"
            " y = Neg(y0)",
            "float[a, b] y",
            {"Expand": 1, "Concat": 1, "Shape": 1, "Neg": 1},
            id="a vector",
        ),
        pytest.param(
            f"{READ} f = Cast<to=1>(t0) y = Mul(x, f)",
            "float[a, b, c] y",
            {"Mul": 1, "Cast": 2, "Shape": 1, "Squeeze": 1},
            id="a scalar",
        ),
        pytest.param(
            f"r = Relu(x) {READ.replace('Shape(x)', 'Shape(r)')} u = Cast<to=7>(tu)"
            " k = Concat<axis=0>(u, u) y = Expand(half, k)",
            "float[a, b] y",
            {"Expand": 1, "Concat": 1, "Shape": 1},
            id="of what an input became",
        ),
    ],
)
def test_what_is_left(body: str, outputs: str, left: dict[str, int]) -> None:
    proto = parsed(body, outputs)
    model = ir.from_proto(proto)
    tidy.fold(model)
    lengths.simplify(model)
    common.RemoveUnusedNodesPass()(model)
    common.CommonSubexpressionEliminationPass()(model)
    made = ir.to_proto(model)
    assert Counter(node.op_type for node in made.graph.node) == left
    shapes = (2, 3, 6), (4, 1, 6)
    for before, after in zip(run(proto, *shapes), run(made, *shapes), strict=True):
        np.testing.assert_array_equal(before[0], after[0])


def test_known_lengths_are_constants() -> None:
    body = f"{READ} c = Concat<axis=0>(tu, bu, six) k = Cast<to=7>(c) y = Reshape(x, k)"
    model = ir.from_proto(parsed(body, "float[a, b, c] y", x="float[2, 3, 6]"))
    lengths.simplify(model)
    common.RemoveUnusedNodesPass()(model)
    assert [node.op_type for node in model.graph] == ["Reshape"]


def test_an_axis_that_is_no_inputs_stays() -> None:
    body = f"r = NonZero(x) {READ.replace('Shape(x)', 'Shape(r)')} y = Cast<to=1>(t0)"
    model = ir.from_proto(parsed(body, "float y"))
    before = len(model.graph)
    lengths.simplify(model)
    assert len(model.graph) == before


def test_an_opset_without_parts_of_shapes_stays() -> None:
    body = f"{READ} y = Cast<to=1>(t0)"
    model = ir.from_proto(parsed(body, "float y", opset=13))
    lengths.simplify(model)
    assert Counter(node.op_type for node in model.graph)["Slice"] == 2


@pytest.mark.parametrize(
    ("bounds", "left"),
    [
        pytest.param("zeros, far, axes, ones", {"Neg": 1}, id="all"),
        pytest.param("zeros, far", {"Neg": 1}, id="all of the first axes"),
        pytest.param("zeros, far, axes, two", {"Slice": 1, "Neg": 1}, id="every other"),
        pytest.param("ones, far, axes, ones", {"Slice": 1, "Neg": 1}, id="all but the first"),
        pytest.param("zeros, ones, axes, ones", {"Slice": 1, "Neg": 1}, id="the first"),
    ],
)
def test_a_slice_of_everything_is_dropped(bounds: str, left: dict[str, int]) -> None:
    proto = onnx.parser.parse_model(f"""
    <ir_version: 8, opset_import: ["": 18]>
    g (float[batch, time, 6] x) => (float[a, b, c] y)
    <int64[2] zeros = {{0, 0}}, int64[2] far = {{1000000000, 1000000000}},
     int64[2] axes = {{0, 1}}, int64[2] ones = {{1, 1}}, int64[2] two = {{2, 2}}>
    {{ s = Slice(x, {bounds}) y = Neg(s) }}
    """)
    model = ir.from_proto(proto)
    tidy.fold(model)
    tidy.clean_up(model)
    after = ir.to_proto(model)
    assert Counter(node.op_type for node in after.graph.node) == left
    np.testing.assert_array_equal(run(after, (2, 4, 6))[0][0], run(proto, (2, 4, 6))[0][0])


def test_what_is_turned_by_its_steps_is_as_long_as_they_are() -> None:
    proto = onnx.parser.parse_model("""
    <ir_version: 8, opset_import: ["": 18]>
    g (float[batch, time, 6] x) => (float[a] y)
    <int64[1] zero = {0}, int64[1] one = {1}, int64[1] two = {2}, int64 start = {0},
     int64 step = {1}>
    {
        s = Shape(x) t = Slice(s, one, two, zero) n = Squeeze(t, zero)
        r = Range(start, n, step) f = Cast<to=1>(r) u = Unsqueeze(f, one) z = Mul(x, u)
        k = Shape(z) y = Cast<to=1>(k)
    }
    """)
    model = ir.from_proto(proto)
    lengths.simplify(model)
    tidy.clean_up(model)
    after = ir.to_proto(model)
    found = Counter(node.op_type for node in after.graph.node)
    assert (found["Range"], found["Mul"]) == (0, 0)
    for got, expected in zip(run(after, (2, 4, 6)), run(proto, (2, 4, 6)), strict=True):
        np.testing.assert_array_equal(got[0], expected[0])
