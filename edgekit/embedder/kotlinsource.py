"""What a project in Kotlin knows of its model: the values of the target's substitutions."""

from __future__ import annotations

from typing import Any

from edgekit.embedder.phones import Language, characters

#: numpy's names -> the enum of Tensor.kt: what onnxruntime's Java API has buffers of.
TYPES = {
    "float32": "FLOAT32", "float64": "FLOAT64", "bool": "BOOL", "int8": "INT8", "uint8": "UINT8",
    "int16": "INT16", "int32": "INT32", "int64": "INT64",
}  # fmt: skip


def quoted(text: str) -> str:
    """Write a Kotlin string; what is not printable ASCII as 16-bit units."""
    units = text.encode("utf-16-be")
    codes = (int.from_bytes(units[i : i + 2]) for i in range(0, len(units), 2))
    plain = {*map(chr, range(0x20, 0x7F))} - {'"', "\\", "$"}
    return '"' + "".join(chr(c) if chr(c) in plain else f"\\u{c:04x}" for c in codes) + '"'


def _tensor(tensor: dict[str, Any]) -> str:
    shape = [str(size) if isinstance(size, int) else "-1" for size in tensor["shape"]]
    kind = f"Type.{TYPES[tensor['dtype']]}"
    return f"TensorSpec({', '.join((quoted(tensor['name']), kind, *shape))})"


def _text(text: str, ids: list[int]) -> str:
    return f"{quoted(text)} to intArrayOf({', '.join(map(str, ids))})"


def _preprocessing(rule: dict[str, Any]) -> str:
    kind = rule.get("kind")
    if kind == "characters":
        fields = characters(rule, quoted)
    elif kind == "image":
        low, high = map(float, rule["range"])
        fields = {key: rule[key] for key in ("height", "width", "channels")}
        fields |= {"low": f"{low!r}f", "high": f"{high!r}f"}
    elif kind == "series":
        fields = {"channels": rule["channels"]}
    else:
        return "Preprocessing.None"
    lines = "".join(f"        {key} = {value},\n" for key, value in fields.items())
    return f"Preprocessing.{kind.capitalize()}(\n{lines}    )"


values = Language(_tensor, quoted, _text, _preprocessing).values
