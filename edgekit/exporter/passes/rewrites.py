"""Patterns of nodes that engines run faster in another form, rewritten with onnxscript.

Each rule says why; the result is standard ONNX and computes the same.
"""

from __future__ import annotations

from typing import Any


def rewrite(model: Any) -> None:
    """Apply every rule to the model, and merge what is computed twice."""
    from onnx_ir.passes import Sequential, common

    _rules().apply_to_model(model)
    # Equal constants first: what reads them is equal only then.
    Sequential(common.DeduplicateInitializersPass(), common.CommonSubexpressionEliminationPass())(
        model
    )


def _rules() -> Any:
    from onnxscript.rewriter import RewriteRule, RewriteRuleSet

    return RewriteRuleSet(
        [
            # onnxruntime and others fuse this order of an exact GELU into one kernel.
            RewriteRule(_keras_gelu, _fusable_gelu, _is_exact_gelu, name="gelu", verbose=0),
            # onnxruntime fuses Add and LayerNormalization into a kernel that is slower than both;
            # a Sum of two is the same, and is left alone.
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
    return not a.is_initializer() and not b.is_initializer()


def _apart(op: Any, a: Any, b: Any, scale: Any, bias: Any, normalised: Any, **_: Any) -> Any:
    attributes = {
        key: attribute.value for key, attribute in normalised.producer().attributes.items()
    }
    return op.LayerNormalization(op.Sum(a, b), scale, bias, **attributes)


def _is_constant(value: Any, number: float) -> bool:
    tensor = value.const_value
    return tensor is not None and tensor.size == 1 and abs(tensor.numpy().item() - number) < 1e-6
