"""Types that onnxruntime has no CPU kernel for, computed in a wider one that holds every value.

The kernels are asked of the installed onnxruntime. Where nothing wider is exact (int64, float64)
the model is refused.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from edgekit.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The types that hold every value of one, best first. float16 is widened by onnxruntime itself.
WIDER = {
    "bool": ("uint8", "int32", "int64"),
    "int8": ("int16", "int32", "int64"),
    "uint8": ("int16", "int32", "int64"),
    "int16": ("int32", "int64"),
    "uint16": ("int32", "int64"),
    "int32": ("int64", "double"),
    "uint32": ("int64", "uint64"),
}
#: Types that nothing wider holds, by numpy's name.
EXACT = {"int64": "int64", "uint64": "uint64", "double": "float64"}
#: Operators whose kernels are for any type, or whose types are not of values.
_PASSED_ON = {"Cast", "CastLike", "Constant", "Identity", "If", "Loop", "Scan"}


def widen(model: Any) -> None:
    """Put Casts around the nodes whose types have no kernel; the model's own types stay."""
    opset = model.opset_imports.get("", 1)
    types: dict[int, str] = {}
    for node in list(model.graph.all_nodes()):
        if node.domain not in ("", "ai.onnx"):
            continue
        variables = _variables(node, opset)
        known = {
            variable: name
            for value, variable in variables.items()
            if (name := types.get(id(value)) or _type_of(value))
        }
        if node.op_type not in _PASSED_ON:
            found = _widened(node, opset, known)
            if found:
                _cast_around(node, variables, *found, known[found[0]])
        for value in node.outputs:
            variable = variables.get(value)
            if variable in known and not _type_of(value):
                types[id(value)] = known[variable]


def _type_of(value: Any) -> str | None:
    return value.dtype.name.lower() if value.dtype else None


def _variables(node: Any, opset: int) -> dict[Any, str]:
    """Give the type variable of the operator's schema that each value stands for."""
    import onnx

    try:
        schema = onnx.defs.get_schema(node.op_type, opset)
    except onnx.defs.SchemaError:
        return {}
    found = {}
    for values, formal in ((node.inputs, schema.inputs), (node.outputs, schema.outputs)):
        for i, value in enumerate(values):
            if value is not None and formal:
                found[value] = formal[min(i, len(formal) - 1)].type_str
    return found


@functools.cache
def _kernels(operator: str, opset: int) -> tuple[Mapping[str, list[str]], ...]:
    """Give the type constraints of the CPU kernels of an operator."""
    from onnxruntime.capi import onnxruntime_pybind11_state as engine

    return tuple(
        kernel.type_constraints
        for kernel in engine.get_all_opkernel_def()
        if kernel.op_name == operator
        and kernel.domain == ""
        and kernel.provider == "CPUExecutionProvider"
        and kernel.version_range[0] <= opset <= kernel.version_range[1]
    )


def _runs(operator: str, opset: int, known: Mapping[str, str]) -> bool:
    return any(
        all(f"tensor({known[v]})" in allowed for v, allowed in kernel.items() if v in known)
        for kernel in _kernels(operator, opset)
    )


def _is_function(operator: str, opset: int) -> bool:
    import onnx

    schema: Any = onnx.defs.get_schema(operator, opset)
    return bool(schema.has_function or schema.has_context_dependent_function)


def _widened(node: Any, opset: int, known: Mapping[str, str]) -> tuple[str, str] | None:
    """Find the type variable to widen, and to what; None where nothing has to be done."""
    operator = node.op_type
    if not _kernels(operator, opset) or _runs(operator, opset, known):
        return None
    for variable, name in known.items():
        for wider in WIDER.get(name, ()):
            if _runs(operator, opset, {**known, variable: wider}):
                return variable, wider
    if _is_function(operator, opset):
        return None  # onnxruntime writes it out in operators that it has
    wide = sorted(set(known.values()) & set(EXACT))
    if not wide or len(set(known.values())) > 1:
        return None
    raise ExportError(
        f"The node {node.name!r} computes {operator} of {EXACT[wide[0]]}, which onnxruntime has no "
        "kernel for on the CPU: compute it in float32 or int32 with keras.ops.cast."
    )


def _cast_around(
    node: Any, variables: Mapping[Any, str], variable: str, wider: str, narrow: str
) -> None:
    import onnx_ir as ir

    to, back = ir.DataType[wider.upper()], ir.DataType[narrow.upper()]
    for i, value in enumerate(node.inputs):
        if value is not None and variables[value] == variable:
            cast = ir.node("Cast", [value], {"to": to}, name=f"{node.name}/Cast")
            cast.outputs[0].name = f"{value.name}/{wider}__{i}"
            cast.outputs[0].dtype = to
            node.graph.insert_before(node, cast)
            node.replace_input_with(i, cast.outputs[0])
    for value in node.outputs:
        if variables.get(value) == variable:
            cast = ir.node("Cast", [value], {"to": back}, name=f"{node.name}/Cast")
            narrowed = cast.outputs[0]
            if "dtype" in node.attributes:
                node.attributes["dtype"] = ir.AttrInt64("dtype", to)
            if "dtype" in node.attributes:
                node.attributes["dtype"] = ir.AttrInt64("dtype", to)
            narrowed.name, value.name = value.name, f"{value.name}/{wider}"
            narrowed.dtype, value.dtype = back, to
            ir.convenience.replace_all_uses_with(value, narrowed, replace_graph_outputs=True)
            cast.replace_input_with(0, value)
            node.graph.insert_after(node, cast)
