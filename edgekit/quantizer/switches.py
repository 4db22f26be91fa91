"""The float model with every rounding of a quantised file in it, each behind a switch.

Reads a file in QDQ form, or with stored weights (`stored`): what its QuantizeLinear and
DequantizeLinear nodes, or its Cast and Mul, do to the inputs and the weight of a node is put in
front of the same node of the float model. An input `SWITCHES`, bool
(layers,), says which layers are rounded in a run. So one file and one session show every layer
alone: nothing is quantised, written or opened anew for the next layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.quantizer import graph

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

SWITCHES = "edgekit_switches"
#: Operators whose third input is a bias.
BIASED = ("Conv", "ConvTranspose", "Gemm")


def switchable(plain: Any, quantised: Any, takes: Callable[[Any], bool]) -> list[Any]:
    """Give the nodes of the float model that read rounded values in the quantised one.

    Nodes are matched by name; `takes` chooses among them.
    """
    known = {node.name: node for node in quantised.graph}
    return [
        node
        for node in plain.graph
        if takes(node) and node.name in known and _roundings(node, known[node.name])
    ]


def write(plain: Any, quantised: Any, nodes: Sequence[Any], target: Path) -> None:
    """Write the float model with a switch for each of the nodes; it is changed on the way."""
    import onnx_ir as ir

    known = {node.name: node for node in quantised.graph}
    flags = ir.Value(
        name=SWITCHES, type=ir.TensorType(ir.DataType.BOOL), shape=ir.Shape((len(nodes),))
    )
    plain.graph.inputs.append(flags)
    for number, node in enumerate(nodes):
        writer = _Writer(plain.graph, node, f"{SWITCHES}/{number}")
        flag = writer.add("Gather", [flags, writer.constant("index", _index(number))])
        for index, rounding in _roundings(node, known[node.name]).items():
            value = node.inputs[index]
            rounded = writer.rounded(value, rounding)
            node.replace_input_with(index, writer.add("Where", [flag, rounded, value]))
    for domain, version in quantised.opset_imports.items():
        plain.opset_imports.setdefault(domain, version)
    graph.save(plain, target)


def _index(number: int) -> Any:
    import numpy as np

    return np.array(number, np.int64)


def _roundings(node: Any, rounded: Any) -> dict[int, tuple[Any, ...]]:
    """Give, by input, the nodes that round it: quantise and dequantise, or give a weight back.

    A bias is left out: 32 bits at the scale of its node lose nothing that counts.
    """
    found: dict[int, tuple[Any, ...]] = {}
    for index, (ours, theirs) in enumerate(zip(node.inputs, rounded.inputs, strict=False)):
        if ours is None or theirs is None or (index == 2 and node.op_type in BIASED):
            continue
        chain = _chain(theirs)
        if not chain:
            continue
        stored = chain[0].inputs[0]
        if stored.const_value is None or (ours.const_value is not None and _same(ours, stored)):
            found[index] = chain
    return found


def _chain(value: Any) -> tuple[Any, ...]:
    last = value.producer()
    if last is None or last.op_type not in ("DequantizeLinear", "Mul"):
        return ()
    first = last.inputs[0].producer()
    if last.op_type == "Mul":
        given_back = first is not None and first.op_type == "Cast"
        return (first, last) if given_back and first.inputs[0].const_value is not None else ()
    if first is not None:
        return (first, last) if first.op_type == "QuantizeLinear" else ()
    return (last,) if last.inputs[0].const_value is not None else ()


def _same(ours: Any, stored: Any) -> bool:
    return bool(ours.const_value.shape == stored.const_value.shape)


class _Writer:
    """Adds nodes in front of one node, under names of their own."""

    def __init__(self, graph: Any, node: Any, prefix: str) -> None:
        self.graph, self.node, self.prefix = graph, node, prefix
        self.count = 0

    def add(
        self, op_type: str, inputs: Sequence[Any], attributes: Any = (), domain: str = ""
    ) -> Any:
        import onnx_ir as ir

        self.count += 1
        made = ir.Node(
            domain, op_type, inputs, attributes, name=f"{self.prefix}/{self.count}/{op_type}"
        )
        made.outputs[0].name = f"{made.name}_output"
        self.graph.insert_before(self.node, made)
        return made.outputs[0]

    def constant(self, name: str, array: Any) -> Any:
        import onnx_ir as ir

        self.count += 1
        tensor = array if isinstance(array, ir.TensorProtocol) else ir.tensor(array)
        value = ir.Value(
            name=f"{self.prefix}/{self.count}/{name}",
            type=ir.TensorType(tensor.dtype),
            shape=ir.Shape(tensor.shape.numpy()),
            const_value=tensor,
        )
        self.graph.register_initializer(value)
        return value

    def rounded(self, value: Any, nodes: Sequence[Any]) -> Any:
        """Pass a value through copies of the nodes; a stored weight takes its place."""
        if nodes[0].inputs[0].const_value is not None:
            value = self._copy(nodes[0].inputs[0])
        for node in nodes:
            rest = [None if each is None else self._copy(each) for each in node.inputs[1:]]
            attributes = list(node.attributes.values())
            value = self.add(node.op_type, [value, *rest], attributes, node.domain)
        return value

    def _copy(self, value: Any) -> Any:
        return self.constant(value.name, value.const_value)
