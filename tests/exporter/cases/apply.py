"""A model of one function: what its parameters are called says what goes in."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from tests.exporter.cases import Case

ops: Any = keras.ops

_RNG = np.random.default_rng(5)
#: Halves of either sign, with ties: what rounding, sorting and comparing have to get right.
_HALVES = np.array([-2.5, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.5, 2.5, -0.5, 0.0], np.float32)
_SPECIAL = np.array(
    [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 0.5, -0.5, 3.0], np.float32
)


def floats(*numbers: float) -> Any:
    """Make a float32 vector."""
    return np.array(numbers, np.float32)


def _rows(first: np.ndarray[Any, Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Shuffle the same values into three samples."""
    return np.stack([_RNG.permutation(first) for _ in range(3)]).reshape(3, *shape)


def _integers(low: int, high: int, *shape: int, dtype: str = "int32") -> np.ndarray[Any, Any]:
    return _RNG.integers(low, high, shape).astype(dtype)


#: Inputs by the name of a parameter; axis 0 is free, and so is `free`'s axis 1.
INPUTS: dict[str, np.ndarray[Any, Any]] = {
    "x": _rows(_HALVES, (4, 3)),
    "y": _rows(_HALVES, (4, 3)),
    "u": _RNG.uniform(0.05, 0.95, (3, 4, 3)).astype(np.float32),
    "v": _RNG.uniform(0.05, 0.95, (3, 4, 3)).astype(np.float64),
    "z": np.where(_RNG.random((3, 4, 3)) < 0.2, np.nan, _rows(_HALVES, (4, 3))).astype(np.float32),
    "n": _rows(_SPECIAL, (4, 3)),
    "i": _integers(-9, 10, 3, 4, 3),
    "j": _integers(-4, 5, 3, 4, 3),
    "b": _integers(0, 2, 3, 4, 3, dtype="bool"),
    "c": _integers(0, 2, 3, 4, 3, dtype="bool"),
    "h": _rows(_HALVES, (4, 3)).astype(np.float16),
    "d": _rows(_HALVES, (4, 3)).astype(np.float64),
    "long": _integers(-9, 10, 3, 4, 3, dtype="int64"),
    "k": _integers(0, 5, 3, 4, 3),
    "s8": _integers(-100, 100, 3, 4, 3, dtype="int8"),
    "u8": _integers(0, 256, 3, 4, 3, dtype="uint8"),
    "t8": _integers(1, 256, 3, 4, 3, dtype="uint8"),
    "pair": _RNG.normal(size=(3, 2)).astype(np.float32),
    "vector": _rows(_HALVES[:6], (6,))[0],
    "ids": _integers(0, 3, 3),
    "index": _integers(0, 4, 3, 2),
    "free": _RNG.normal(size=(3, 5, 4)).astype(np.float32),
    "matrix": (_RNG.normal(size=(3, 4, 4)) + 3 * np.eye(4)).astype(np.float32),
    "signal": _RNG.normal(size=(3, 32)).astype(np.float32),
    "line": _RNG.normal(size=(3, 12, 4)).astype(np.float32),
    "image": _RNG.uniform(size=(3, 6, 8, 3)).astype(np.float32),
    "image8": _integers(0, 256, 3, 6, 8, 3, dtype="uint8"),
    "volume": _RNG.normal(size=(3, 4, 6, 5, 2)).astype(np.float32),
}
_FREE = {"free": (1,), "vector": (0,)}


class Apply(keras.layers.Layer):  # type: ignore[misc]
    """Calls a function on its inputs in their own dtypes."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(autocast=False)
        self.function = function

    def call(self, tensors: list[Any]) -> Any:
        return self.function(*tensors)


def build(names: Sequence[str], function: Callable[..., Any], *, symbolic: bool = False) -> Any:
    """Make a model of a function whose parameters are these of `INPUTS`.

    `symbolic` calls it on Keras's own tensors: Keras cannot infer some functions inside of a layer.
    """
    inputs = []
    for name in names:
        array = INPUTS[name]
        axes = [None if i in (0, *_FREE.get(name, ())) else n for i, n in enumerate(array.shape)]
        inputs.append(keras.Input(batch_shape=axes, dtype=str(array.dtype), name=name))
    return keras.Model(inputs, function(*inputs) if symbolic else Apply(function)(inputs))


def row(name: str, function: Callable[..., Any], mode: str = "", **options: Any) -> Case:
    """Make a case of `keras.ops.NAME` whose function's parameters are named as `INPUTS` are."""
    names = list(inspect.signature(function).parameters)
    return next(_cases(name, mode, names, lambda _, named: function(**named), options))


def over(names: str, *inputs: str, mode: str = "", **options: Any) -> Iterator[Case]:
    """Call each function as it is on each group of inputs: "x", "x y".

    Here and below names with a comma between them are functions of one case.
    """
    groups = [group.split() for group in inputs]

    def call(name: str, named: dict[str, Any]) -> Any:
        outputs: list[Any] = []
        for group in groups:
            made = _find(name)(*(named[key] for key in group))
            outputs.extend(seen(made) if "n" in group and made.dtype != "bool" else [made])
        return outputs

    known = sorted({key for group in groups for key in group})
    return _cases(names, mode, known, call, options)


def both(
    names: str, *arguments: Callable[..., Any], mode: str = "", **options: Any
) -> Iterator[Case]:
    """Call each function on what each of `arguments` makes of its parameters."""
    wanted = [list(inspect.signature(make).parameters) for make in arguments]
    pairs = list(zip(arguments, wanted, strict=True))

    def call(name: str, named: dict[str, Any]) -> Any:
        return [_find(name)(*make(*(named[key] for key in keys))) for make, keys in pairs]

    return _cases(names, mode, sorted({key for keys in wanted for key in keys}), call, options)


def each(
    names: str, function: Callable[..., Any], mode: str = "", **options: Any
) -> Iterator[Case]:
    """Call `function` on each function that is named, and on its other parameters."""
    _, *known = inspect.signature(function).parameters

    def call(name: str, named: dict[str, Any]) -> Any:
        return function(_find(name), **named)

    return _cases(names, mode, known, call, options)


def _find(name: str) -> Any:
    return functools.reduce(getattr, name.split("."), ops)


def _cases(
    names: str,
    mode: str,
    inputs: list[str],
    call: Callable[[str, dict[str, Any]], Any],
    options: dict[str, Any],
) -> Iterator[Case]:
    symbolic = options.pop("symbolic", False)
    for group in names.split():
        together = group.split(",")

        def function(*tensors: Any, together: list[str] = together) -> Any:
            named = dict(zip(inputs, tensors, strict=True))
            return [call(name, named) for name in together]

        yield Case(
            f"keras.ops.{', '.join(together)}",
            mode or "plain",
            functools.partial(build, inputs, function, symbolic=symbolic),
            {key: INPUTS[key] for key in inputs},
            **options,
        )


def seen(tensor: Any) -> tuple[Any, Any]:
    """Tell where a tensor has what is not finite, and give it without: Keras's answer has to be."""
    infinite = ops.where(tensor > 0, 1, 2) * ops.cast(ops.isinf(tensor), "int32")
    kind = ops.where(ops.isnan(tensor), 3, infinite)
    return kind, ops.where(ops.isfinite(tensor), tensor, ops.zeros_like(tensor))
