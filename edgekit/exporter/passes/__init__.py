"""ONNX -> ONNX: from what tf2onnx gives to what a careful hand would have written.

Each module has one idea, and its function changes the `onnx_ir.Model` that it is given; the model
computes the same. The order is that of `BEFORE` and `AFTER`, between which the last markers of
`lowering` are written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.exporter.passes import (
    absorb,
    activations,
    kernels,
    layout,
    lengths,
    norms,
    queries,
    rewrites,
    series,
    sink,
    spatial,
    tidy,
)
from edgekit.exporter.passes.layout import heads, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgekit.signature import TensorSpec

#: Constants first: what they decide is what the others see. Layout before weights absorb what is
#: around them, for then it lies beside them; rows and heads last, for they need products alone.
BEFORE: tuple[Callable[[Any], None], ...] = (
    tidy.fold,
    lengths.simplify,
    series.flatten,
    layout.arrange,
    activations.name,
    norms.name,
    absorb.absorb,
    spatial.simplify,
    queries.reorder,
    rows.arrange,
    heads.merge,
    rewrites.rewrite,
)
AFTER: tuple[Callable[[Any], None], ...] = (sink.sink, kernels.widen, tidy.clean_up)


def optimise(model: Any, inputs: Sequence[TensorSpec], write_late: Callable[[Any], None]) -> None:
    """Apply every pass; `write_late` writes what could not be seen through before."""
    tidy.set_inputs(model, inputs)
    for change in (*BEFORE, write_late, *AFTER):
        change(model)
