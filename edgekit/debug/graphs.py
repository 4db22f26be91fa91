"""Two files as graphs of the tensors that both have. Left of the wall: it needs onnx-ir.

A file is read once and written again for each look, with its weights in one file beside it that
no look copies. Only the top graph is looked into: a loop or a branch is one node.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import ModelError, needs_extra, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

WEIGHTS = "weights.data"
#: What rounds a tensor and gives it back is no step of the model.
ROUNDING = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
#: What a tool puts behind a node when it changes the precision.
CONVERSIONS = ("Cast", *ROUNDING)
#: Constants that are closer than this are the same number, written by another tool.
CONSTANT_RTOL = 1e-6
_COUNTER = re.compile(r"_\d+$")


@dataclass(frozen=True)
class Node:
    """A node as reports name it: its name, operator and the path of its Keras layer, if known."""

    name: str
    op_type: str
    layer: str | None

    def __str__(self) -> str:
        return f"{self.name!r} ({self.op_type})"


@dataclass(frozen=True)
class Shared:
    """The tensors that two files share, in topological order, by their names in each.

    `ancestors` and `parents` have, for each tensor, the set of those it comes from and of the
    nearest of them, as bits of an int.
    """

    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    ancestors: tuple[int, ...]
    parents: tuple[int, ...]


def check_installed() -> None:
    """Raise `MissingExtraError` without onnx-ir."""
    with needs_extra("look inside of a model", "quantize"):
        import onnx_ir  # noqa: F401 - whether it is there is the question


def copy(path: Path, folder: Path) -> Path:
    """Write a model into a folder with its weights apart; gives the path of the copy."""
    import onnx_ir as ir

    try:
        model = ir.load(path)
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / "model.onnx"
        ir.save(model, target, external_data=WEIGHTS)
    except OSError:
        raise
    except Exception as error:
        # protobuf's DecodeError, and whatever onnx-ir raises for a graph that is none.
        raise ModelError(
            f"The file {str(path)!r} cannot be read as ONNX ({one_line(error)}): give a whole "
            "file that is not compiled for a provider."
        ) from error
    return target


def share(ours: Path, theirs: Path) -> Shared:
    """Match the tensors of two files: by name, else by the name and operator of their node."""
    import onnx_ir as ir

    left, right = ir.load(ours), ir.load(theirs)
    known = _steps(right)
    by_node = {
        (value.producer().name, value.producer().op_type, value.index()): name
        for name, value in known.items()
    }
    steps = _steps(left)
    pairs = {name: name for name in steps if name in known}
    for name, value in steps.items():
        node = value.producer()
        other = by_node.get((node.name, node.op_type, value.index()))
        if name not in pairs and other is not None and other not in pairs.values():
            pairs[name] = other
    pairs = {name: pairs[name] for name in steps if name in pairs}
    ancestors, parents = _reach(left, list(pairs))
    return Shared(tuple(pairs), tuple(pairs.values()), ancestors, parents)


def mark(source: Path, names: Sequence[str], target: Path) -> None:
    """Write a copy that gives some of its inner tensors as outputs too."""
    import onnx_ir as ir

    model = ir.load(source)
    known = {value.name: value for node in model.graph for value in node.outputs}
    given = {value.name for value in model.graph.outputs}
    model.graph.outputs.extend(known[name] for name in names if name not in given)
    ir.save(model, target)


def replace(source: Path, name: str, array: np.ndarray[Any, Any], fed: str, target: Path) -> None:
    """Write a copy whose nodes take an inner tensor from a new input, `fed`, like `array`."""
    import onnx_ir as ir

    model = ir.load(source)
    value = next(v for node in model.graph for v in node.outputs if v.name == name)
    dtype = ir.DataType.from_numpy(array.dtype)
    taken = ir.Value(name=fed, type=ir.TensorType(dtype), shape=ir.Shape(array.shape))
    model.graph.inputs.append(taken)
    for use in list(value.uses()):
        use.node.replace_input_with(use.idx, taken)
    ir.save(model, target)


def node_of(path: Path, tensor: str) -> Node:
    """Name the node that gives a tensor, and its layer."""
    import onnx_ir as ir

    model = ir.load(path)
    return describe(model, _producer(model, tensor))


def between(path: Path, tensor: str, shared: Sequence[str]) -> tuple[Node, ...]:
    """Give the nodes that lie between a tensor and the nearest shared ones, without its own."""
    import onnx_ir as ir

    model = ir.load(path)
    stops, found = set(shared), {}
    waiting = [_producer(model, tensor)]
    while waiting:
        for value in waiting.pop().inputs:
            node = value.producer() if value is not None else None
            if node is not None and value.name not in stops and node not in found:
                found[node] = describe(model, node)
                waiting.append(node)
    return tuple(row for node, row in found.items() if node.op_type not in ROUNDING)


def differences(ours: Path, theirs: Path, tensor: str, other: str) -> Iterator[str]:
    """Say in which attributes and constant inputs the nodes of a tensor differ."""
    import onnx_ir as ir

    left, right = _producer(ir.load(ours), tensor), _producer(ir.load(theirs), other)
    if left.op_type != right.op_type:
        yield f"it is a {left.op_type} where the other file has a {right.op_type}"
        return
    for name in dict.fromkeys((*left.attributes, *right.attributes)):
        mine, his = (_attribute(node.attributes.get(name)) for node in (left, right))
        if mine != his:
            yield f"its attribute {name!r} is {mine} where the other file has {his}"
    for mine, his in zip(left.inputs, right.inputs, strict=False):
        a, b = _constant(mine), _constant(his)
        if a is not None and b is not None:
            # What rounding to our dtype alone makes of the other's is no difference.
            with np.errstate(over="ignore"):
                b = b.astype(a.dtype)
            yield from _constants_differ(mine.name, a, b)


def layer_of(name: str, model: str) -> str | None:
    """Give the path of the Keras layer in a node's name, without its operator.

    Keras numbers all scopes of a second trace; where the model's own scope is numbered so, the
    numbers are left out.
    """
    *scopes, _ = name.split("/")
    if not scopes:
        return None
    if scopes[0] != model and _COUNTER.sub("", scopes[0]) == model:
        suffix = scopes[0].removeprefix(model)
        scopes = [scope.removesuffix(suffix) for scope in scopes]
    return "/".join(scopes)


def _steps(model: Any) -> dict[str, Any]:
    """Give what the nodes of the top graph give, but for those that only round inner tensors."""
    return {
        value.name: value
        for node in model.graph
        for value in node.outputs
        if value.name and (node.op_type not in ROUNDING or value.is_graph_output())
    }


def _reach(model: Any, names: Sequence[str]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    index = {name: i for i, name in enumerate(names)}
    reach: dict[str, int] = {}
    near: dict[str, int] = {}
    ancestors, parents = [0] * len(names), [0] * len(names)
    for node in model.graph:
        taken = list(_taken(node))
        above = _union(reach.get(name, 0) for name in taken)
        nearest = _union(near.get(name, 0) for name in taken)
        for value in node.outputs:
            place = index.get(value.name)
            bit = 0 if place is None else 1 << place
            reach[value.name], near[value.name] = above | bit, bit or nearest
            if place is not None:
                ancestors[place], parents[place] = above, nearest
    return tuple(ancestors), tuple(parents)


def _taken(node: Any) -> Iterator[str]:
    """Give the names that a node takes, those that its bodies take from around it too."""
    import onnx_ir as ir

    yield from (value.name for value in node.inputs if value is not None)
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            bodies = (attribute.as_graph(),)
        elif attribute.type == ir.AttributeType.GRAPHS:
            bodies = tuple(attribute.as_graphs())
        else:
            continue
        for body in bodies:
            yield from (value.name for value in body.outputs)
            for inner in body.all_nodes():
                yield from (value.name for value in inner.inputs if value is not None)


def _union(masks: Iterator[int]) -> int:
    found = 0
    for mask in masks:
        found |= mask
    return found


def _producer(model: Any, tensor: str) -> Any:
    return next(n for n in model.graph if any(v.name == tensor for v in n.outputs))


def describe(model: Any, node: Any) -> Node:
    """Name a node; one whose name has no path takes its layer from a weight or its output."""
    names = [node.name or "", *(v.name for v in node.outputs if v.name)]
    names += [v.name for v in node.inputs if v is not None and v.const_value is not None]
    layers = (layer_of(name, model.graph.name or "") for name in names)
    layer = next((layer for layer in layers if layer), None)
    return Node(node.name or node.outputs[0].name, node.op_type, layer)


def _attribute(attribute: Any) -> Any:
    if attribute is None:
        return "not given"
    value = attribute.value
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _constant(value: Any) -> np.ndarray[Any, Any] | None:
    if value is None or value.const_value is None:
        return None
    array: np.ndarray[Any, Any] = value.const_value.numpy()
    return array if array.dtype.kind in "fiu" else None


def _constants_differ(
    name: str, ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]
) -> Iterator[str]:
    what = f"its constant {name!r} has"
    if ours.shape != theirs.shape:
        yield f"{what} shape {ours.shape} where the other file has {theirs.shape}"
        return
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    with np.errstate(invalid="ignore"):
        error = np.abs(ours - theirs)
    if ours.size and not (error <= CONSTANT_RTOL * np.abs(theirs)).all():
        worst = int(np.nan_to_num(error, nan=np.inf).argmax())
        at = tuple(int(i) for i in np.unravel_index(worst, error.shape))
        yield f"{what} {ours[at]:.6g} where the other file has {theirs[at]:.6g} at {at}"
