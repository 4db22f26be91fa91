"""A ranking of layers in words: what each loses alone, and what leaving the worst out comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.parity import MAX_SQNR_DB
from edgekit.report.text import table

if TYPE_CHECKING:
    from edgekit.quantizer.sensitivity import Damage, Ranking


def ranking(found: Ranking) -> list[Any]:
    """A row a layer from the worst, the whole file before them, and how to leave one out."""
    metric = (found.metric_name,) if found.metric_name else ()
    columns = ("quantised alone", "operator", "Keras layer", "weights", "SQNR dB", *metric)
    rows = [
        ("nothing", "-", "-", "-", "-", *_metric(found, found.float_metric)),
        ("all", "-", "-", "-", _db(found.all_sqnr_db), *_metric(found, found.all_metric)),
        *(_row(layer, found) for layer in found.layers),
    ]
    worst = found.layers[0].node if found.layers else None
    return [
        f"{found.recipe} of {found.model}, {found.samples} samples",
        table(columns, rows),
        *found.notes,
        *([f"Leave the worst in float with --exclude {worst}."] if worst else []),
    ]


def _row(layer: Damage, found: Ranking) -> tuple[str, ...]:
    return (
        layer.node,
        layer.op_type,
        layer.layer or "-",
        f"{layer.parameters:,}",
        _db(layer.sqnr_db),
        *_metric(found, layer.metric),
    )


def _metric(found: Ranking, value: float | None) -> tuple[str, ...]:
    if found.metric_name is None:
        return ()
    return ("-" if value is None else f"{value:.4f}",)


def _db(level: float) -> str:
    return "exact" if level == MAX_SQNR_DB else f"{level:.1f}"
