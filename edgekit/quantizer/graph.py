"""Models around the quantisation tools, with onnx-ir: reading, naming, counting, cleaning up."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from edgekit.errors import QuantizeError
from edgekit.quantizer.tools import tool_errors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from edgekit.quantizer.recipes import Recipe

#: protobuf, which the tools pass models through, takes no more in one piece.
MAX_MODEL_BYTES = 2**31 - 2**20
RECURRENT = ("GRU", "LSTM", "RNN")
STANDARD_DOMAINS = {"", "ai.onnx"}


def load(path: Path) -> Any:
    """Read a model with its external data; raises `QuantizeError` for one that is too large."""
    with tool_errors("read", "check that it is a complete ONNX model"):
        import onnx.inliner
        import onnx_ir as ir

        proto = onnx.load(path, load_external_data=False)
        size = sum(_initializer_bytes(tensor) for tensor in proto.graph.initializer)
        if max(size, path.stat().st_size) > MAX_MODEL_BYTES:
            raise QuantizeError(
                f"The model {str(path)!r} has {size} bytes of weights: the quantisation tools take "
                f"up to {MAX_MODEL_BYTES}."
            )
        onnx.load_external_data_for_model(proto, str(path.parent))
        if proto.functions:
            proto = onnx.inliner.inline_local_functions(proto)
        return ir.from_proto(proto)


def _initializer_bytes(tensor: Any) -> int:
    import onnx

    return int(
        math.prod(tensor.dims) * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    )


def save(model: Any, path: Path) -> None:
    """Write a model as one file."""
    import onnx_ir as ir

    ir.save(model, path)


def opset(model: Any) -> int:
    """Give the version of the standard operators that a model uses."""
    return max((model.opset_imports.get(domain, 0) for domain in STANDARD_DOMAINS), default=0)


def raise_opset(path: Path, target: Path, version: int) -> None:
    """Write the model at a later opset."""
    advice = f"export it at opset {version} or later"
    with tool_errors(f"raised to opset {version}", advice):
        import onnx

        onnx.save(onnx.version_converter.convert_version(onnx.load(path), version), target)


def name_nodes(model: Any) -> None:
    """Give every node of the top graph a name of its own: the tools pick nodes by name."""
    used: set[str] = set()
    for index, node in enumerate(model.graph):
        name = node.name or f"{node.op_type}_{index}"
        while name in used:
            name = f"{name}_{index}"
        used.add(name)
        node.name = name


def all_nodes(model: Any) -> Iterator[Any]:
    """Give the nodes of the top graph and of every graph inside of one."""
    yield from model.graph.all_nodes()


def count(model: Any, op_types: Collection[str]) -> Counter[str]:
    """Count the standard operators of these types, in subgraphs too."""
    return Counter(
        node.op_type
        for node in all_nodes(model)
        if node.op_type in op_types and node.domain in STANDARD_DOMAINS
    )


def is_quantised(model: Any) -> bool:
    """Tell whether weights or activations are in 8 or 4 bits already."""
    import onnx_ir as ir

    weights = {ir.DataType[name] for name in ("INT8", "UINT8", "INT4", "UINT4")}
    for node in all_nodes(model):
        if node.op_type in {"DequantizeLinear", "DynamicQuantizeLinear"}:
            return True
        takes = node.op_type == "Cast" or node.domain not in STANDARD_DOMAINS
        fixed = [value for value in node.inputs if value is not None and value.is_initializer()]
        if takes and any(value.dtype in weights for value in fixed):
            return True
    return False


def as_matmuls(model: Any, nodes: Sequence[Any]) -> list[str]:
    """Write the Gemm nodes among these as MatMul and Add; give the names of all the MatMuls."""
    import onnx_ir as ir

    names = []
    for node in nodes:
        names.append(node.name)
        if node.op_type != "Gemm":
            continue
        data, weight, *bias = node.inputs
        if node.attributes.get_int("transB", 0):
            weight = _turned(model, weight)
        product = ir.node("MatMul", [data, weight], name=node.name)
        made = [product]
        if bias and bias[0] is not None:
            made.append(ir.node("Add", [product.outputs[0], bias[0]], name=f"{node.name}/Add"))
        value, result = node.outputs[0], made[-1].outputs[0]
        result.shape, result.type = value.shape, value.type
        ir.convenience.replace_nodes_and_values(model.graph, node, [node], made, [value], [result])
    return names


def _turned(model: Any, weight: Any) -> Any:
    import onnx_ir as ir

    turned = ir.Value(name=f"{weight.name}/turned")
    turned.const_value = ir.Tensor(weight.const_value.numpy().T.copy(), name=turned.name)
    turned.shape, turned.dtype = turned.const_value.shape, weight.dtype
    model.graph.register_initializer(turned)
    return turned


def plain_gemms(model: Any) -> None:
    """Write a Gemm that adds nothing without its `beta`, which the tools would stumble over."""
    for node in model.graph:
        if node.op_type != "Gemm" or node.domain not in STANDARD_DOMAINS:
            continue
        if len(node.inputs) > 2 and node.attributes.get_float("beta", 1.0) == 0:
            node.resize_inputs(2)
        if len(node.inputs) < 3 or node.inputs[2] is None:
            node.attributes.pop("beta", None)


def part_biases(model: Any, nodes: Sequence[Any]) -> None:
    """Give every node a bias of its own: in int8 a bias has the scale of its node."""
    import onnx_ir as ir

    for node in nodes:
        bias = node.inputs[2] if len(node.inputs) > 2 else None
        if bias is None or not bias.is_initializer() or len(bias.uses()) == 1:
            continue
        name = f"{bias.name}__{node.name}"
        copy = ir.Value(name=name, shape=bias.shape, type=bias.type)
        copy.const_value = ir.Tensor(bias.const_value.numpy(), name=name)
        model.graph.register_initializer(copy)
        node.replace_input_with(2, copy)


def pool_first(model: Any, int8: Sequence[Any]) -> None:
    """Let a float MaxPool come before the Relu or Clip that it reads: the answer is the same.

    onnxruntime rounds before a MaxPool what is rounded behind it, and has no fast kernel for a pool
    of channels-first uint8. It does not reach behind a Relu, which costs nothing there: it becomes
    a part of the rounding. `int8` are the nodes whose results are rounded in any case.
    """
    import onnx_ir as ir

    for pool in [node for node in model.graph if node.op_type == "MaxPool"]:
        value = pool.inputs[0]
        relu = value.producer() if value is not None else None
        if value is None or relu is None or not _swaps(relu, pool, int8):
            continue
        pooled = pool.outputs[0]
        pool.replace_input_with(0, relu.inputs[0])
        moved = ir.node(relu.op_type, [pooled, *relu.inputs[1:]], name=relu.name)
        model.graph.insert_after(pool, [moved])
        for use in list(pooled.uses()):
            if use.node is not moved:
                use.node.replace_input_with(use.idx, moved.outputs[0])
        model.graph.remove(relu, safe=True)
        given = moved.outputs[0]
        given.name, pooled.name = pooled.name, value.name
        given.type, given.shape = pooled.type, pooled.shape


def _swaps(relu: Any, pool: Any, int8: Sequence[Any]) -> bool:
    return (
        relu.op_type in {"Clip", "Relu"}
        and relu.inputs[0].producer() not in int8
        and len(relu.outputs[0].uses()) == len(pool.outputs) == 1
        and not (relu.outputs[0].is_graph_output() or pool.outputs[0].is_graph_output())
    )


def restore_float(model: Any, int8: Sequence[str], float_results: Sequence[str]) -> None:
    """Give float readers the float value again where there is one.

    The tool rounds a value for everyone who reads it, a residual sum as well as the MatMul beside
    it. `int8` names the quantised nodes, `float_results` those of them whose kernel gives float.
    """
    taken = {node for node in model.graph if node.name in set(int8)}
    rounded = {node for node in taken if node.name not in set(float_results)}
    for quantize in [node for node in model.graph if node.op_type == "QuantizeLinear"]:
        value = quantize.inputs[0]
        if value is None or value.producer() in rounded:
            continue
        for use in list(quantize.outputs[0].uses()):
            given = use.node.outputs[0]
            for reader in list(given.uses()):
                if reader.node not in taken:
                    reader.node.replace_input_with(reader.idx, value)
            if given.is_graph_output() and not value.is_graph_input():
                _output_instead(model.graph, given, value)


def _output_instead(graph: Any, given: Any, value: Any) -> None:
    """Let `value` be the output that `given` was, under its name."""
    name = given.name
    given.name, value.name = f"{name}__rounded", name
    graph.outputs[list(graph.outputs).index(given)] = value


def finish(model: Any, source: Any, recipe: Recipe) -> None:
    """Make the tool's result a file of ours: order, names and shapes of the interface, metadata.

    What nothing reads is removed, and so are the shapes of inner values: an engine infers them.
    Equal constants become one: the zero points of weights are all alike.
    """
    import edgekit

    _drop_unread(model)
    _drop_inner_shapes(model)
    model.graph.sort()
    for ours, theirs in (
        (model.graph.inputs, source.graph.inputs),
        (model.graph.outputs, source.graph.outputs),
    ):
        for value, origin in zip(ours, theirs, strict=True):
            value.shape, value.type = origin.shape, origin.type
    used = {node.domain for node in all_nodes(model)} | {""}
    for domain in list(model.opset_imports):
        if domain not in used and domain not in STANDARD_DOMAINS:
            del model.opset_imports[domain]
    model.ir_version = max(source.ir_version, 10 if opset(model) > 20 else 8)
    model.producer_name, model.producer_version = "edgekit", edgekit.__version__
    model.doc_string = source.doc_string
    model.graph.name = source.graph.name
    model.metadata_props.clear()
    model.metadata_props.update(source.metadata_props)
    model.metadata_props["edgekit.recipe"] = recipe.name


def _drop_unread(model: Any) -> None:
    from onnx_ir.passes import common

    common.RemoveUnusedNodesPass()(model)
    common.DeduplicateInitializersPass()(model)


def _drop_inner_shapes(model: Any) -> None:
    made = [value for node in all_nodes(model) for value in node.outputs]
    for value in (*made, *model.graph.initializers.values()):
        if not (value.is_graph_output() or value.is_graph_input()):
            value.shape = value.type = None
