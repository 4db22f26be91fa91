"""What goes into a model and what comes out: names, dtypes, shapes, and the check of a feed.

One check (`Signature.check`) serves run, parity and latency alike, so that every command says
the same about the same mistake. What a value of another dtype may become is a table,
`CONVERSIONS`. This module needs numpy only; it never opens a model.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import FeedError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Array = np.ndarray[Any, Any]
Feeds = dict[str, np.ndarray[Any, np.dtype[Any]]]
Outputs = dict[str, np.ndarray[Any, np.dtype[Any]]]

#: The length of a free axis that is not the batch, where nothing says it: of a picture's, whose
#: names end so, and of any other.
SPATIAL = ("height", "width")
SPATIAL_AXIS, SAMPLE_AXIS = 128, 16
#: A picture's channels, where they are free, and the letters of a text in a sample.
CHANNELS, CHANNELS_AXIS = "channels", 3
SAMPLE_LETTERS, SAMPLE_WORD = tuple("abcdefghijklmnopqrstuvwxyz"), 8
#: Sets of shapes that a signature remembers as fitting.
MOST_SHAPES = 64


@dataclass(frozen=True)
class TensorSpec:
    """One input or output: `image: float32 ('batch', 28, 28, 1)`.

    `dtype` is numpy's name for it. An axis of `shape` is an int where it is fixed and a name
    where it is free; two axes with one name have one length.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype} {format_shape(self.shape)}"

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Tell whether an array of this shape can be fed."""
        return fits(self.shape, shape)


@dataclass(frozen=True)
class Signature:
    """The inputs and outputs of a model, in its own order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.inputs))}) -> ({', '.join(map(str, self.outputs))})"

    @property
    def batched(self) -> bool:
        """Whether axis 0 of every input and output is one free axis: samples can be stacked."""
        specs = (*self.inputs, *self.outputs)
        firsts = {spec.shape[0] if spec.shape else 0 for spec in specs}
        # A batch that is compared with itself, as in contrastive learning, is not one of samples.
        return (
            len(firsts) == 1
            and isinstance(batch := firsts.pop(), str)
            and all(spec.shape.count(batch) == 1 for spec in specs)
        )

    @property
    def free_axes(self) -> tuple[str, ...]:
        """The names of the inputs' free axes, in order of appearance."""
        axes = itertools.chain.from_iterable(spec.shape for spec in self.inputs)
        return tuple(dict.fromkeys(axis for axis in axes if isinstance(axis, str)))

    def check(self, feeds: Mapping[str, Any]) -> Feeds:
        """Check a feed against the inputs and return it as arrays of the right dtype.

        Arrays that fit are given back as they are, Python lists and numbers become arrays, and
        another dtype is converted where `CONVERSIONS` allows it: no value is changed but by the
        rounding of a float. Raises `FeedError` that quotes the signature.
        """
        if type(feeds) is not dict:
            feeds = self._named(feeds)
        ready = self._as_they_are(feeds)
        if ready is not None:
            return ready
        self._check_names(feeds)
        arrays = {spec.name: self._array(spec, feeds[spec.name]) for spec in self.inputs}
        self._check_axes(arrays)
        return arrays

    def sample(
        self,
        seed: int = 0,
        batch: int = 1,
        axes: Mapping[str, int] | None = None,
        limits: Mapping[str, int] | None = None,
    ) -> Feeds:
        """Make seeded inputs: floats in 0..1, integers in 0..1, any 8-bit integers, words.

        Axis 0's name, where it is free, has length `batch`; another free axis has the length
        that `axes` gives it, else `SPATIAL_AXIS` or `SAMPLE_AXIS`. The integers of an input that
        `limits` names are below its limit.
        """
        rng = np.random.default_rng(seed)
        sizes = {
            axis: SPATIAL_AXIS if axis.endswith(SPATIAL) else SAMPLE_AXIS for axis in self.free_axes
        }
        sizes |= {axis: CHANNELS_AXIS for axis in self.free_axes if axis == CHANNELS}
        sizes |= {s.shape[0]: batch for s in self.inputs if s.shape and isinstance(s.shape[0], str)}
        sizes |= axes or {}
        feeds: Feeds = {}
        for spec in self.inputs:
            shape = tuple(sizes[axis] if isinstance(axis, str) else axis for axis in spec.shape)
            dtype = np.dtype(spec.dtype)
            if dtype.kind == "f":
                feeds[spec.name] = rng.random(shape).astype(dtype)
            elif dtype.kind in "iu" and dtype.itemsize == 1 and spec.name not in (limits or {}):
                whole = np.iinfo(dtype)  # bytes are pixels or quantised numbers, not ids
                feeds[spec.name] = rng.integers(whole.min, whole.max, shape, dtype, endpoint=True)
            elif dtype.kind in "iub":
                high = (limits or {}).get(spec.name, 2)
                feeds[spec.name] = rng.integers(0, high, shape).astype(dtype)
            else:
                letters = rng.choice(SAMPLE_LETTERS, (*shape, SAMPLE_WORD))
                words = ["".join(row) for row in letters.reshape(-1, SAMPLE_WORD)]
                feeds[spec.name] = np.array(words, object).reshape(shape)
        return feeds

    def lengths(self, feeds: Feeds) -> dict[str, int]:
        """Give the length that each free axis has in a checked feed."""
        return {
            axis: size
            for spec in self.inputs
            for axis, size in zip(spec.shape, feeds[spec.name].shape, strict=True)
            if isinstance(axis, str)
        }

    def _named(self, feeds: Any) -> dict[str, Any]:
        if not isinstance(feeds, Mapping):
            raise FeedError(
                f"The feed is of the type {type(feeds).__name__}: give a dict of the model's "
                f"inputs by name, which are {_listing(self.inputs)}."
            )
        return dict(feeds)

    @functools.cached_property
    def _slots(self) -> tuple[tuple[str, np.dtype[Any]], ...]:
        # None for a model of strings: what arrays of them hold is left to the full check.
        text = any(spec.dtype == "str" for spec in self.inputs)
        return () if text else tuple((spec.name, numpy_dtype(spec)) for spec in self.inputs)

    @functools.cached_property
    def _known(self) -> set[tuple[tuple[int, ...], ...]]:
        return set()

    def _as_they_are(self, feeds: Mapping[str, Any]) -> Feeds | None:
        """Give back a feed that needs no conversion; None leaves it to the full check.

        This is every run's hot path: under a microsecond, where the full check takes six. Shapes
        that fit are looked up when they come again.
        """
        arrays: Feeds = {}
        shapes = []
        for name, dtype in self._slots:
            array = feeds.get(name)
            if type(array) is not np.ndarray or array.dtype != dtype:
                return None
            arrays[name] = array
            shapes.append(array.shape)
        found = tuple(shapes)
        if arrays and len(feeds) == len(arrays) and (found in self._known or self._fit(found)):
            return arrays
        return None

    def _fit(self, shapes: tuple[tuple[int, ...], ...]) -> bool:
        lengths: dict[str, int] = {}
        for spec, shape in zip(self.inputs, shapes, strict=True):
            if not spec.fits(shape):
                return False
            for axis, size in zip(spec.shape, shape, strict=True):
                if isinstance(axis, str) and lengths.setdefault(axis, size) != size:
                    return False
        if len(self._known) < MOST_SHAPES:
            self._known.add(shapes)
        return True

    def _check_names(self, feeds: Mapping[str, Any]) -> None:
        known = [spec.name for spec in self.inputs]
        missing = [name for name in known if name not in feeds]
        unknown = [name for name in feeds if name not in known]
        if missing or unknown:
            parts = [
                f"{label} {', '.join(map(repr, names))}"
                for label, names in (("missing", missing), ("unknown", unknown))
                if names
            ]
            raise FeedError(
                f"The feed's names do not fit ({'; '.join(parts)}): "
                f"the model takes {_listing(self.inputs)}."
            )

    def _array(self, spec: TensorSpec, value: Any) -> Array:
        if hasattr(value, "mask") and np.ma.is_masked(value):  # or every list would load numpy.ma
            raise FeedError(
                f"The input {spec.name!r} has masked values, which the model would see: "
                f"fill them, for {spec}."
            )
        try:
            array = np.asarray(value)
        except (TypeError, ValueError) as error:
            what = "a ragged list" if isinstance(value, (list, tuple)) else one_line(error)
            raise FeedError(
                f"The input {spec.name!r} is no array ({what}): the model takes {spec}."
            ) from error
        if not spec.fits(array.shape):
            raise FeedError(
                f"The input {spec.name!r} has shape {format_shape(array.shape)}: the model takes "
                f"{spec}."
            )
        if array.size == 0 and not hasattr(value, "dtype"):
            return np.empty(array.shape, numpy_dtype(spec))  # an empty list is of no dtype
        return _as_dtype(array, spec)

    def _check_axes(self, arrays: Feeds) -> None:
        seen: dict[str, tuple[int, str]] = {}
        for spec in self.inputs:
            for axis, size in zip(spec.shape, arrays[spec.name].shape, strict=True):
                if not isinstance(axis, str):
                    continue
                first_size, first_name = seen.setdefault(axis, (size, spec.name))
                if first_size != size:
                    raise FeedError(
                        f"The axis {axis!r} is {first_size} in {first_name!r} and {size} in "
                        f"{spec.name!r}: give both the same length."
                    )


def fits(wanted: tuple[int | str, ...], shape: tuple[int, ...]) -> bool:
    """Tell whether a shape is the one that is wanted, whose names stand for any length."""
    return len(shape) == len(wanted) and all(
        isinstance(want, str) or want == got for want, got in zip(wanted, shape, strict=True)
    )


def format_shape(shape: Iterable[int | str]) -> str:
    """Write a shape as the docs do: `(batch, 28, 28, 1)`."""
    axes = [str(axis) for axis in shape]
    return f"({axes[0]},)" if len(axes) == 1 else f"({', '.join(axes)})"


def check_finite(feeds: Feeds) -> None:
    """Raise `FeedError` where a value of a feed is NaN or infinite."""
    for name, array in feeds.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise FeedError(
                f"The input {name!r} has {array[index]} at {index}: give finite numbers."
            )


def numpy_dtype(spec: TensorSpec) -> np.dtype[Any]:
    """Give the dtype of the arrays that a spec stands for; numpy keeps strings as objects."""
    return np.dtype(object if spec.dtype == "str" else spec.dtype)


@dataclass(frozen=True)
class Conversion:
    """A row of `CONVERSIONS`: arrays of the numpy kinds `given`, for an input of the kinds `taken`.

    `changed` marks the values that the conversion would change, given the array and what became
    of it; where it marks one the array is refused.
    """

    given: str
    taken: str
    allowed: str
    changed: Callable[[Array, Array], Any]


def _other(array: Array, made: Array) -> Any:
    return made != array


def _inexact(array: Array, made: Array) -> Any:
    """Mark integers that no float of this width is: the way back gives another integer."""
    beyond = made >= float(int(np.iinfo(array.dtype).max) + 1)
    return beyond | (made.astype(array.dtype) != array)


def _overflown(array: Array, made: Array) -> Any:
    return np.isinf(made) & np.isfinite(array)


def _no_text(array: Array, _made: Array) -> Any:
    return np.asarray(np.frompyfunc(lambda item: not isinstance(item, str), 1, 1)(array), bool)


#: What an array of another dtype may become, by numpy's kinds: b bool, i and u integers, f floats,
#: U and S strings, O objects. Whatever has no row is refused: floats for integers (a model that
#: takes ids was given something else), complex numbers, dates, numbers for strings.
CONVERSIONS = (
    Conversion("b", "iuf", "always: False is 0, True is 1", _other),
    Conversion("iu", "iu", "where the input's dtype has every value", _other),
    Conversion("iu", "b", "where every value is 0 or 1", _other),
    Conversion("iu", "f", "where every value is exact: float32 has all up to 2**24", _inexact),
    Conversion("f", "f", "rounded to the nearest, where no number becomes infinite", _overflown),
    Conversion("U", "O", "always", _other),
    Conversion("S", "O", "where the bytes are UTF-8", _other),
    Conversion("O", "O", "where every value is a Python string", _no_text),
)


def _as_dtype(array: Array, spec: TensorSpec) -> Array:
    dtype = numpy_dtype(spec)
    if array.dtype == dtype and dtype.kind != "O":
        return array
    for row in CONVERSIONS:
        if array.dtype.kind in row.given and dtype.kind in row.taken:
            return _converted(array, dtype, row, spec)
    raise FeedError(f"The input {spec.name!r} is {array.dtype}: the model takes {spec}.")


def _converted(array: Array, dtype: np.dtype[Any], row: Conversion, spec: TensorSpec) -> Array:
    if array.dtype.kind == "S":
        try:
            array = np.char.decode(array, "utf-8")
        except UnicodeDecodeError as error:
            raise FeedError(
                f"The input {spec.name!r} has bytes that are not UTF-8 ({one_line(error)}): "
                f"the model takes {spec}."
            ) from error
    with np.errstate(over="ignore", invalid="ignore"):
        made = array.astype(dtype)
        changed = np.asarray(row.changed(array, made))
    if changed.any():
        index = tuple(int(i) for i in np.argwhere(changed)[0])
        raise FeedError(
            f"The input {spec.name!r} has {array[index]} at {index}, which would change as "
            f"{spec.dtype} ({array.dtype} is taken {row.allowed}): the model takes {spec}."
        )
    return made


def _listing(specs: Iterable[TensorSpec]) -> str:
    return "; ".join(map(str, specs))
