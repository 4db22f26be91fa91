"""Providers in words: what is ready, and what mends the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.report.text import table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgekit.runtime.providers import Status


def providers(statuses: Iterable[Status]) -> list[Any]:
    """A row a provider, with what is missing and the command that mends it."""
    rows = [
        (s.alias, s.name, s.hardware, s.state if s.state == "ready" else f"no {s.state}", s.fix)
        for s in statuses
    ]
    return [table(("provider", "onnxruntime's name", "runs on", "state", "what mends it"), rows)]
