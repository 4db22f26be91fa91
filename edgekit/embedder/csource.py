"""What a project in C has in place of `model.json`: the model's description as C source.

Gives the values of the target's own substitutions. A C program has no JSON and no Unicode tables,
so the lower case of letters is worked out here, character by character of the alphabet.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: numpy's names -> the enum of tensor.h.
TYPES = {
    "float32": "TENSOR_FLOAT32", "float64": "TENSOR_FLOAT64", "bool": "TENSOR_BOOL",
    "int8": "TENSOR_INT8", "int16": "TENSOR_INT16", "int32": "TENSOR_INT32",
    "int64": "TENSOR_INT64", "uint8": "TENSOR_UINT8", "uint16": "TENSOR_UINT16",
    "uint32": "TENSOR_UINT32", "uint64": "TENSOR_UINT64", "str": "TENSOR_STRING",
}  # fmt: skip
#: The first 1.N of onnxruntime that opens an opset of ai.onnx, and an IR version: (N, opset, IR).
#: From its release notes; 15, 18 and 23 were tried.
FIRST = ((14, 18, 8), (15, 19, 9), (17, 20, 9), (18, 21, 10), (21, 22, 10), (22, 23, 11))
#: What opens everything that `check_runs` lets through.
LAST = 24
#: TENSOR_MAX_RANK of tensor.h.
MOST_AXES = 8


def values(spec: dict[str, Any]) -> dict[str, str]:
    """Give the values of the target's substitutions for the content of `model.json`.

    Raises `EmbedError` for a tensor with more axes than `tensor.h` has room for.
    """
    labels, rule = spec["labels"], spec["preprocessing"] or {}
    known = _characters(rule) if rule.get("kind") == "characters" else []
    texts = _texts(rule) if known else []
    return {
        "inputs": _lines(_tensor(each) for each in spec["inputs"]),
        "outputs": _lines(_tensor(each) for each in spec["outputs"]),
        "labels": _lines(map(_quoted, labels)) or "    NULL,",
        "label_count": str(len(labels)),
        "characters": _lines(known) or "    {0, {0, 0}, 0},",
        "character_count": str(len(known)),
        "preprocessing": _preprocessing(_as_it_is(spec) or rule),
        "ir_version": str(spec["needs"]["ir_version"]),
        "minimum_minor": str(minimum_minor(**spec["needs"])),
        "texts": _lines(texts) or "    {NULL, 0, NULL},",
        "text_count": str(len(texts)),
    }


def minimum_minor(ir_version: int, opsets: dict[str, int]) -> int:
    """Give the first 1.N of onnxruntime that opens an IR version and the standard opset."""
    asked = opsets.get("ai.onnx", 1)
    fit = (minor for minor, opset, ir in FIRST if asked <= opset and ir_version <= ir)
    return next(fit, LAST)


def _lines(items: Iterable[str]) -> str:
    return "\n".join(f"    {item}," for item in items)


def _tensor(tensor: dict[str, Any]) -> str:
    from edgekit.errors import EmbedError

    shape = [size if isinstance(size, int) else -1 for size in tensor["shape"]]
    if len(shape) > MOST_AXES:
        raise EmbedError(
            f"The tensor {tensor['name']!r} has {len(shape)} axes and the target 'c' reads up to "
            f"{MOST_AXES}: reshape it in the model."
        )
    lengths = ", ".join(map(str, shape)) or "0"
    return f"{{{_quoted(tensor['name'])}, {TYPES[tensor['dtype']]}, {len(shape)}, {{{lengths}}}}}"


def _quoted(text: str) -> str:
    """Write a C string; octal escapes, which end after three digits, for all but plain ASCII."""
    plain = {ord(" "), *range(0x21, 0x7F)} - {ord(each) for each in '"\\?'}
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode()) + '"'


def _characters(rule: dict[str, Any]) -> list[str]:
    """Give a row for every character that becomes known, as it is or in lower case."""
    ids = {character: rule["offset"] + i for i, character in enumerate(rule["alphabet"])}
    becomes = {character: character for character in ids}
    if rule["lowercase"]:
        becomes = {character: character.lower() for character in ids} | _capitals()
    rows = []
    for character, seen in sorted(becomes.items()):
        found = [ids.get(each, rule["unknown"]) for each in seen]
        if found != [rule["unknown"]]:
            first, second = (*found, 0)[:2]
            rows.append(f"{{0x{ord(character):X}, {{{first}, {second}}}, {len(found)}}}")
    return rows


@functools.cache
def _capitals() -> dict[str, str]:
    """Give every character that has a lower case, with it."""
    found = {chr(code): chr(code).lower() for code in range(sys.maxunicode + 1)}
    return {character: lower for character, lower in found.items() if character != lower}


def _texts(rule: dict[str, Any]) -> list[str]:
    from edgekit.embedder import golden

    # The end of a word is the one rule that takes more than a character: see preprocess.h.
    return [
        _text(each["text"], each["ids"])
        for each in golden.texts(rule)
        if "\u03a3" not in each["text"]
    ]


def _text(text: str, ids: Sequence[int]) -> str:
    return f"{{{_quoted(text)}, {len(ids)}, (const int32_t[]){{{', '.join(map(str, ids))}}}}}"


def _as_it_is(spec: dict[str, Any]) -> dict[str, Any]:
    """Give the rule for the one input of a file that has its preprocessing inside."""
    alone = len(spec["inputs"]) == 1
    return {"kind": spec["takes"]} if alone and spec.get("takes") in ("text", "pixels") else {}


def _preprocessing(rule: dict[str, Any]) -> str:
    kind = rule.get("kind")
    fields: dict[str, Any] = {}
    if kind == "characters":
        fields = {key: rule[key] for key in ("unknown", "padding", "max_length")}
    elif kind == "image":
        low, high = map(float, rule["range"])
        fields = {key: rule[key] for key in ("height", "width", "channels")}
        fields |= {"low": f"{low!r}f", "high": f"{high!r}f"}
    elif kind == "series":
        fields = {"channels": rule["channels"]}
    elif kind not in ("text", "pixels"):
        kind = "none"
    lines = [f"    .preprocessing = PREPROCESSING_{kind.upper()},"]
    return "\n".join((*lines, *(f"    .{key} = {value}," for key, value in fields.items())))
