"""Calibration data: from arrays, a file or a folder to checked batches, and the guard of its range.

Batches are made one at a time, so a folder of any size needs the memory of one file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit import files
from edgekit.errors import FeedError, QuantizeError
from edgekit.signature import check_finite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgekit.signature import Feeds, Signature

Array = np.ndarray[Any, np.dtype[Any]]
#: (least, greatest) value of each float input.
Ranges = dict[str, tuple[float, float]]

#: Samples that are run at once.
BATCH = 16
IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
#: Values may lie outside of the calibration's range by this share of it: what lies outside is cut.
MAX_OUTSIDE = 0.5
#: Values that use less than this share of the calibration's range lose 3 of the 8 bits.
MIN_SHARE = 1 / 8


@dataclass(frozen=True)
class Calibration:
    """Calibration data for a model: `batches()` gives checked feeds, at most `samples` rows."""

    signature: Signature
    source: Mapping[str, Any] | Path
    samples: int

    def batches(self) -> Iterator[Feeds]:
        """Give feeds that fit the model; raises `FeedError` for data that does not."""
        left = self.samples
        for arrays, where in self._groups():
            for feed in self._split(self._named(arrays, where), where):
                if left <= 0:
                    return
                checked = self.signature.check(feed)
                check_finite(checked)
                left -= self._rows(checked)
                yield checked

    def survey(self) -> tuple[Ranges, int, Feeds]:
        """Read all of it once: the range of each float input, the samples, the first batch."""
        ranges: Ranges = {}
        count = 0
        first: Feeds | None = None
        for feed in self.batches():
            first = feed if first is None else first
            count += self._rows(feed)
            for name, (low, high) in ranges_of(feed).items():
                known = ranges.get(name, (low, high))
                ranges[name] = (min(low, known[0]), max(high, known[1]))
        if first is None:
            raise FeedError(
                "The calibration data has no samples: give at least one, some hundred are better."
            )
        return ranges, count, first

    def _groups(self) -> Iterator[tuple[Mapping[str, Any], str]]:
        if isinstance(self.source, Mapping):
            yield self.source, "the calibration data"
        elif self.source.is_dir():
            for path in _listed(self.source):
                yield files.load_arrays(path), repr(str(path))
        else:
            yield files.load_arrays(self.source), repr(str(self.source))

    def _named(self, arrays: Mapping[str, Any], where: str) -> dict[str, Array]:
        """Give arrays by input name, each with a batch axis."""
        inputs = self.signature.inputs
        if set(arrays) == {""}:
            if len(inputs) > 1:
                raise FeedError(
                    f"The array in {where} has no name and the model takes "
                    f"{', '.join(repr(spec.name) for spec in inputs)}: give an .npz with a name "
                    "for each."
                )
            arrays = {inputs[0].name: arrays[""]}
        named = {name: np.asarray(array) for name, array in arrays.items()}
        single = all(
            spec.name in named and named[spec.name].ndim == len(spec.shape) - 1 for spec in inputs
        )
        return {name: array[np.newaxis] for name, array in named.items()} if single else named

    def _split(self, arrays: dict[str, Array], where: str) -> Iterator[dict[str, Array]]:
        size = self._batch()
        if size is None or not arrays or any(array.ndim == 0 for array in arrays.values()):
            yield arrays
            return
        rows = {name: len(array) for name, array in arrays.items()}
        if len(set(rows.values())) > 1:
            raise FeedError(
                f"The arrays in {where} have different numbers of samples ({rows}): give one row "
                "of every input for each sample."
            )
        total = min(next(iter(rows.values()), 0), self.samples)
        fixed = isinstance(self.signature.inputs[0].shape[0], int)
        if fixed and 0 < total < size:
            raise FeedError(
                f"The arrays in {where} have {total} samples: the model takes {size} at once."
            )
        for start in range(0, total - (size - 1 if fixed else 0), size):
            yield {name: array[start : min(start + size, total)] for name, array in arrays.items()}

    def _batch(self) -> int | None:
        """How many samples make a feed; None where the inputs have no batch axis in common."""
        firsts = {spec.shape[0] if spec.shape else None for spec in self.signature.inputs}
        first = firsts.pop() if len(firsts) == 1 else None
        return BATCH if isinstance(first, str) else first

    def _rows(self, feed: Feeds) -> int:
        return 1 if self._batch() is None else len(next(iter(feed.values())))


class Reader:
    """What onnxruntime's calibration reads from: `get_next` gives a feed, None at the end."""

    def __init__(self, calibration: Calibration) -> None:
        self._batches = calibration.batches()

    def get_next(self) -> Feeds | None:
        """Give the next batch."""
        return next(self._batches, None)


def ranges_of(feed: Mapping[str, Array]) -> Ranges:
    """Give the least and greatest value of each float array that is not empty."""
    return {
        name: (float(array.min()), float(array.max()))
        for name, array in feed.items()
        if array.dtype.kind == "f" and array.size
    }


def check_range(given: Ranges, expected: Ranges) -> None:
    """Raise `QuantizeError` where calibration data is in another range than the model's inputs.

    `expected` is the range of inputs known to be right. A few known inputs may reach beyond the
    data, or use a part of its range; half of the range beyond it, or an eighth of it used, is
    another scale: 0..1 where the model takes 0..16 leaves an int8 model guessing.
    """
    for name, (low, high) in expected.items():
        if name not in given:
            continue
        least, greatest = given[name]
        span = greatest - least
        outside = max(0.0, least - low) + max(0.0, high - greatest)
        unused = 0.0 < high - low < MIN_SHARE * span
        if outside > MAX_OUTSIDE * span or unused:
            raise QuantizeError(
                f"The calibration data of the input {name!r} goes from {least:g} to {greatest:g} "
                f"where the model's reference inputs go from {low:g} to {high:g}: give data "
                "prepared as the model's inputs are."
            )


def _listed(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix in {".npz", ".npy"})
    if found:
        return found
    images = any(path.suffix.lower() in IMAGES for path in folder.iterdir())
    what = "images, which edgekit does not read for calibration yet" if images else "no arrays"
    raise FeedError(
        f"The folder {str(folder)!r} has {what}: give .npz or .npy files with inputs prepared as "
        "the model takes them."
    )
