"""Put the nodes before and behind a model into one graph. Left of the wall: onnx-ir."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit.errors import ExportError, needs_extra, one_line
from edgekit.ingraph import answers, images, text
from edgekit.ingraph.nodes import DOMAINS, Nodes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: The least opset of the operators: from here on ReduceMax takes its axes as an input.
MIN_OPSET = 18
#: Where `Variant.takes` is one of these, what an app feeds: its name, dtype and axes.
INTERFACES: dict[str, tuple[str, str, tuple[int | str, ...]]] = {
    "text": ("text", "STRING", ("batch",)),
    "pixels": ("image", "UINT8", ("batch", "height", "width", "channels")),
    "encoded": ("image", "UINT8", (1, "bytes")),
}


@dataclass(frozen=True)
class Plan:
    """What goes before and behind a model: the preprocessing, what the file takes, the answers."""

    spec: dict[str, Any]
    takes: str
    labels: Sequence[str]
    top: int


def attach(source: Path, plan: Plan, target: Path) -> tuple[int, bool]:
    """Write a model with its pre- and post-processing as a new file.

    Gives its opset, and whether a softmax was missing.

    Raises `ExportError` for a model whose opset or input the preprocessing does not fit.
    """
    from edgekit.exporter import writer

    with needs_extra("put preprocessing into a model", "quantize"):
        import onnx_ir as ir
    try:
        model = ir.load(source)
    except Exception as error:  # protobuf and onnx-ir raise whatever a damaged file provokes
        raise ExportError(
            f"The file {str(source)!r} cannot be read as ONNX ({one_line(error)}): give a whole "
            "file."
        ) from error
    opset = model.opset_imports[""]
    if opset < MIN_OPSET:
        raise ExportError(
            f"The model {str(source)!r} is of opset {opset}, preprocessing in the graph needs "
            f"{MIN_OPSET}: export it with --opset {MIN_OPSET} or a later one."
        )
    before = _before(model.graph, source, plan)
    after = _after(model.graph, plan)
    used = {node.domain for node in (*before.nodes, *after.nodes)}
    for domain in sorted(used & DOMAINS.keys()):
        model.opset_imports.setdefault(domain, DOMAINS[domain])
    for key, value in (("preprocessing", plan.spec), ("labels", list(plan.labels))):
        if value:
            model.metadata_props[f"edgekit.{key}"] = json.dumps(value, ensure_ascii=False)
    model.metadata_props["edgekit.takes"] = plan.takes
    writer.save(model, target)
    return opset, any(node.op_type == "Softmax" for node in after.nodes)


def _before(graph: Any, source: Path, plan: Plan) -> Nodes:
    """Put the preprocessing before the input that it is for."""
    import onnx_ir as ir

    nodes = Nodes("preprocessing")
    named = {value.name: value for value in graph.inputs}
    inner = named.get(plan.spec["input"])
    if inner is None:
        raise ExportError(
            f"The model {str(source)!r} has no input {plan.spec['input']!r}, for which the "
            f"preprocessing is: it has {', '.join(map(repr, named))}."
        )
    if plan.takes not in INTERFACES:
        return nodes
    name, dtype, axes = INTERFACES[plan.takes]
    batch = inner.shape[0]
    if plan.takes == "encoded" and isinstance(batch, int) and batch != 1:
        raise ExportError(
            f"The model {str(source)!r} has the batch {batch} and a file is one picture: export it "
            "with a free batch axis."
        )
    _make_free(graph, inner, name)
    outer = ir.Value(name=name, type=ir.TensorType(ir.DataType[dtype]))
    outer.shape = ir.Shape([batch if axis == "batch" else axis for axis in axes])
    prepared = _prepared(nodes, outer, plan)
    if prepared.dtype != inner.dtype:
        prepared = nodes.cast(prepared, inner.dtype.name)
    prepared.type, prepared.shape = inner.type, inner.shape
    ir.convenience.replace_all_uses_with(inner, prepared)
    graph.inputs[list(graph.inputs).index(inner)] = outer
    graph.insert_before(graph[0], nodes.nodes)
    for constant in nodes.constants:
        graph.initializers.add(constant)
    return nodes


def _prepared(nodes: Nodes, outer: Any, plan: Plan) -> Any:
    if plan.takes == "text":
        return text.prepare(nodes, outer, plan.spec)
    pixels = images.decode(nodes, outer) if plan.takes == "encoded" else outer
    return images.prepare(nodes, pixels, plan.spec)


def _after(graph: Any, plan: Plan) -> Nodes:
    """Put what the scores mean behind the output that has one for each label."""
    nodes = Nodes("answer")
    scores = next((value for value in graph.outputs if _is_scores(value, plan.labels)), None)
    if plan.takes == "encoded":
        for value in graph.outputs:
            value.shape = _one_sample(value.shape)
    if scores is None:
        return nodes
    import onnx_ir as ir

    batch, count = scores.shape
    top = min(plan.top, count)
    made = answers.explain(nodes, scores, plan.labels, top)
    for name in made:
        _make_free(graph, scores, name)
    shapes = {"probabilities": (batch, count), "label": (batch,), "probability": (batch,)}
    for name, value in made.items():
        value.name = name
        value.type = ir.TensorType(ir.DataType.STRING if "label" in name else scores.dtype)
        value.shape = ir.Shape(shapes.get(name, (batch, top)))
    others = [value for value in graph.outputs if value is not scores]
    graph.extend(nodes.nodes)
    graph.outputs[:] = [*made.values(), *others]
    for constant in nodes.constants:
        graph.initializers.add(constant)
    return nodes


def _is_scores(value: Any, labels: Sequence[str]) -> bool:
    shape = value.shape
    return bool(labels) and shape is not None and len(shape) == 2 and shape[1] == len(labels)


def _one_sample(shape: Any) -> Any:
    import onnx_ir as ir

    return ir.Shape([1, *shape[1:]])


def _make_free(graph: Any, of: Any, name: str) -> None:
    """Rename what else has a name of the interface; raises where it is of the interface too."""
    for value in (*graph.inputs, *graph.outputs):
        if value is not of and value.name == name:
            raise ExportError(
                f"The model has an input or output {name!r} beside {of.name!r}, a name that its "
                "raw form needs: give the model's another name."
            )
    inner = [output for node in graph.all_nodes() for output in node.outputs]
    for value in (*graph.inputs, *graph.initializers.values(), *inner):
        if value.name == name:
            value.name = f"{name}/inner"
