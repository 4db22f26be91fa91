"""Models that answer with what their preprocessing gave them, and preprocessings for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnx import TensorProto, helper

from tests.conftest import write_model

ALPHABET = "abcdefghijklmnopqrstuvwxyz '-ßäéöü\u0307"


def text_spec(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "characters",
        "input": "tokens",
        "alphabet": ALPHABET,
        "lowercase": True,
        "max_length": 12,
        "padding": 0,
        "unknown": 1,
        "offset": 2,
    } | changes


def image_spec(**changes: Any) -> dict[str, Any]:
    sizes = {"height": 12, "width": 16, "channels": 1, "range": [0, 1]}
    return {"kind": "image", "input": "picture", **sizes} | changes


def write_text_echo(path: Path) -> Path:
    """`tokens` int32 (batch, time) -> `ids`, the same."""
    shape = ["batch", "time"]
    return write_model(
        path,
        [helper.make_node("Identity", ["tokens"], ["ids"])],
        [("tokens", TensorProto.INT32, shape)],
        [("ids", TensorProto.INT32, shape)],
    )


def write_image_echo(path: Path, spec: dict[str, Any]) -> Path:
    """`picture` float32 (batch, height, width, channels) -> `values`, the same."""
    shape = ["batch", spec["height"], spec["width"], spec["channels"]]
    return write_model(
        path,
        [helper.make_node("Identity", ["picture"], ["values"])],
        [("picture", TensorProto.FLOAT, shape)],
        [("values", TensorProto.FLOAT, shape)],
    )


def write_scores(path: Path, last: str | None) -> Path:
    """`series` float32 (batch, time, 3) -> `scores` (batch, 3): their mean, and an operator."""
    nodes = [helper.make_node("ReduceMean", ["series", "axes"], ["mean"], keepdims=0)]
    nodes.append(helper.make_node(last or "Identity", ["mean"], ["scores"]))
    return write_model(
        path,
        nodes,
        [("series", TensorProto.FLOAT, ["batch", "time", 3])],
        [("scores", TensorProto.FLOAT, ["batch", 3])],
        axes=[1],
    )
