"""What a project in Swift knows of its model: the values of the target's substitutions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

#: What onnxruntime-objc and ElementType of Tensor.swift both have; a case is named as in numpy.
TYPES = frozenset({"float32", "uint8", "int8", "int32", "int64"})


def values(spec: dict[str, Any]) -> dict[str, str]:
    """Give the values of the target's substitutions for the content of `model.json`."""
    from edgekit.embedder import golden
    from edgekit.parity import TOLERANCES

    rule = spec["preprocessing"] or {}
    texts = golden.texts(rule) if rule.get("kind") == "characters" else []
    # A device may compute a float32 model in 16 bits.
    limits = [TOLERANCES[name].min_sqnr_db or 0.0 for name in ("fp16", spec["precision"])]
    return {
        "inputs": _lines((_tensor(**each) for each in spec["inputs"]), 8),
        "outputs": _lines((_tensor(**each) for each in spec["outputs"]), 8),
        "labels": _lines(map(quoted, spec["labels"]), 8),
        "preprocessing": _preprocessing(rule),
        "ir_version": str(spec["needs"]["ir_version"]),
        "texts": _lines((_text(**each) for each in texts), 4),
        "least_device_db": str(min(limits)),
    }


def quoted(text: str) -> str:
    """Write a Swift string; what is not printable ASCII as code points."""
    plain = {*map(chr, range(0x20, 0x7F))} - {'"', "\\"}
    return '"' + "".join(c if c in plain else f"\\u{{{ord(c):x}}}" for c in text) + '"'


def _lines(items: Iterable[str], indent: int) -> str:
    return "\n".join(f"{' ' * indent}{item}," for item in items)


def _tensor(name: str, dtype: str, shape: list[int | str]) -> str:
    lengths = ", ".join(str(size) if isinstance(size, int) else "nil" for size in shape)
    return f"TensorSpec(name: {quoted(name)}, type: .{dtype}, shape: [{lengths}])"


def _text(text: str, ids: list[int]) -> str:
    return f"({quoted(text)}, [{', '.join(map(str, ids))}])"


def _preprocessing(rule: dict[str, Any]) -> str:
    kind = rule.get("kind")
    if kind == "characters":
        fields = {
            "alphabet": quoted(rule["alphabet"]),
            "lowercase": str(rule["lowercase"]).lower(),
            "maxLength": rule["max_length"],
            "padding": rule["padding"],
            "unknown": rule["unknown"],
            "offset": rule["offset"],
        }
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
