"""What a project in Swift knows of its model: the values of the target's substitutions."""

from __future__ import annotations

from typing import Any

from edgekit.embedder.phones import Language, characters

#: What onnxruntime-objc and ElementType of Tensor.swift both have; a case is named as in numpy.
TYPES = frozenset({"float32", "uint8", "int8", "int32", "int64"})


def quoted(text: str) -> str:
    """Write a Swift string; what is not printable ASCII as code points."""
    plain = {*map(chr, range(0x20, 0x7F))} - {'"', "\\"}
    return '"' + "".join(c if c in plain else f"\\u{{{ord(c):x}}}" for c in text) + '"'


def _tensor(tensor: dict[str, Any]) -> str:
    lengths = ", ".join(str(size) if isinstance(size, int) else "nil" for size in tensor["shape"])
    kind = f"type: .{tensor['dtype']}"
    return f"TensorSpec(name: {quoted(tensor['name'])}, {kind}, shape: [{lengths}])"


def _text(text: str, ids: list[int]) -> str:
    return f"({quoted(text)}, [{', '.join(map(str, ids))}])"


def _preprocessing(rule: dict[str, Any]) -> str:
    kind = rule.get("kind")
    if kind == "characters":
        fields = characters(rule, quoted)
        name = "Characters"
    elif kind == "image":
        fields = {key: rule[key] for key in ("height", "width", "channels")}
        fields |= dict(zip(("low", "high"), map(float, rule["range"]), strict=True))
        name = "ImageScaling"
    elif kind == "series":
        name, fields = "Series", {"channels": rule["channels"]}
    else:
        return "Numbers()"
    lines = ",\n".join(f"        {key}: {value}" for key, value in fields.items())
    return f"{name}(\n{lines}\n    )"


values = Language(_tensor, quoted, _text, _preprocessing).values
