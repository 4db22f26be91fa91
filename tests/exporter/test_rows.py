"""Products on rows, projections in one product, and attention of few queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgekit.exporter.passes import absorb, layout, queries
from edgekit.exporter.passes.layout import heads, rows
from tests.exporter.graphs import RNG, Graph, operators_after


def after(g: Graph, *outputs: str) -> Counter[str]:
    return operators_after(
        g.model(*outputs),
        layout.arrange,
        absorb.absorb,
        queries.reorder,
        rows.arrange,
        heads.merge,
    )


def dense(g: Graph, x: str, depth: int = 16, units: int = 16) -> Any:
    return g.op("Add", g.op("MatMul", x, RNG.normal(size=(depth, units))), RNG.normal(size=units))


def norm(g: Graph, x: str) -> Any:
    return g.op("LayerNormalization", x, np.ones(16, np.float32), np.ones(16, np.float32))


@pytest.mark.parametrize(
    ("build", "operators"),
    [
        pytest.param(lambda g: dense(g, "x"), "MatMul Add", id="alone it does not pay"),
        pytest.param(
            lambda g: dense(g, g.op("Relu", dense(g, dense(g, "x")))),
            "Reshape Gemm Gemm Relu Gemm Reshape",
            id="in a row",
        ),
        pytest.param(
            lambda g: norm(g, g.op("Add", "x", dense(g, norm(g, dense(g, dense(g, "x")))))),
            "Reshape Gemm Gemm LayerNormalization Gemm Add LayerNormalization Reshape",
            id="residual",
        ),
        pytest.param(
            lambda g: dense(
                g, g.op("Add", dense(g, dense(g, dense(g, "x"))), RNG.normal(size=(6, 16)))
            ),
            "Reshape Gemm Gemm Reshape MatMul Add MatMul Add",
            id="a table of positions is no row",
        ),
        pytest.param(
            lambda g: g.op("Mul", dense(g, dense(g, dense(g, "x"))), np.array(0.5)),
            "Reshape Gemm Gemm Gemm Reshape",
            id="a number",
        ),
    ],
)
def test_products_on_rows(build: Callable[[Graph], str], operators: str) -> None:
    g = Graph(6, 16)
    assert after(g, build(g)) == Counter(operators.split())


def test_a_free_number_of_steps_stays_as_it_is() -> None:
    g = Graph("steps", 16)
    assert after(g, dense(g, dense(g, dense(g, "x")))) == {"MatMul": 3, "Add": 3}


def test_a_product_on_two_axes_is_a_gemm() -> None:
    g = Graph(16)
    table = RNG.normal(size=(1, 16))
    y = g.op("Add", table, g.op("MatMul", dense(g, "x"), RNG.normal(size=(16, 16))))
    assert after(g, y) == {"Gemm": 2}


def attention(g: Graph, x: str, source: str, *, biased: bool = True) -> Any:
    """Two heads; the query is scaled."""

    def project(of: str, perm: list[int], factor: float = 1.0) -> Any:
        y = dense(g, of) if biased else g.op("MatMul", of, RNG.normal(size=(16, 16)))
        y = g.op("Reshape", y, np.array([0, 0, 2, 8]))
        y = y if factor == 1 else g.op("Mul", y, np.array(factor))
        return g.op("Transpose", y, perm=perm)

    q, k = project(x, [0, 2, 1, 3], 0.3), project(source, [0, 2, 3, 1])
    mixed = g.op("MatMul", g.op("Softmax", g.op("MatMul", q, k)), project(source, [0, 2, 1, 3]))
    return dense(
        g, g.op("Reshape", g.op("Transpose", mixed, perm=[0, 2, 1, 3]), np.array([0, 0, 16]))
    )


def test_query_key_and_value_are_one_product() -> None:
    g = Graph(6, 16)
    found = after(g, attention(g, "x", "x"))
    assert (found["Gemm"], found["Split"], found["MatMul"], found["Mul"]) == (2, 1, 2, 0)


def test_key_and_value_of_another_tensor_are_one_product() -> None:
    g = Graph(6, 16)
    found = after(g, attention(g, "x", g.op("Tanh", "x")))
    assert (found["Gemm"], found["Split"]) == (3, 1)


def test_projections_that_others_read_stay() -> None:
    g = Graph(6, 16)
    y = dense(g, "x")
    outputs = [g.op("Reshape", y, np.array([0, 0, 2, 8])), y, attention(g, "x", "x")]
    assert after(g, *outputs)["Split"] == 1


def lookup(g: Graph, query: str, candidates: str, **options: Any) -> Any:
    keys = g.op("Transpose", dense(g, candidates, 16, 8), perm=[0, 2, 1])
    scores = g.op("MatMul", query, keys)
    return g.op("MatMul", g.op("Softmax", scores, **options), candidates)


def one_query(g: Graph, steps: int = 1) -> Any:
    first = g.op("Slice", "x", np.array([0]), np.array([steps]), np.array([1]))
    return g.op("Tanh", g.op("MatMul", first, RNG.normal(size=(16, 8))))


@pytest.mark.parametrize(
    ("build", "adds"),
    [
        pytest.param(lambda g: lookup(g, one_query(g), "x"), 0, id="one query"),
        pytest.param(lambda g: lookup(g, one_query(g, 5), "x"), 1, id="as many as pay no more"),
        pytest.param(lambda g: lookup(g, one_query(g), "x", axis=1), 1, id="softmax over queries"),
        pytest.param(
            lambda g: g.op(
                "MatMul", one_query(g), g.op("Transpose", dense(g, "x", 16, 8), perm=[0, 2, 1])
            ),
            1,
            id="no softmax",
        ),
    ],
)
def test_candidates_are_not_projected_for_one_query(build: Any, adds: int) -> None:
    g = Graph(6, 16)
    assert after(g, build(g))["Add"] == adds


def test_any_number_of_candidates_for_one_query() -> None:
    g = Graph("candidates", 16)
    pooled = g.op("ReduceMax", "x", np.array([1]))
    query = g.op("MatMul", pooled, RNG.normal(size=(16, 8)))
    assert after(g, lookup(g, query, "x"))["Add"] == 0
