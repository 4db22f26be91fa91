"""What is inside an ONNX file: operators, parameters, multiply-accumulates, metadata.

Left of the wall, because it reads the graph itself: it needs the package onnx.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from edgekit.errors import ModelError, needs_extra, one_line
from edgekit.filesize import model_bytes
from edgekit.runtime.runner import open_runner

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from edgekit.signature import Signature

#: Gates of the recurrent operators: how many weight matrices each step multiplies.
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


@dataclass(frozen=True)
class Inspection:
    """The inside of one file.

    `parameters` counts the elements of all initializers, `macs` the multiply-accumulates of
    convolutions, matrix products and recurrent layers for one sample at the lengths in `axes`;
    `uncounted` names operators of that kind whose shapes are not known before the run.
    """

    path: Path
    signature: Signature
    opset: dict[str, int]
    ir_version: int
    operators: dict[str, int]
    parameters: int
    macs: int
    uncounted: tuple[str, ...]
    axes: dict[str, int]
    size_bytes: int
    producer: str
    metadata: dict[str, str]


def inspect(path: Path, axes: Mapping[str, int] | None = None) -> Inspection:
    """Open a file in onnxruntime and in onnx, and count what is inside.

    `axes` gives free axes a length for `macs`; left out, the batch is 1 and any other axis
    what `Signature.sample` gives it. Raises `ModelError` for a file that is no model.
    """
    if path.suffix == ".ort":
        raise ModelError(
            f"The file {str(path)!r} is in onnxruntime's own format, which is no ONNX graph: "
            "inspect the .onnx file that it was compiled from."
        )
    with open_runner(path) as runner:
        signature = runner.signature
    with needs_extra("inspect a model", "quantize"):
        import onnx
    try:
        model = onnx.load(path)
    except Exception as error:
        raise ModelError(
            f"The file {str(path)!r} cannot be read as ONNX ({one_line(error)}): give a whole file."
        ) from error
    lengths = signature.lengths(signature.sample(axes=axes))
    macs, uncounted = _macs(onnx, model, lengths)
    return Inspection(
        path=path,
        signature=signature,
        opset={entry.domain or "ai.onnx": entry.version for entry in model.opset_import},
        ir_version=model.ir_version,
        operators=dict(Counter(node.op_type for node in _nodes(model.graph)).most_common()),
        parameters=sum(prod(tensor.dims) for tensor in model.graph.initializer),
        macs=macs,
        uncounted=uncounted,
        axes=lengths,
        size_bytes=model_bytes(path),
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        metadata={entry.key: entry.value for entry in model.metadata_props},
    )


def fix_shapes(source: Path, target: Path, signature: Signature) -> None:
    """Write a model with the shapes of a signature in the place of its inputs' free axes.

    An axis that is free in the signature too stays free.
    The weights are in memory once, and in the file: external data is no longer external.
    """
    with needs_extra("fix the axes of a model", "quantize"):
        import onnx
        from onnxruntime.tools import onnx_model_utils as tools
    model = onnx.load(source)
    given = {value.name: value.type.tensor_type.shape.dim for value in model.graph.input}
    for spec in signature.inputs:
        for dim, size in zip(given[spec.name], spec.shape, strict=True):
            if not isinstance(size, int) or dim.HasField("dim_value"):
                continue
            if dim.HasField("dim_param"):
                tools.make_dim_param_fixed(model.graph, dim.dim_param, size)
            else:
                dim.dim_value = size
    tools.fix_output_shapes(model)
    onnx.save(model, target)


def _nodes(graph: Any) -> Iterator[Any]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g)


def _macs(onnx: Any, model: Any, lengths: Mapping[str, int]) -> tuple[int, tuple[str, ...]]:
    for value in model.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in lengths:
                dim.dim_value = lengths[dim.dim_param]
    del model.graph.value_info[:]
    try:
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        raise ModelError(
            f"The shapes inside the model do not fit together ({one_line(error)}): export it again."
        ) from error
    shapes = _shapes(model.graph)
    total, uncounted = 0, Counter[str]()
    for node in _nodes(model.graph):
        count = _node_macs(node, shapes)
        if count is None:
            uncounted[node.op_type] += 1
        else:
            total += count
    return total, tuple(uncounted)


def _shapes(graph: Any) -> dict[str, tuple[int, ...]]:
    """Collect every shape that is known as numbers."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if all(dim.HasField("dim_value") for dim in dims):
            shapes[value.name] = tuple(dim.dim_value for dim in dims)
    return shapes


def _node_macs(node: Any, shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    """Count one node: 0 for a kind that multiplies nothing, None where a shape is unknown."""
    kind = node.op_type
    if kind not in {"Conv", "ConvInteger", "ConvTranspose", "MatMul", "MatMulInteger", "Gemm"} and (
        kind not in GATES
    ):
        return 0
    x, w = shapes.get(node.input[0]), shapes.get(node.input[1])
    y = shapes.get(next((name for name in node.output if name), ""))
    if x is None or w is None or y is None:
        return None
    if kind == "ConvTranspose":
        return prod(x) * prod(w[1:])
    if "Conv" in kind:
        return prod(y) * prod(w[1:])
    if kind in GATES:
        time, batch, width = x
        directions, gates_units, _ = w
        units = gates_units // GATES[kind]
        return time * batch * directions * gates_units * (width + units)
    transposed = any(a.name == "transA" and a.i for a in node.attribute)
    return prod(y) * (x[0] if transposed else x[-1])
