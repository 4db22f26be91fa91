"""Nodes around convolutions and pools, in the form that engines have a kernel for.

A Pad in front of a convolution is its own `pads`; a mean over all of a picture is a
GlobalAveragePool; a convolution of one axis that TensorFlow runs as one of two is one of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.exporter.passes.layout import graphs
from edgekit.exporter.passes.layout.forms import constant, rank, sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

POOLS = {"ReduceMean": "GlobalAveragePool", "ReduceMax": "GlobalMaxPool"}
#: Nodes whose output is never below zero.
POSITIVE = {"Relu", "Sigmoid", "HardSigmoid", "Softmax", "Abs", "Exp", "Softplus"}


def simplify(model: Any) -> None:
    """Apply all of it; the model computes the same."""
    for graph in list(model.graphs()):
        for node in list(graph):
            if node.op_type == "Pad" and not node.domain:
                _pad(graph, node)
            elif node.op_type in POOLS and not node.domain:
                _global_pool(graph, node)


def _pad(graph: Any, node: Any) -> None:
    """Move the zeros of a Pad into every window that slides over them."""
    (padded,) = node.outputs
    pads = _spatial_pads(node)
    readers = [use.node for use in padded.uses()]
    if pads is None or padded.is_graph_output() or not readers:
        return
    x = node.inputs[0]
    if not all(reader.graph is graph and _takes_pads(reader, x) for reader in readers):
        return
    for reader in readers:
        own = reader.attributes.get("pads")
        given = [0] * len(pads) if own is None else own.as_ints()
        both = [int(a) + int(b) for a, b in zip(given, pads, strict=True)]
        reader.attributes.pop("auto_pad", None)
        graphs.set_attribute(reader, "pads", both)
        reader.replace_input_with(0, x)
    graph.remove(node, safe=True)


def _spatial_pads(node: Any) -> list[int] | None:
    """Give what a Pad adds to each spatial axis, if it adds zeros there and nowhere else."""
    mode = node.attributes.get("mode")
    pads, axes = constant(node.inputs[1]), node.inputs[3] if len(node.inputs) > 3 else None
    value = node.inputs[2] if len(node.inputs) > 2 else None
    number = constant(value)
    zero = value is None or (number is not None and not number.any())
    known = rank(node.inputs[0])
    if (mode is not None and mode.as_string() != "constant") or not zero or axes is not None:
        return None
    if pads is None or known is None or known < 3 or (pads < 0).any():
        return None
    begin, end = np.split(pads, 2)
    return None if begin[:2].any() or end[:2].any() else [*begin[2:], *end[2:]]


def _takes_pads(reader: Any, x: Any) -> bool:
    """Tell whether a node may pad with zeros itself; a MaxPool only what is not below zero."""
    automatic = reader.attributes.get("auto_pad")
    if automatic is not None and automatic.as_string() not in ("NOTSET", "VALID"):
        return False
    if reader.op_type == "Conv":
        return reader.inputs[0] is not reader.inputs[1]
    producer = x.producer()
    return (
        reader.op_type == "MaxPool"
        and len(reader.outputs) == 1
        and not reader.attributes.get("pads")
        and producer is not None
        and producer.op_type in POSITIVE
    )


def _global_pool(graph: Any, node: Any) -> None:
    """Write a reduction over all spatial axes, channels first, as the pool that it is."""
    x = node.inputs[0]
    known = rank(x)
    if known is None or known < 4 or not _follows_window(x):
        return
    axes = _reduced(node, known)
    if axes != list(range(2, known)):
        return
    keep = node.attributes.get("keepdims")
    flat = keep is not None and not keep.as_int()
    node.op_type = POOLS[node.op_type]
    for name in ("axes", "keepdims", "noop_with_empty_axes"):
        node.attributes.pop(name, None)
    if len(node.inputs) > 1:
        node.resize_inputs(1)
    if flat:
        # Its shape goes to the Flatten; the pool's own is inferred by whoever asks.
        graphs.follow(node, "Flatten", None, axis=1)
        _skip_unflattening(node, sizes(x)[1], known)


def _skip_unflattening(pool: Any, channels: int | None, known: int) -> None:
    """Let what puts back the axes of length 1 give way to the pool itself, which has them."""
    (pooled,) = pool.outputs
    (flatten,) = pooled.consumers()
    for reader in list(flatten.outputs[0].consumers()):
        (made, *_) = reader.outputs
        if reader.op_type != "Reshape" or channels is None or rank(made) != known:
            continue
        if sizes(made)[1:] == [channels, *[1] * (known - 2)]:
            pooled.shape = made.shape
            graphs.replace(made, pooled)


def _reduced(node: Any, known: int) -> list[int] | None:
    given = node.inputs[1] if len(node.inputs) > 1 else None
    attribute = node.attributes.get("axes")
    if given is not None:
        axes: Sequence[int] | None = constant(given)  # type: ignore[assignment] # an int64 vector
    else:
        axes = None if attribute is None else attribute.as_ints()
    return None if axes is None else sorted(int(axis) % known for axis in axes)


def _follows_window(x: Any) -> bool:
    """Tell whether channels are axis 1, since a convolution or a pool made them."""
    seen, waiting = set(), [x]
    while waiting:
        value = waiting.pop()
        node = value.producer()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node.op_type in ("Conv", "ConvTranspose", "MaxPool", "AveragePool"):
            return True
        if node.op_type not in ("Transpose", "Reshape", "MatMul", "Gemm") and len(seen) < 16:
            waiting.extend(v for v in node.inputs if v is not None and rank(v) == rank(x))
    return False
