"""Where Transposes are left, on graphs as tf2onnx writes them: one before and after each Conv."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit.exporter.passes import layout
from edgekit.exporter.passes import series as series_pass
from edgekit.exporter.passes.layout.cut import Network
from tests.exporter.graphs import IN, OUT, RNG, Graph, operators_after


def arranged(model: onnx.ModelProto) -> Counter[str]:
    return operators_after(model, layout.arrange)


def between(middle: Callable[[Graph, str], str], *shape: int | str, channels: int = 4) -> Any:
    """Two convolutions with something between."""
    g = Graph(*(shape or (6, 5, 4)))
    return g.model(g.conv(middle(g, g.conv("x")), channels=channels))


@pytest.mark.parametrize(
    ("middle", "channels"),
    [
        pytest.param(lambda g, y: g.op("Relu", y), 4, id="elementwise"),
        pytest.param(lambda g, y: g.op("Clip", y, np.float32(0), np.float32(6)), 4, id="scalars"),
        pytest.param(lambda g, y: g.op("Add", y, RNG.normal(size=4)), 4, id="per channel"),
        pytest.param(lambda g, y: g.op("Mul", RNG.normal(size=(5, 4)), y), 4, id="per column"),
        pytest.param(lambda g, y: g.op("Add", y, g.op("Sigmoid", y)), 4, id="two of one"),
        pytest.param(lambda g, y: g.op("Add", y, g.conv(y)), 4, id="residual"),
        pytest.param(lambda g, y: g.op("Concat", y, g.conv(y), axis=-1), 8, id="concat"),
        pytest.param(
            lambda g, y: g.op("Add", *g.op("Split", y, np.array([2, 2]), axis=3, outputs=2)),
            2,
            id="split",
        ),
        pytest.param(
            lambda g, y: g.op("Mul", y, g.op("ReduceMean", y, np.array([1, 2]))), 4, id="squeeze"
        ),
        pytest.param(
            lambda g, y: g.op("Mul", y, g.op("ReduceMax", y, np.array([-1]))), 4, id="over channels"
        ),
        pytest.param(lambda g, y: g.op("Pad", y, np.array([0, 1, 2, 0, 0, 3, 4, 0])), 4, id="pad"),
        pytest.param(
            lambda g, y: g.op("Pad", y, np.array([1, 2]), "", np.array([-3])), 4, id="pad an axis"
        ),
        pytest.param(
            lambda g, y: g.op("Slice", y, np.array([1, 0]), np.array([4, 9]), np.array([2, -3])),
            4,
            id="slice",
        ),
        pytest.param(
            lambda g, y: g.op("Slice", y, np.array([0, 1]), np.array([9, 4])),
            4,
            id="slice without axes",
        ),
        pytest.param(lambda g, y: g.op("Gather", y, np.array([3, 0]), axis=-1), 2, id="gather"),
        pytest.param(lambda g, y: g.op("Tile", y, np.array([1, 1, 2, 3])), 12, id="tile"),
        pytest.param(lambda g, y: g.op("CumSum", y, np.array(2)), 4, id="cumsum"),
        pytest.param(lambda g, y: g.op("Softmax", y, axis=2), 4, id="softmax over columns"),
        pytest.param(
            lambda g, y: g.op(
                "Expand", g.op("ReduceSum", y, np.array([1])), np.array([1, 3, 1, 1])
            ),
            4,
            id="expand",
        ),
        pytest.param(
            lambda g, y: g.op(
                "Mul",
                y,
                g.op(
                    "Reshape",
                    g.op("Relu", g.op("ReduceMean", y, np.array([1, 2]), keepdims=0)),
                    np.array([-1, 1, 1, 4]),
                ),
            ),
            4,
            id="squeeze and excite",
        ),
    ],
)
def test_between_convolutions_nothing_is_transposed(
    middle: Callable[[Graph, str], str], channels: int
) -> None:
    assert arranged(between(middle, channels=channels))["Transpose"] == 2


def test_free_axes() -> None:
    def middle(g: Graph, y: str) -> str:
        size = g.op("Slice", g.op("Shape", y), np.array([1]), np.array([3]))
        shape = g.op("Concat", np.array([1]), size, np.array([1]), axis=0)
        return str(g.op("Add", y, g.op("Expand", np.ones((1, 1, 1, 1), np.float32), shape)))

    model = between(middle, "height", "width", 4)
    assert arranged(model)["Transpose"] <= 3


@pytest.mark.parametrize(
    ("middle", "left"),
    [
        pytest.param(lambda g, y: g.op("Softmax", y, axis=-1), 4, id="softmax over channels"),
        pytest.param(
            lambda g, y: g.op("LayerNormalization", y, np.ones(4, np.float32), axis=-1),
            4,
            id="norm",
        ),
        pytest.param(
            lambda g, y: g.op("Reshape", y, np.array([-1, 5, 6, 4])), 4, id="reshape of pixels"
        ),
    ],
)
def test_what_needs_its_order_keeps_it(middle: Callable[[Graph, str], str], left: int) -> None:
    assert arranged(between(middle))["Transpose"] == left


def flatten(g: Graph, y: str, size: int = 120) -> Any:
    return g.op("Reshape", y, np.array([-1, size]))


WEIGHT = RNG.normal(size=(120, 3))


@pytest.mark.parametrize(
    ("after", "left"),
    [
        pytest.param(lambda g, f: [g.op("MatMul", f, WEIGHT)], 1, id="matmul"),
        pytest.param(lambda g, f: [g.op("Gemm", f, WEIGHT, np.ones(3))], 1, id="gemm"),
        pytest.param(lambda g, f: [g.op("Gemm", f, WEIGHT.T, transB=1)], 1, id="transposed gemm"),
        pytest.param(
            lambda g, f: [
                g.op("MatMul", g.op("Mul", g.op("Tanh", f), RNG.normal(size=120)), WEIGHT)
            ],
            1,
            id="number by number on the way",
        ),
        pytest.param(
            lambda g, f: [g.op("MatMul", f, WEIGHT), g.op("MatMul", f, -WEIGHT)], 1, id="two heads"
        ),
        pytest.param(lambda g, f: [f, g.op("MatMul", f, WEIGHT)], 2, id="an output too"),
        pytest.param(
            lambda g, f: [g.op("MatMul", g.op("Softmax", f, axis=1), WEIGHT)], 2, id="softmax"
        ),
        pytest.param(
            lambda g, f: [g.op("MatMul", g.op("CumSum", f, np.array(1)), WEIGHT)], 2, id="cumsum"
        ),
    ],
)
def test_a_dense_takes_flattened_data_as_they_lie(after: Any, left: int) -> None:
    g = Graph(6, 5, 4)
    assert arranged(g.model(*after(g, flatten(g, g.conv("x")))))["Transpose"] == left


def test_a_shared_weight_turns_for_one_of_its_readers() -> None:
    g = Graph(6, 5, 4)
    weight = "c0"
    g.constants.append(numpy_helper.from_array(WEIGHT.astype(np.float32), weight))
    direct = g.op("MatMul", flatten(g, "x"), weight)
    assert (
        arranged(g.model(direct, g.op("MatMul", flatten(g, g.conv("x")), weight)))["Transpose"] == 1
    )


@pytest.mark.parametrize(
    "bias", [RNG.normal(size=120), RNG.normal(size=(1, 1))], ids=["row", "one"]
)
def test_a_dense_gives_data_as_a_convolution_wants_them(bias: Any) -> None:
    g = Graph(8)
    dense = g.op("Gemm", "x", RNG.normal(size=(8, 120)), bias)
    pixels = g.op("Reshape", g.op("LeakyRelu", dense), np.array([-1, 6, 5, 4]))
    assert arranged(g.model(g.conv(pixels)))["Transpose"] == 1


def test_outputs_and_inner_graphs_get_what_they_had() -> None:
    g = Graph(6, 5, 4)
    y = g.op("Relu", g.conv("x"))
    inner = helper.make_graph(
        [helper.make_node("ReduceMax", [y, "last"], ["most"], keepdims=0)],
        "inner",
        [],
        [helper.make_tensor_value_info("most", TensorProto.FLOAT, ["batch", 6, 5])],
        [numpy_helper.from_array(np.array([3]), "last")],
    )
    chosen = g.op("If", np.array(True), then_branch=inner, else_branch=inner)
    kept = g.op("Transpose", y, perm=IN)
    found = arranged(g.model(y, g.conv(y), kept, chosen))
    assert found["Transpose"] == 3


@pytest.mark.parametrize(
    ("shape", "last", "first"),
    [
        pytest.param((6, 4), [0, 2, 1], [0, 2, 1], id="one-dimensional"),
        pytest.param((6, 5, 3, 4), [0, 2, 3, 4, 1], [0, 4, 1, 2, 3], id="three-dimensional"),
    ],
)
def test_convolutions_of_any_rank(shape: tuple[int, ...], last: Any, first: Any) -> None:
    g = Graph(*shape)
    y = "x"
    for _ in range(3):
        kernel = RNG.normal(size=(4, 4) + (1,) * (len(shape) - 1))
        y = g.op("Transpose", g.op("Conv", g.op("Transpose", y, perm=first), kernel), perm=last)
        y = g.op("Relu", g.op("Add", y, RNG.normal(size=4)))
    assert arranged(g.model(y))["Transpose"] == 2


def test_transposes_in_a_row_are_one_or_none() -> None:
    g = Graph(6, 5, 4)
    y = g.op("Transpose", g.op("Transpose", "x", perm=[0, 2, 1, 3]), perm=IN)
    back = g.op("Relu", g.op("Transpose", g.op("Transpose", "x", perm=IN), perm=OUT))
    assert arranged(g.model(g.op("Relu", y), back)) == {"Transpose": 1, "Relu": 2}


def test_axes_of_length_one_move_without_a_copy() -> None:
    g = Graph(6, 5, 1)
    kernel = RNG.normal(size=(4, 1, 3, 3))
    y = g.op("Conv", g.op("Transpose", "x", perm=IN), kernel)
    assert arranged(g.model(y)) == {"Reshape": 1, "Conv": 1}


def test_a_small_tensor_is_transposed_rather_than_a_large_one() -> None:
    g = Graph(60, 50, 4)
    wide = g.op("Conv", g.op("Transpose", "x", perm=IN), RNG.normal(size=(64, 4, 1, 1)))
    wide = g.op("Relu", g.op("Transpose", wide, perm=OUT))
    model = g.model(g.op("Tanh", g.op("ReduceMax", wide, np.array([3]))))
    changed = ir.from_proto(model)
    layout.arrange(changed)
    (_, last) = [node for node in changed.graph if node.op_type in ("Transpose", "Reshape")]
    small = last.inputs[0]
    assert small is not None
    assert small.shape == ir.Shape(["batch", 1, 60, 50])


def test_minimum_cut() -> None:
    network = Network()
    source, a, b, sink = (network.node() for _ in range(4))
    for tail, head, cost in ((source, a, 3), (source, b, 2), (a, b, 1), (a, sink, 2), (b, sink, 9)):
        network.edge(tail, head, cost)
    assert network.source_side(source, sink) == {source}
    network.edge(source, a, 9)
    assert network.source_side(source, sink) == {source, a}


def series(g: Graph, x: str, kind: str, *inputs: Any, axis: int = 1, **attributes: Any) -> Any:
    """A convolution or pool of a series as TensorFlow has it: a picture of height one."""
    wide = g.op("Transpose", g.op("Unsqueeze", x, np.array([axis])), perm=IN)
    made = g.op("Transpose", g.op(kind, wide, *inputs, **attributes), perm=OUT)
    return g.op("Squeeze", made, np.array([axis - 4]))


@pytest.mark.parametrize(
    ("build", "operators"),
    [
        pytest.param(
            lambda g: series(
                g, "x", "Conv", RNG.normal(size=(5, 4, 1, 3)), pads=[0, 2, 0, 0], strides=[2, 2]
            ),
            "Transpose Conv Transpose",
            id="conv",
        ),
        pytest.param(
            lambda g: series(
                g,
                series(g, "x", "MaxPool", kernel_shape=[1, 2]),
                "Conv",
                np.ones((4, 1, 1, 2)),
                group=4,
            ),
            "Transpose MaxPool Conv Transpose",
            id="pool and depthwise conv",
        ),
        pytest.param(
            lambda g: series(g, "x", "AveragePool", kernel_shape=[2, 1], axis=2),
            "Transpose AveragePool Transpose",
            id="another axis",
        ),
        pytest.param(
            lambda g: series(g, "x", "Conv", np.ones((5, 4, 3, 1)), pads=[1, 0, 1, 0]),
            "Unsqueeze Transpose Conv Transpose Squeeze",
            id="a height that is used",
        ),
    ],
)
def test_a_series_has_one_spatial_axis(build: Callable[[Graph], str], operators: str) -> None:
    g = Graph(9, 4)
    found = operators_after(g.model(build(g)), series_pass.flatten, layout.arrange)
    assert found == Counter(operators.split())
