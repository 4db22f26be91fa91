"""What becomes of arithmetic, padding, pools and activations around products."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgekit.exporter.passes import absorb, activations, layout, spatial
from tests.exporter.graphs import RNG, Graph, operators_after

Middle = Callable[[Graph, str], str]


def after(g: Graph, *outputs: str) -> Counter[str]:
    return operators_after(
        g.model(*outputs), layout.arrange, activations.name, absorb.absorb, spatial.simplify
    )


def kernel(*shape: int) -> Any:
    return RNG.normal(size=shape)


def conv(g: Graph, x: str, **options: Any) -> Any:
    return g.op("Conv", x, kernel(6, 4, 3, 3), kernel(6), **options)


CHANNELS = kernel(6, 1, 1)
STATISTICS = [kernel(6), kernel(6), kernel(6), np.abs(kernel(6)) + 0.5]


@pytest.mark.parametrize(
    ("build", "operators"),
    [
        pytest.param(lambda g: g.op("Mul", conv(g, "x"), CHANNELS), "Conv", id="scale"),
        pytest.param(lambda g: g.op("Add", CHANNELS, conv(g, "x")), "Conv", id="bias"),
        pytest.param(lambda g: g.op("Sub", conv(g, "x"), CHANNELS), "Conv", id="minus"),
        pytest.param(lambda g: g.op("Sub", CHANNELS, conv(g, "x")), "Conv", id="minus the product"),
        pytest.param(lambda g: g.op("Div", conv(g, "x"), np.array(3.0)), "Conv", id="division"),
        pytest.param(
            lambda g: g.op("BatchNormalization", conv(g, "x"), *STATISTICS), "Conv", id="batch norm"
        ),
        pytest.param(
            lambda g: g.op(
                "Add",
                g.op("Mul", g.op("Conv", "x", kernel(6, 2, 3, 3), group=2), CHANNELS),
                CHANNELS,
            ),
            "Conv",
            id="groups, no bias",
        ),
        pytest.param(
            lambda g: g.op(
                "Mul", g.op("ConvTranspose", "x", kernel(4, 3, 2, 2), group=2), CHANNELS
            ),
            "ConvTranspose",
            id="groups, transposed",
        ),
        pytest.param(
            lambda g: conv(g, g.op("Add", g.op("Mul", "x", np.array(0.1)), kernel(4, 1, 1))),
            "Conv",
            id="in front",
        ),
        pytest.param(
            lambda g: g.op("Conv", g.op("Mul", "x", kernel(4, 1, 1)), kernel(6, 2, 3, 3), group=2),
            "Conv",
            id="in front of groups",
        ),
        pytest.param(
            lambda g: conv(
                g, g.op("Sub", g.op("Div", "x", np.array(127.5)), np.array(1.0)), pads=[1] * 4
            ),
            "Add Conv",
            id="a shift in front of padding stays",
        ),
        pytest.param(
            lambda g: g.op("Mul", conv(g, "x"), kernel(1, 1, 3)),
            "Conv Mul",
            id="along another axis",
        ),
        pytest.param(
            lambda g: g.op("Add", g.op("Add", "x", kernel(4, 1, 1)), np.array(2.0)),
            "Add",
            id="a run",
        ),
        pytest.param(lambda g: g.op("Div", CHANNELS, conv(g, "x")), "Conv Div", id="a reciprocal"),
        pytest.param(
            lambda g: g.op("Mul", conv(g, "x"), np.array(3e38)), "Conv Mul", id="too large to hold"
        ),
    ],
)
def test_arithmetic_around_convolutions(build: Callable[[Graph], str], operators: str) -> None:
    g = Graph(4, 5, 5)
    assert after(g, build(g)) == Counter(operators.split())


@pytest.mark.parametrize(
    ("build", "operators"),
    [
        pytest.param(lambda g, y: g.op("Mul", y, kernel(6)), "MatMul", id="scale"),
        pytest.param(
            lambda g, y: g.op("BatchNormalization", g.op("Add", y, kernel(6)), *STATISTICS),
            "MatMul Add BatchNormalization",
            id="channels of another axis",
        ),
        pytest.param(
            lambda g, y: g.op("Mul", g.op("Add", y, kernel(6)), kernel(6)),
            "MatMul Add",
            id="affine",
        ),
        pytest.param(
            lambda g, y: g.op("MatMul", g.op("Mul", g.op("Relu", y), kernel(6)), kernel(6, 2)),
            "MatMul Relu MatMul",
            id="in front",
        ),
    ],
)
def test_arithmetic_around_matrix_products(build: Any, operators: str) -> None:
    g = Graph(6, 4)
    assert after(g, build(g, g.op("MatMul", "x", kernel(4, 6)))) == Counter(operators.split())


@pytest.mark.parametrize("transposed", [0, 1])
def test_a_batch_normalisation_after_a_gemm(transposed: int) -> None:
    g = Graph(4)
    weight = kernel(6, 4) if transposed else kernel(4, 6)
    y = g.op("Gemm", "x", weight, transB=transposed)
    assert after(g, g.op("BatchNormalization", y, *STATISTICS)) == {"Gemm": 1}


def test_what_others_read_stays() -> None:
    g = Graph(4, 5, 5)
    y = conv(g, "x")
    assert after(g, y, g.op("Mul", y, CHANNELS)) == {"Conv": 1, "Mul": 1}
    g = Graph(4, 5, 5)
    scaled = g.op("Mul", "x", np.array(2.0))
    assert after(g, conv(g, scaled), g.op("Relu", scaled)) == {"Mul": 1, "Conv": 1, "Relu": 1}


PADS = np.array([0, 0, 1, 2, 0, 0, 0, 1])


@pytest.mark.parametrize(
    ("build", "operators"),
    [
        pytest.param(lambda g: conv(g, g.op("Pad", "x", PADS)), "Conv", id="conv"),
        pytest.param(
            lambda g: conv(g, g.op("Pad", "x", PADS), pads=[1, 1, 1, 1]),
            "Conv",
            id="pads of its own",
        ),
        pytest.param(
            lambda g: conv(g, g.op("Pad", "x", PADS, np.array(1.0))), "Pad Conv", id="of ones"
        ),
        pytest.param(
            lambda g: conv(g, g.op("Pad", "x", PADS, mode="reflect")), "Pad Conv", id="reflected"
        ),
        pytest.param(
            lambda g: conv(g, g.op("Pad", "x", PADS), auto_pad="SAME_UPPER"), "Pad Conv", id="same"
        ),
        pytest.param(
            lambda g: g.op("MaxPool", g.op("Pad", g.op("Relu", "x"), PADS), kernel_shape=[3, 3]),
            "Relu MaxPool",
            id="pool of what is positive",
        ),
        pytest.param(
            lambda g: g.op("MaxPool", g.op("Pad", "x", PADS), kernel_shape=[3, 3]),
            "Pad MaxPool",
            id="pool",
        ),
        pytest.param(
            lambda g: g.op("ReduceMean", conv(g, "x"), np.array([2, 3])),
            "Conv GlobalAveragePool",
            id="mean",
        ),
        pytest.param(
            lambda g: g.op("ReduceMax", conv(g, "x"), np.array([-1, -2]), keepdims=0),
            "Conv GlobalMaxPool Flatten",
            id="maximum, axes gone",
        ),
        pytest.param(
            lambda g: g.op(
                "Reshape",
                g.op("ReduceMean", conv(g, "x"), np.array([2, 3]), keepdims=0),
                np.array([-1, 6, 1, 1]),
            ),
            "Conv GlobalAveragePool",
            id="axes gone and back",
        ),
        pytest.param(
            lambda g: g.op("ReduceMean", conv(g, "x"), np.array([1])),
            "Conv ReduceMean",
            id="channels",
        ),
    ],
)
def test_padding_and_pools(build: Callable[[Graph], str], operators: str) -> None:
    g = Graph(4, 5, 5)
    assert after(g, build(g)) == Counter(operators.split())


def hard_sigmoid(g: Graph, x: str, three: float = 3.0) -> Any:
    clipped = g.op("Clip", g.op("Add", x, np.array(three)), np.float32(0), np.float32(6))
    return g.op("Mul", clipped, np.array(1 / 6))


@pytest.mark.parametrize(
    ("build", "operators"),
    [
        pytest.param(lambda g: hard_sigmoid(g, "x"), "HardSigmoid", id="hard sigmoid"),
        pytest.param(
            lambda g: g.op("Mul", "x", hard_sigmoid(g, "x")), "HardSwish", id="hard swish"
        ),
        pytest.param(
            lambda g: g.op("Mul", g.op("Relu", "x"), hard_sigmoid(g, "x")),
            "HardSigmoid Relu Mul",
            id="gate of another",
        ),
        pytest.param(lambda g: hard_sigmoid(g, "x", 2.5), "Add Clip Mul", id="another shift"),
    ],
)
def test_hard_activations(build: Callable[[Graph], str], operators: str) -> None:
    g = Graph(4, 5, 5)
    assert after(g, build(g)) == Counter(operators.split())
