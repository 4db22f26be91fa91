"""Calibration data: from any source to checked batches, and what is known of it.

Batches are made one at a time, so data of any size needs the memory of one file or one feed.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit import files
from edgekit.errors import FeedError, one_line
from edgekit.quantizer import sources
from edgekit.signature import check_finite

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgekit.quantizer.sources import Group, Source
    from edgekit.signature import Feeds, Signature

Array = np.ndarray[Any, np.dtype[Any]]
#: (least, greatest) value of each float input.
Ranges = dict[str, tuple[float, float]]

#: Samples that are run at once.
BATCH = 16


@dataclass(frozen=True)
class Calibration:
    """Calibration data for a model: `batches()` gives checked feeds, at most `samples` rows.

    `source` is one of `sources.Source`; `preprocessing`, of a bundle's manifest, is for pictures.
    `stored` says that `source` is a folder that `kept` wrote.
    """

    signature: Signature
    source: Source
    samples: int
    preprocessing: dict[str, Any] | None = None
    stored: bool = False

    def batches(self, at_once: int = BATCH) -> Iterator[Feeds]:
        """Give feeds that fit the model; raises `FeedError` for data that does not.

        `at_once` is how many samples make a feed where the batch is free.
        """
        for feed in self._feeds(self._batch(at_once)):
            checked = self.signature.check(feed)
            check_finite(checked)
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

    def kept(self, folder: Path) -> Calibration:
        """Give data that can be read again: what code gives is written to a folder, feed by feed.

        Every pass then sees the same, and a generator that ends is no matter. Other sources are
        read again as they are.
        """
        if not sources.is_code(self.source):
            return self
        folder.mkdir()
        for number, feed in enumerate(self.batches()):
            plain = {n: a.astype("U") if a.dtype == object else a for n, a in feed.items()}
            with (folder / f"{number:08}.npz").open("wb") as file:
                # Under a path, because an input may be called `file`, as an argument of savez is.
                arrays: dict[str, Any] = {f"inputs/{n}": a for n, a in plain.items()}
                np.savez(file, **arrays)
        return dataclasses.replace(self, source=folder, stored=True)

    def _groups(self) -> Iterator[Group]:
        if self.stored:
            for path in sorted(Path(str(self.source)).iterdir()):
                yield files.load_groups(path)["inputs"], sources.GIVEN
            return
        yield from sources.groups(self.source, self.preprocessing, self.samples)

    def _feeds(self, size: int | None) -> Iterator[dict[str, Array]]:
        """Cut the data to the batches of the model, at most `samples` rows of it.

        A batch that is fixed is filled with rows of several pieces; what is left over is not used.
        """
        left = self.samples
        rest: dict[str, Array] = {}
        whole = 0
        for arrays, where in self._groups():
            if left <= 0:
                return
            named = self._named(arrays, where)
            if size is None or not named or any(array.ndim == 0 for array in named.values()):
                left -= 1
                yield named
                continue
            rows = min(_rows(named, where), left)
            left -= rows
            rest = _joined(rest, {name: array[:rows] for name, array in named.items()})
            full = _length(rest) // size * size if self._fixed else _length(rest)
            for start in range(0, full, size):
                whole += 1
                yield {name: array[start : min(start + size, full)] for name, array in rest.items()}
            rest = {name: array[full:] for name, array in rest.items()} if self._fixed else {}
        if rest and _length(rest) and not whole:
            raise FeedError(
                f"The calibration data has {_length(rest)} samples: the model takes {size} at once."
            )

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
        named = {name: _array(array, name, where) for name, array in arrays.items()}
        single = all(
            spec.name in named and named[spec.name].ndim == len(spec.shape) - 1 for spec in inputs
        )
        return {name: array[np.newaxis] for name, array in named.items()} if single else named

    @property
    def _fixed(self) -> bool:
        return isinstance(self.signature.inputs[0].shape[0], int)

    def _batch(self, free: int = BATCH) -> int | None:
        """How many samples make a feed; None where the inputs have no batch axis in common."""
        firsts = {spec.shape[0] if spec.shape else None for spec in self.signature.inputs}
        first = firsts.pop() if len(firsts) == 1 else None
        return free if isinstance(first, str) else first

    def _rows(self, feed: Feeds) -> int:
        return 1 if self._batch() is None else _length(feed)


def ranges_of(feed: Mapping[str, Array]) -> Ranges:
    """Give the least and greatest value of each float array that is not empty."""
    return {
        name: (float(array.min()), float(array.max()))
        for name, array in feed.items()
        if array.dtype.kind == "f" and array.size
    }


def _array(value: Any, name: str, where: str) -> Array:
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:
        raise FeedError(
            f"The input {name!r} in {where} is no array ({one_line(error)}): give one of numpy's."
        ) from error


def _length(arrays: Mapping[str, Array]) -> int:
    return len(next(iter(arrays.values()), ()))


def _rows(arrays: Mapping[str, Array], where: str) -> int:
    rows = {name: len(array) for name, array in arrays.items()}
    if len(set(rows.values())) > 1:
        raise FeedError(
            f"The arrays in {where} have different numbers of samples ({rows}): give one row "
            "of every input for each sample."
        )
    return _length(arrays)


def _joined(rest: dict[str, Array], new: dict[str, Array]) -> dict[str, Array]:
    """Put rows that are left over before new ones of the same shape."""
    shapes = [{name: array.shape[1:] for name, array in each.items()} for each in (rest, new)]
    if not rest or not _length(rest) or shapes[0] != shapes[1]:
        return new
    return {name: np.concatenate([rest[name], array]) for name, array in new.items()}
