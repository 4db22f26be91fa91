"""Convolutions whose attributes tf2onnx misses."""

from __future__ import annotations

from typing import Any


def conv3d(ctx: Any, node: Any, name: str, args: Any) -> None:
    """tf2onnx finds the groups of a convolution on two axes only."""
    from tf2onnx.onnx_opset.nn import ConvOp

    channels, each = ctx.get_shape(node.input[0])[-1], ctx.get_shape(node.input[1])[-2]
    ConvOp.any_version(ctx.opset, ctx, node)
    node.set_attr("group", channels // each)
