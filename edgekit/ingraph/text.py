"""A line of text in, the model's ids out: what `edgekit.preprocess.texts` does, as nodes.

Standard ONNX cannot split a string into characters. `com.microsoft.Tokenizer` can, which is built
into onnxruntime; onnxruntime's `StringNormalizer` needs a locale of the system to lower a string,
so the table of characters has both cases, as the Python that exports knows them.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edgekit.ingraph.nodes import Nodes

#: The capital whose lower case depends on its place in a word, and what it may become.
SIGMA, SIGMAS = "\u03a3", "\u03c3\u03c2"
#: What a character is to the stripping of a line.
PAD, SPACE, INK = 0, 1, 2


def prepare(nodes: Nodes, text: Any, spec: dict[str, Any]) -> Any:
    """Turn strings `('batch',)` into ids `('batch', 'time')` int64, padded to the longest."""
    characters = nodes.op(
        "Tokenizer",
        text,
        domain="com.microsoft",
        mark=0,
        mincharnum=1,
        pad_value="",
        separators=[""],
    )
    # onnx's shape inference does not know the operator, and a LabelEncoder of an unknown type ends
    # its process (onnx 1.23): a cast says what it is.
    characters = _checked(nodes, nodes.cast(characters, "STRING"), spec)
    inside = _stripped(nodes, characters)
    ids = [_look_up(nodes, characters, table, default) for table, default in _tables(spec)]
    kept = [
        inside,
        *(nodes.op("And", inside, nodes.op("GreaterOrEqual", more, 0)) for more in ids[1:]),
    ]
    return _compacted(nodes, _interleaved(nodes, ids), _interleaved(nodes, kept), spec)


def _tables(spec: dict[str, Any]) -> list[tuple[dict[str, int], int]]:
    """Give the ids of a character, and of what else its lower case has: each with its default.

    One character alone becomes two: the Turkish capital I with a dot.
    """
    known = {c: spec["offset"] + i for i, c in enumerate(spec["alphabet"])}
    if not spec["lowercase"]:
        return [(known, spec["unknown"])]
    first: dict[str, int] = {}
    more: list[dict[str, int]] = []
    for character in _all_characters():
        lowered = character.lower()
        if lowered[0] in known:
            first[character] = known[lowered[0]]
        for place, extra in enumerate(lowered[1:]):
            if len(more) <= place:
                more.append({})
            more[place][character] = known.get(extra, spec["unknown"])
    return [(first, spec["unknown"]), *((table, -1) for table in more)]


@functools.cache
def _all_characters() -> list[str]:
    """Give every character that a string may have: surrogates are none."""
    return [chr(i) for i in range(sys.maxunicode + 1) if not 0xD800 <= i <= 0xDFFF]


def _look_up(nodes: Nodes, characters: Any, table: dict[str, int], default: int) -> Any:
    return nodes.op(
        "LabelEncoder",
        characters,
        domain="ai.onnx.ml",
        keys_strings=list(table),
        values_int64s=list(table.values()),
        default_int64=default,
    )


def knows_sigma(spec: dict[str, Any]) -> bool:
    """Tell whether a model reads the capital sigma as one of the small ones, and so refuses it."""
    return bool(spec["lowercase"] and set(SIGMAS) & set(spec["alphabet"]))


def _checked(nodes: Nodes, characters: Any, spec: dict[str, Any]) -> Any:
    """Refuse the capital sigma where the model knows the small ones."""
    if not knows_sigma(spec):
        return characters
    found = nodes.op("ReduceMax", _look_up(nodes, characters, {SIGMA: 1}, 0), keepdims=0)
    fine = nodes.refuse(
        nodes.op("Equal", found, 1),
        "the small letter of a capital sigma depends on its place, give the text in lower case",
    )
    shape = nodes.op("Add", nodes.op("Shape", characters), fine)
    return nodes.op("Reshape", characters, shape)


def _stripped(nodes: Nodes, characters: Any) -> Any:
    """Mark what is left without the white space at both ends; an empty line is refused."""
    spaces = {character: SPACE for character in _all_characters() if character.isspace()}
    kinds = _look_up(nodes, characters, {"": PAD} | spaces, INK)
    ink = nodes.cast(nodes.op("Equal", kinds, INK), "INT64")
    seen = [nodes.op("CumSum", ink, 1, reverse=reverse) for reverse in (0, 1)]
    per_line = nodes.op("ReduceSum", ink, np.array([1]), keepdims=0)
    least = nodes.op("ReduceMin", per_line, keepdims=0)
    fine = nodes.refuse(nodes.op("Equal", least, 0), "a text is empty, give at least one character")
    return nodes.op("And", *(nodes.op("Greater", marks, fine) for marks in seen))


def _interleaved(nodes: Nodes, columns: list[Any]) -> Any:
    """Put what each character becomes side by side, in order."""
    if len(columns) == 1:
        return columns[0]
    stacked = nodes.op(
        "Concat", *(nodes.op("Unsqueeze", c, np.array([2])) for c in columns), axis=2
    )
    return nodes.op("Reshape", stacked, np.array([0, -1]))


def _compacted(nodes: Nodes, ids: Any, kept: Any, spec: dict[str, Any]) -> Any:
    """Move the kept ids of each row to its start, at most `max_length`, padded to the longest."""
    count = nodes.op("CumSum", nodes.cast(kept, "INT64"), 1)
    longest = nodes.op("ReduceMax", count, keepdims=0)
    length = nodes.op("Min", longest, spec["max_length"])
    place = nodes.op("Sub", count, 1)
    fits = nodes.op("And", kept, nodes.op("Less", place, length))
    # What is left out goes to one more column, which is cut off.
    target = nodes.op("Where", fits, place, length)
    rows = nodes.op("Slice", nodes.op("Shape", ids), np.array([0]), np.array([1]))
    columns = nodes.op("Unsqueeze", nodes.op("Add", length, 1), np.array([0]))
    empty = nodes.op("Expand", np.int64(spec["padding"]), nodes.op("Concat", rows, columns, axis=0))
    filled = nodes.op("ScatterElements", empty, target, ids, axis=1)
    end = nodes.op("Unsqueeze", length, np.array([0]))
    return nodes.op("Slice", filled, np.array([0]), end, np.array([1]))
