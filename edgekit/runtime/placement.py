"""Which provider ran which node, read back from an open session."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from edgekit.runtime import providers


@dataclass(frozen=True)
class Placement:
    """How many nodes each provider runs, by alias, and why it is not what was asked for."""

    nodes: dict[str, int]
    fallback: str | None = None


def nodes_by_provider(session: Any, row: providers.Provider) -> dict[str, int]:
    """Count the nodes of each provider; `get_providers()` would only tell what was asked for."""
    if row.alias == "cpu" or not hasattr(session, "get_provider_graph_assignment_info"):
        return {}
    counts: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():
        counts[providers.alias_of(part.ep_name)] += len(part.get_nodes())
    return dict(counts)


def ran_on(placement: Placement, row: providers.Provider) -> str:
    """Name the provider that ran the model: the one with the most nodes."""
    if not placement.nodes:
        return row.alias
    return max(placement.nodes, key=lambda alias: placement.nodes[alias])
