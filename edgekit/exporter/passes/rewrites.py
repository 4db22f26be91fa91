"""Patterns of nodes that engines run faster in another form, rewritten with onnxscript.

Each rule says why; the result is standard ONNX and computes the same.
"""

from __future__ import annotations

from typing import Any


def rewrite(model: Any) -> None:
    """Apply every rule to the model, and merge what is computed twice."""
    from onnx_ir.passes import Sequential, common

    named = set(model.graph.all_nodes())
    _rules().apply_to_model(model)
    _name(model, named)
    # Equal constants first: what reads them is equal only then.
    Sequential(common.DeduplicateInitializersPass(), common.CommonSubexpressionEliminationPass())(
        model
    )


def _name(model: Any, known: set[Any]) -> None:
    """Name what a rule made after the value that it stands for."""
    for graph in model.graphs():
        for node in reversed(graph):
            if node in known:
                continue
            uses = [use.node for use in node.outputs[0].uses()]
            inner = len(uses) == 1 and uses[0] not in known
            node.name = f"{uses[0].name}/{node.op_type}" if inner else node.outputs[0].name


def _rules() -> Any:
    from onnxscript.rewriter import RewriteRule, RewriteRuleSet

    return RewriteRuleSet(
        [
            # onnxruntime and others fuse this order of an exact GELU into one kernel.
            RewriteRule(_keras_gelu, _fusable_gelu, _is_exact_gelu, name="gelu", verbose=0),
            # onnxruntime fuses Add and LayerNormalization on three axes into a kernel that is six
            # times slower than both. A Sum would be left alone too, but WebGPU has none.
            RewriteRule(_residual, _apart, _is_residual, name="residual", verbose=0),
        ],
        commute=True,
    )


def _keras_gelu(op: Any, x: Any, half: Any, one: Any, root: Any) -> Any:
    return op.Mul(op.Mul(half, x), op.Sub(one, op.Erf(op.Mul(op.Neg(x), root))))


def _is_exact_gelu(context: Any, half: Any, one: Any, root: Any, **_: Any) -> bool:
    expected = {0.5: half, 1.0: one, 0.5**0.5: root}
    return all(_is_constant(value, number) for number, value in expected.items())


def _fusable_gelu(op: Any, x: Any, half: Any, one: Any, **_: Any) -> Any:
    import onnx_ir as ir

    root = op.initializer(ir.tensor(2**0.5, dtype=half.dtype, name=f"{x.name}/root_of_two"))
    return op.Mul(op.Mul(x, op.Add(op.Erf(op.Div(x, root)), one)), half)


def _residual(op: Any, a: Any, b: Any, scale: Any, bias: Any) -> Any:
    total = op.Add(a, b, _outputs=["total"])
    return op.LayerNormalization(
        total, scale, bias, _allow_other_attributes=True, _outputs=["normalised"]
    )


def _is_residual(context: Any, a: Any, b: Any, **_: Any) -> bool:
    known = [value.shape for value in (a, b) if value.shape is not None]
    unlike = any(len(shape) != 3 for shape in known)
    return not unlike and not a.is_initializer() and not b.is_initializer()


def _apart(op: Any, a: Any, b: Any, scale: Any, bias: Any, normalised: Any, **_: Any) -> Any:
    attributes = {
        key: attribute.value for key, attribute in normalised.producer().attributes.items()
    }
    return op.LayerNormalization(op.Sub(a, op.Neg(b)), scale, bias, **attributes)


def _is_constant(value: Any, number: float) -> bool:
    tensor = value.const_value
    return tensor is not None and tensor.size == 1 and abs(tensor.numpy().item() - number) < 1e-6
