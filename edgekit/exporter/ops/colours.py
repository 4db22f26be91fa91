"""Colours and geometry of pictures `(batch, height, width, channels)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edgekit.exporter.ops.site import Site


def rgb_to_hsv(at: Site, image: str) -> Any:
    """Hue, saturation and value of the last axis, as TensorFlow chooses among equal channels."""
    red, green, blue = at.op("Split", image, **at.parts(3), axis=-1, outputs=3)
    value = at.reduce("ReduceMax", image, -1)
    span = at.op("Sub", value, at.reduce("ReduceMin", image, -1))
    zero = at.number(0, image)
    bright = at.op("Greater", value, zero)
    ratio = at.op("Div", span, at.op("Where", bright, value, at.number(1, image)))
    saturation = at.op("Where", bright, ratio, zero)
    coloured = at.op("Greater", span, zero)
    sixth = at.op(
        "Div", at.number(1 / 6, image), at.op("Where", coloured, span, at.number(1, image))
    )

    def sector(first: str, second: str, turn: float) -> Any:
        part = at.op("Mul", at.op("Sub", first, second), sixth)
        return at.op("Add", part, at.number(turn, image)) if turn else part

    others = sector(blue, red, 2 / 6), sector(red, green, 4 / 6)
    below = at.op("Where", at.op("Equal", green, value), *others)
    hue = at.op("Where", at.op("Equal", red, value), sector(green, blue, 0), below)
    hue = at.op("Where", coloured, hue, zero)
    whole = at.op("Add", hue, at.number(1, image))
    hue = at.op("Where", at.op("Less", hue, zero), whole, hue)
    return at.op("Concat", hue, saturation, value, axis=-1)


def hsv_to_rgb(at: Site, image: str) -> Any:
    """Red, green and blue from how far the hue is from each."""
    hue, saturation, value = at.op("Split", image, **at.parts(3), axis=-1, outputs=3)
    six = at.op("Mul", hue, at.number(6, image))
    shift, scale, offset = (
        np.array(numbers, at.dtype(image)) for numbers in ((3, 2, 4), (1, -1, -1), (-1, 2, 2))
    )
    distance = at.op("Abs", at.op("Sub", six, shift))
    chroma = at.op("Add", at.op("Mul", distance, scale), offset)
    one = at.number(1, image)
    chroma = at.op("Clip", chroma, at.number(0, image), one)
    faded = at.op("Sub", one, at.op("Mul", saturation, at.op("Sub", one, chroma)))
    return at.op("Mul", faded, value)


def project(at: Site, image: str, transforms: str, size: str, fill: str) -> Any:
    """One GridSample at the projected places, which are normalised as it wants them."""
    shape = at.shape(image) or [None] * 4
    height, width = shape[1], shape[2]
    wanted: Any = [height, width] if _own_size(at, size, image) else at.value(size)
    if height is None or width is None or wanted is None:
        raise ValueError("a picture of free size cannot be projected")
    rows, columns = (int(length) for length in wanted)
    y, x = np.mgrid[:rows, :columns].astype(np.float32).reshape(2, 1, -1)
    parts = at.op("Split", transforms, **at.parts(8), axis=1, outputs=8)

    def line(a: Any, b: Any, c: Any) -> Any:
        return at.op("Add", at.op("Add", at.op("Mul", a, x), at.op("Mul", b, y)), c)

    depth = line(parts[6], parts[7], np.array(1, np.float32))
    places = []
    for first, length in ((0, width), (3, height)):
        place = at.op("Div", line(*parts[first : first + 3]), depth)
        place = _inside(at, place, length)
        half = at.op("Mul", at.op("Add", place, np.array(0.5, np.float32)), _number(2 / length))
        places.append(at.op("Unsqueeze", at.op("Sub", half, _number(1)), at.ints(2)))
    grid = at.op("Concat", *places, axis=2)
    grid = at.op("Reshape", grid, at.ints(-1, rows, columns, 2))
    return _sampled(at, image, grid, fill)


def _own_size(at: Site, size: str, image: str) -> bool:
    """Whether a size is part of the picture's own shape, as Keras gives it."""
    kind, inputs = at.producer(size)
    while kind in {"Slice", "StridedSlice", "Cast", "Squeeze", "Identity"}:
        kind, inputs = at.producer(inputs[0])
    return kind == "Shape" and inputs == [image]


def _inside(at: Site, place: str, length: int) -> Any:
    """Round a place where the nearest pixel is asked for, and wrap it around."""
    if _attribute(at, "fill_mode") == "WRAP":
        # TensorFlow's own period: one step for each `length - 1`.
        last, zero = _number(length - 1), _number(0)
        steps = at.op("Floor", at.op("Div", at.op("Abs", place), _number(max(length - 1, 1))))
        back = at.op("Mul", steps, _number(length))
        low = at.op("Add", place, at.op("Add", back, _number(length)))
        high = at.op("Sub", place, back)
        inner = at.op("Where", at.op("Greater", place, last), high, place)
        place = at.op("Where", at.op("Less", place, zero), low, inner)
        place = at.op("Clip", place, zero, last)
    if _attribute(at, "interpolation") == "NEAREST":
        half = at.op("Floor", at.op("Add", at.op("Abs", place), _number(0.5)))
        place = at.op("Mul", at.op("Sign", place), half)
    return place


def _sampled(at: Site, image: str, grid: str, fill: str) -> Any:
    nearest = _attribute(at, "interpolation") == "NEAREST"
    padding = {"CONSTANT": "zeros", "REFLECT": "reflection"}.get(_attribute(at, "fill_mode"))
    pixels = at.op("Transpose", at.cast(image, np.float32), perm=[0, 3, 1, 2])
    value = at.value(fill)
    filled = padding == "zeros" and (value is None or bool(np.any(value)))
    if filled:
        pixels = at.op("Sub", pixels, fill)
    # One transform may serve the whole batch.
    batch = at.op("Slice", at.op("Shape", image), at.ints(0), at.ints(1))
    grid = at.op("Expand", grid, at.op("Concat", batch, at.ints(1, 1, 1), axis=0))
    sampled = at.op(
        "GridSample",
        pixels,
        grid,
        mode="nearest" if nearest else "bilinear",
        padding_mode=padding or "border",
    )
    if filled:
        sampled = at.op("Add", sampled, fill)
    return at.cast(at.op("Transpose", sampled, perm=[0, 2, 3, 1]), at.dtype(image))


def _attribute(at: Site, name: str) -> str:
    value = at.attribute(name, b"CONSTANT")
    return str(value.decode() if isinstance(value, bytes) else value)


def _number(value: float) -> np.ndarray[Any, Any]:
    return np.array(value, np.float32)
