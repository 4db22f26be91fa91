"""Which provider ran which node, read back from an open session, and why a node found no place.

`session.get_providers()` is not proof: it names providers that run nothing. What onnxruntime
records while it assigns nodes is (`session.record_ep_graph_assignment_info`), and so is a profile.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from edgekit.runtime import providers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

#: The element types that a variant of each precision has in it, beside whole numbers of indices.
_TYPES = {
    "fp32": {"float"},
    "fp16": {"float16"},
    "int8": {"int8", "uint8"},
}
_ANY_TYPES = {"bool", "int32", "int64"}
#: How many nodes a message names.
_NAMED = 5


@dataclass(frozen=True)
class Unplaced:
    """A node that the CPU runs instead of the provider that was asked for.

    `types` are the element types of its tensors, as onnxruntime names them (`float`, `double`), or
    empty where they are not known. `why` begins with `free axis`, `type`, `operator`, or `its`
    where others of its operator are placed.
    """

    node: str
    operator: str
    types: tuple[str, ...]
    why: str

    def __str__(self) -> str:
        types = f" of {', '.join(self.types)}" if self.types else ""
        return f"{self.node!r} ({self.operator}{types}: {self.why})"


@dataclass(frozen=True)
class Placement:
    """How many nodes each provider runs, by alias, and why it is not what was asked for.

    `nodes` is empty where the CPU alone was asked for. `fallback` says why a provider was left
    out, `unplaced` which nodes the CPU runs for the others. `fixed` has the sets of lengths that
    free axes were fixed to, one for each session that is open. `time` is the share of the time in
    nodes, 0..1 by alias, where a profile was asked for.
    """

    nodes: dict[str, int]
    fallback: str | None = None
    unplaced: tuple[Unplaced, ...] = ()
    fixed: tuple[dict[str, int], ...] = ()
    time: dict[str, float] = field(default_factory=dict)


class Opened(NamedTuple):
    """An open session, the provider that runs most of its nodes, and what runs where."""

    session: Any
    provider: str
    placement: Placement


class Profile(NamedTuple):
    """What a profile of onnxruntime tells: time by alias, and the element types by node."""

    time: dict[str, float]
    types: dict[str, tuple[str, ...]]


def nodes_by_provider(session: Any, rows: Sequence[providers.Provider]) -> dict[str, int]:
    """Count the nodes of each provider; the CPU alone needs no count."""
    counts: Counter[str] = Counter()
    for part in _parts(session, rows):
        counts[providers.alias_of(part.ep_name)] += len(part.get_nodes())
    return dict(counts.most_common())


def main_provider(nodes: Mapping[str, int], rows: Sequence[providers.Provider]) -> str:
    """Name the provider that runs the model: the one with the most nodes."""
    return max(nodes, key=lambda alias: nodes[alias]) if nodes else rows[0].alias


def unplaced_nodes(
    session: Any,
    rows: Sequence[providers.Provider],
    types: Mapping[str, tuple[str, ...]] | None = None,
) -> tuple[Unplaced, ...]:
    """Say which nodes the CPU runs and why, as far as what onnxruntime records lets it be known."""
    placed: dict[str, set[tuple[str, ...]]] = {}
    left: list[Any] = []
    for part in _parts(session, rows):
        for node in part.get_nodes():
            if part.ep_name == providers.CPU:
                left.append(node)
            else:
                placed.setdefault(node.op_type, set()).add((types or {}).get(node.name, ()))
    free = _free_axes(session) if rows[0].fixed_shapes else ()
    precisions = {each for row in rows if row.alias != "cpu" for each in row.precisions}
    known = _ANY_TYPES.union(*(_TYPES[precision] for precision in precisions))
    found = []
    for node in left:
        have = (types or {}).get(node.name, ())
        why = f"free axis {', '.join(free)}" if free else _why(node.op_type, have, placed, known)
        found.append(Unplaced(node.name or f"a {node.op_type}", node.op_type, have, why))
    return tuple(found)


def _parts(session: Any, rows: Sequence[providers.Provider]) -> Iterable[Any]:
    if rows[0].alias == "cpu" or not hasattr(session, "get_provider_graph_assignment_info"):
        return ()
    parts: Iterable[Any] = session.get_provider_graph_assignment_info()
    return parts


def _free_axes(session: Any) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(
            axis if isinstance(axis, str) else f"{i} of {arg.name!r}, which has no name"
            for arg in session.get_inputs()
            for i, axis in enumerate(arg.shape)
            if not isinstance(axis, int)
        )
    )


def _why(
    operator: str,
    types: tuple[str, ...],
    placed: Mapping[str, set[tuple[str, ...]]],
    known: set[str],
) -> str:
    foreign = [each for each in types if each not in known]
    if foreign:
        return f"type {', '.join(foreign)} not supported"
    if operator not in placed:
        return "operator not supported"
    if not types or () in placed[operator]:  # a compiled part of a graph has no profile of nodes
        return "its type, attributes or shapes"
    if types not in placed[operator]:
        return f"type {', '.join(types)} not supported"
    return "its attributes or shapes"


def listing(unplaced: Sequence[Unplaced]) -> str:
    """Name the first few nodes, and count the rest."""
    named = ", ".join(map(str, unplaced[:_NAMED]))
    more = len(unplaced) - _NAMED
    return f"{named} and {more} more" if more > 0 else named


def read_profile(path: Path) -> Profile:
    """Read a profile that a session wrote: its `*_kernel_time` events carry the provider."""
    import json

    spent: dict[tuple[str, str], list[int]] = {}
    types: dict[str, tuple[str, ...]] = {}
    for event in json.loads(path.read_text(encoding="utf-8")):
        name, mark, _ = event.get("name", "").partition("_kernel_time")
        args = event.get("args", {})
        if not mark or "provider" not in args:
            continue
        spent.setdefault((name, args["provider"]), []).append(event["dur"])
        tensors = (*args.get("input_type_shape", ()), *args.get("output_type_shape", ()))
        types[name] = tuple(sorted({kind for tensor in tensors for kind in tensor}))
    by_alias: Counter[str] = Counter()
    for (_, provider), durations_us in spent.items():
        # The first run compiles and allocates.
        by_alias[providers.alias_of(provider)] += sum(durations_us[1:] or durations_us)
    total = max(by_alias.total(), 1)
    return Profile({alias: us / total for alias, us in by_alias.most_common()}, types)
