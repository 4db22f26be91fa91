"""Projections of one tensor to heads, as query, key and value: one product instead of three."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.exporter.passes.layout import graphs
from edgekit.exporter.passes.layout.forms import constant

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Projection:
    """A Gemm that only a Reshape reads, to `(batch, steps, heads, depth)`."""

    gemm: Any
    reshape: Any
    weight: np.ndarray[Any, Any]
    bias: np.ndarray[Any, Any]
    target: tuple[int, ...]

    @property
    def kind(self) -> tuple[Any, ...]:
        """What projections have in common that can be one: all but the number of heads."""
        return (self.gemm.inputs[0], self.weight.dtype, *self.target[:2], self.target[3])


def merge(model: Any) -> None:
    """Merge projections of the same tensor, and split what comes out by heads."""
    for graph in list(model.graphs()):
        groups: dict[tuple[Any, ...], list[Projection]] = {}
        for node in graph:
            if node.op_type == "Gemm" and (found := _read(graph, node)) is not None:
                groups.setdefault(found.kind, []).append(found)
        for projections in groups.values():
            if len(projections) > 1:
                _merge(graph, projections)
        graph.sort()


def _read(graph: Any, gemm: Any) -> Projection | None:
    reshape = graphs.only_reader(graph, gemm)
    if reshape is None or reshape.op_type != "Reshape" or reshape.attributes or gemm.attributes:
        return None
    if len(gemm.inputs) < 3 or reshape.outputs[0].is_graph_output():
        return None
    weight, bias, target = (constant(v) for v in (*gemm.inputs[1:3], reshape.inputs[1]))
    if weight is None or bias is None or target is None:
        return None
    if bias.shape != weight.shape[1:] or target.size != 4 or target[1:].min() < 1:
        return None
    return Projection(gemm, reshape, weight, bias, tuple(map(int, target)))


def _merge(graph: Any, projections: Sequence[Projection]) -> None:
    """Change the first projection to compute all of them."""
    gemm, reshape = projections[0].gemm, projections[0].reshape
    batch, steps, _, depth = projections[0].target
    heads = [p.target[2] for p in projections]
    graphs.set_input(graph, gemm, 1, np.concatenate([p.weight for p in projections], axis=1))
    graphs.set_input(graph, gemm, 2, np.concatenate([p.bias for p in projections]))
    graphs.set_input(graph, reshape, 1, np.array([batch, steps, sum(heads), depth], np.int64))
    olds = [p.reshape.outputs[0] for p in projections]
    readers = [list(old.uses()) for old in olds]
    parts = graphs.split(graph, reshape, np.array(heads, np.int64), axis=2)
    for part, old, uses in zip(parts, olds, readers, strict=True):
        part.shape = old.shape
        for use in uses:
            use.node.replace_input_with(use.idx, part)
    for value in (gemm.outputs[0], reshape.outputs[0]):
        value.shape = None
    for projection in projections[1:]:
        graph.remove([projection.reshape, projection.gemm], safe=True)
