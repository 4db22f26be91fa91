"""Samples that a model and its quantised file are compared on, and how alike their answers are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import FeedError, one_line
from edgekit.parity import MAX_SQNR_DB, sqnr_db
from edgekit.quantizer import SAMPLES, QuantizeOptions, sources
from edgekit.quantizer.calibration import Calibration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.bundle import Bundle
    from edgekit.quantizer.sources import Source
    from edgekit.signature import Feeds, Outputs, Signature


def samples(
    origin: Bundle | None, signature: Signature, options: QuantizeOptions, rows: int
) -> Feeds:
    """Give up to so many samples to compare on: a bundle's held-out ones, else what is there."""
    known: Source | None = None
    for kind in ("calibration", "reference", "evaluation") if origin is not None else ():
        groups = origin.data(kind) if origin is not None else None
        known = (groups and groups.get("inputs")) or known
    known = options.get("calibration") if known is None else known
    if known is None:
        return signature.sample(batch=rows)
    batches = Calibration(signature, known, rows, _preprocessing(origin)).batches()
    return _together(list(batches)) if signature.batched else next(batches)


def settled(
    origin: Bundle | None, signature: Signature, options: QuantizeOptions
) -> QuantizeOptions:
    """Give options whose calibration data can be read again: what code gives is read once.

    Raises `FeedError` where its samples have different shapes.
    """
    given = options.get("calibration")
    if given is None or not sources.is_code(given):
        return options
    rows = options.get("samples", SAMPLES)
    feeds = list(Calibration(signature, given, rows, _preprocessing(origin)).batches())
    return {**options, "calibration": _together(feeds)}


def _together(feeds: Sequence[Feeds]) -> Feeds:
    if not feeds:
        raise FeedError("The data has no samples: give at least one.")
    try:
        return {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}
    except ValueError as error:
        raise FeedError(
            f"The samples have different shapes ({one_line(error)}): give samples of one length, "
            "or one .npz for each in a folder."
        ) from error


def _preprocessing(origin: Bundle | None) -> dict[str, Any] | None:
    return origin.manifest.preprocessing if origin is not None else None


def likeness(expected: Outputs, got: Outputs) -> float:
    """Give the least SQNR of the float outputs in dB; NaN has the least that there is."""
    found = [
        sqnr_db(want.astype(np.float64), got[name].astype(np.float64))
        for name, want in expected.items()
        if want.dtype.kind == "f"
    ]
    return min((-MAX_SQNR_DB if math.isnan(each) else each for each in found), default=MAX_SQNR_DB)
