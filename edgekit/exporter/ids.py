"""Which integers an input may hold: what a table that it is looked up in has rows for.

Inputs that are made to check a model are drawn from these, so that all of a table counts; an id
that has no row is an error of Keras, not of the conversion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgekit.signature import TensorSpec

#: What hands integers on as they are, by the inputs that it takes them from.
HANDED_ON: dict[str, tuple[int, ...]] = {
    "Cast": (0,),
    "Concat": (0, 1, 2, 3),
    "Expand": (0,),
    "Flatten": (0,),
    "Identity": (0,),
    "Reshape": (0,),
    "Slice": (0,),
    "Split": (0,),
    "Squeeze": (0,),
    "Transpose": (0,),
    "Unsqueeze": (0,),
    "Where": (1, 2),
}


def limits(model: Any, inputs: Sequence[TensorSpec]) -> dict[str, int]:
    """Give the least number of rows of the tables that each integer input is looked up in."""
    found = {}
    for spec, value in zip(inputs, model.graph.inputs, strict=False):
        rows = list(_rows(value)) if "int" in spec.dtype else []
        if rows:
            found[spec.name] = max(1, min(rows))
    return found


def _rows(value: Any) -> Iterator[int]:
    seen, waiting = set(), [value]
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        for node, index in current.uses():
            table = node.inputs[0].const_value if node.op_type == "Gather" and index == 1 else None
            if table is not None:
                axis = node.attributes.get("axis")
                yield int(table.shape[axis.as_int() if axis else 0])
            elif index in HANDED_ON.get(node.op_type, ()):
                waiting.extend(node.outputs)
