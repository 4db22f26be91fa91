"""Windows of pictures: unfold and fold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edgekit.exporter.lowering import Builder, Call


def _pair(value: Any) -> list[int]:
    return [value, value] if isinstance(value, int) else [int(v) for v in value]


def plan_unfold(
    input: Any,  # noqa: A002 - Keras's name
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Call | None:
    """Take `(batch, channels, height, width)`."""
    from edgekit.exporter.lowering import Call

    size, rates, pads, strides = map(_pair, (kernel_size, dilation, padding, stride))
    batch, channels, *lengths = input.shape
    if channels is None or not input.dtype.is_floating:
        return None
    places: int | None = 1
    for n, k, d, p, s in zip(lengths, size, rates, pads, strides, strict=True):
        known = None in (n, places)
        places = None if known else places * ((n + 2 * p - d * (k - 1) - 1) // s + 1)
    attributes = {"dilations": rates, "pads": [*pads, *pads], "strides": strides}
    shape = [batch, channels * size[0] * size[1], places]
    return Call([input], [shape], values=(channels, size, attributes))


def lower_unfold(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """A Conv of each channel with kernels that let one place through, and a Reshape."""
    channels, size, attributes = values
    count = size[0] * size[1]
    kernels = np.tile(np.eye(count).reshape(count, 1, *size), (channels, 1, 1, 1))
    made = op.op("Conv", inputs[0], kernels.astype(op.dtype), group=channels, **attributes)
    return [op.op("Reshape", made, op.ints(0, channels * count, -1))]


def plan_fold(
    x: Any,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Call | None:
    """Take windows `(batch, channels * places, windows)`."""
    from edgekit.exporter.lowering import Call

    whole, size, rates, pads, strides = map(
        _pair, (output_size, kernel_size, dilation, padding, stride)
    )
    if x.dtype.name != "float32" or x.shape[1] is None:
        return None
    attributes = {"dilations": rates, "pads": [*pads, *pads], "strides": strides}
    shape = [x.shape[0], x.shape[1] // (size[0] * size[1]), *whole]
    return Call([x], [shape], values=(whole, size, attributes))


def lower_fold(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """One Col2Im."""
    whole, size, attributes = values
    return [op.op("Col2Im", inputs[0], op.ints(*whole), op.ints(*size), **attributes)]
