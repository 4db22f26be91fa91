"""What a project in Kotlin knows of its model: the values of the target's substitutions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

#: numpy's names -> the enum of Tensor.kt: what onnxruntime's Java API has buffers of.
TYPES = {
    "float32": "FLOAT32", "float64": "FLOAT64", "bool": "BOOL", "int8": "INT8", "uint8": "UINT8",
    "int16": "INT16", "int32": "INT32", "int64": "INT64",
}  # fmt: skip


def values(spec: dict[str, Any]) -> dict[str, str]:
    """Give the values of the target's substitutions for the content of `model.json`."""
    from edgekit.embedder import golden
    from edgekit.parity import TOLERANCES

    rule = spec["preprocessing"] or {}
    texts = golden.texts(rule) if rule.get("kind") == "characters" else []
    # A device may compute a float32 model in 16 bits.
    limits = [TOLERANCES[name].min_sqnr_db or 0.0 for name in ("fp16", spec["precision"])]
    return {
        "inputs": _lines((_tensor(each) for each in spec["inputs"]), 8),
        "outputs": _lines((_tensor(each) for each in spec["outputs"]), 8),
        "labels": _lines(map(quoted, spec["labels"]), 8),
        "preprocessing": _preprocessing(rule),
        "ir_version": str(spec["needs"]["ir_version"]),
        "texts": _lines((_text(**each) for each in texts), 4),
        "least_device_db": str(min(limits)),
    }


def quoted(text: str) -> str:
    """Write a Kotlin string; what is not printable ASCII as 16-bit units."""
    units = text.encode("utf-16-be")
    codes = (int.from_bytes(units[i : i + 2]) for i in range(0, len(units), 2))
    plain = {*map(chr, range(0x20, 0x7F))} - {'"', "\\", "$"}
    return '"' + "".join(chr(c) if chr(c) in plain else f"\\u{c:04x}" for c in codes) + '"'


def _lines(items: Iterable[str], indent: int) -> str:
    return "\n".join(f"{' ' * indent}{item}," for item in items)


def _tensor(tensor: dict[str, Any]) -> str:
    shape = [str(size) if isinstance(size, int) else "-1" for size in tensor["shape"]]
    kind = f"Type.{TYPES[tensor['dtype']]}"
    return f"TensorSpec({', '.join((quoted(tensor['name']), kind, *shape))})"


def _text(text: str, ids: list[int]) -> str:
    return f"{quoted(text)} to intArrayOf({', '.join(map(str, ids))})"


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
