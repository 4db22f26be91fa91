"""Fourier transforms of `keras.ops`, whose complex numbers are pairs of tensors all the way.

Up to `LARGE` points a transform is a product with a matrix: every provider has it, and on a CPU it
is no slower than the DFT operator. That is taken beyond for powers of two only: for other lengths
onnxruntime's is inexact (0.01 at 2500 points) and slow. A free axis makes its matrix while it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import ExportError

if TYPE_CHECKING:
    from edgekit.exporter.lowering import Builder, Call

LARGE = 1024
#: The opset that DFT and STFT came with, and the one from which DFT takes its axis as an input.
DFT_OPSET, AXIS_OPSET = 17, 20


def plan_fft(x: Any) -> Call | None:
    """Take `(real, imaginary)`, transformed over the last axis."""
    return _plan_pair(x, axes=1)


def plan_fft2(x: Any) -> Call | None:
    """Take `(real, imaginary)`, transformed over the last two axes."""
    return _plan_pair(x, axes=2)


def _plan_pair(x: Any, axes: int) -> Call | None:
    import tensorflow as tf

    from edgekit.exporter.lowering import Call

    parts = [part for part in x if tf.is_tensor(part)]
    if len(parts) != 2 or any(not p.dtype.is_floating or p.shape.rank is None for p in parts):
        return None
    real, imaginary = parts
    if real.shape.rank < axes:
        return None
    shape = real.shape
    # An imaginary part of zeros, as a transform of real numbers has it, is left out.
    pair = [real] if _is_zero(imaginary) else [real, imaginary]
    return Call(pair, [shape, shape], tuple, values=(list(shape), axes))


def _is_zero(tensor: Any) -> bool:
    import tensorflow as tf

    if getattr(getattr(tensor, "op", None), "type", "") == "ZerosLike":
        return True
    value = tf.get_static_value(tensor)
    return value is not None and not np.any(value)


def lower_fft(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """Transform one axis after the other, the last first."""
    shape, axes = values
    parts = inputs
    for axis in range(-1, -axes - 1, -1):
        parts = _transformed(op, parts, shape, axis)
    return parts


def _transformed(op: Builder, parts: list[Any], shape: list[int | None], axis: int) -> list[Any]:
    """Transform an axis of one real tensor, or of a real and an imaginary one."""
    size = shape[axis]
    if size is not None and _by_operator(size):
        return _dft(op, parts, len(shape), axis)
    cos, sin, minus = _free_waves(op, parts[0], axis) if size is None else _waves(op, size)
    if len(parts) == 1:
        rows: list[list[Any]] = [[cos], [minus]]
    else:
        parts = [op.op("Concat", *parts, axis=axis)]
        rows = [[cos, sin], [minus, cos]]
    made = []
    for blocks in rows:
        matrix = _joined(op, blocks, axis=0 if axis == -1 else 1)
        pair = (parts[0], matrix) if axis == -1 else (matrix, parts[0])
        made.append(op.op("MatMul", *pair))
    return made


def _by_operator(size: int) -> bool:
    """Whether DFT transforms so many points better than a product does."""
    return size > LARGE and size.bit_count() == 1


def _waves(op: Builder, size: int) -> list[Any]:
    """Give cosines, sines and sines below zero of every frequency."""
    turn = _angles(size, size)
    return [wave.astype(op.dtype) for wave in (np.cos(turn), np.sin(turn), -np.sin(turn))]


def _free_waves(op: Builder, x: Any, axis: int) -> list[Any]:
    """Compute the same for a free axis; whole turns go while the numbers are still whole."""
    import onnx_ir as ir

    size = op.op("Gather", op.op("Shape", x), np.array(axis, np.int64), axis=0)
    count = op.op("Range", np.array(0, np.int64), size, np.array(1, np.int64))
    products = op.op("Mul", op.op("Unsqueeze", count, op.ints(1)), count)
    dtype = ir.DataType.from_numpy(op.dtype)
    steps = op.op("Cast", op.op("Mod", products, size), to=dtype)
    step = op.op("Div", np.array(2 * np.pi, op.dtype), op.op("Cast", size, to=dtype))
    turn = op.op("Mul", steps, step)
    sin = op.op("Sin", turn)
    return [op.op("Cos", turn), sin, op.op("Neg", sin)]


def _joined(op: Builder, blocks: list[Any], axis: int) -> Any:
    if len(blocks) == 1:
        return blocks[0]
    if isinstance(blocks[0], np.ndarray):
        return np.concatenate(blocks, axis=axis)
    return op.op("Concat", *blocks, axis=axis)


def _angles(size: int, count: int) -> np.ndarray[Any, Any]:
    """Give `2 pi t k / size` for `size` times t and `count` frequencies k, exact for large t k."""
    return 2 * np.pi * (np.outer(np.arange(size), np.arange(count)) % size) / size


def _dft(op: Builder, parts: list[Any], rank: int, axis: int, **attributes: Any) -> list[Any]:
    """One DFT of an axis of `rank`, with real and imaginary part stacked behind."""
    if op.opset < DFT_OPSET:
        raise ExportError(
            f"A Fourier transform of a free length, or of more than {LARGE} points, needs opset "
            f"{DFT_OPSET}: give it, or a fixed length."
        )
    stacked = [op.op("Unsqueeze", part, op.ints(-1)) for part in parts]
    x = stacked[0] if len(stacked) == 1 else op.op("Concat", *stacked, axis=-1)
    axis %= rank
    if op.opset < AXIS_OPSET:
        made = op.op("DFT", x, axis=axis, **attributes)
    else:
        made = op.op("DFT", x, None, np.array(axis, np.int64), **attributes)
    return _apart(op, made)


def _apart(op: Builder, pair: Any) -> list[Any]:
    return [op.op("Gather", pair, np.array(i, np.int64), axis=-1) for i in range(2)]


def plan_rfft(x: Any, fft_length: int | None = None) -> Call | None:
    """Take real numbers, cut or filled with zeros to `fft_length`."""
    import tensorflow as tf

    from edgekit.exporter.lowering import Call

    if not tf.is_tensor(x) or not x.dtype.is_floating or not x.shape.rank:
        return None
    size = x.shape[-1]
    points = size if fft_length is None else int(fft_length)
    bins = None if points is None else points // 2 + 1
    shape = [*x.shape[:-1], bins]
    return Call([x], [shape, shape], tuple, values=(x.shape.rank, size, points))


def lower_rfft(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """Two products with the cosines and the sines of half of the frequencies."""
    rank, size, points = values
    (x,) = inputs
    if points is None:
        return _dft(op, [x], rank, -1, onesided=1)
    x, used = _cut(op, x, size, points)
    if _by_operator(points):
        return _dft(op, [x], rank, -1, onesided=1)
    turn = _angles(points, points // 2 + 1)[:used]
    return [op.op("MatMul", x, m.astype(op.dtype)) for m in (np.cos(turn), -np.sin(turn))]


def _cut(op: Builder, x: Any, size: int | None, points: int) -> tuple[Any, int]:
    """Cut the last axis to `points`; what is shorter is filled, unless a matrix is as short."""
    if size is not None and size <= points and not _by_operator(points):
        return x, size
    if size is None or size > points:
        x = op.op("Slice", x, op.ints(0), op.ints(points), op.ints(-1))
    if size is None or size < points:
        length = op.op("Gather", op.op("Shape", x), op.ints(-1), axis=0)
        missing = op.op("Sub", op.ints(points), length)
        front = op.op("Mul", op.op("Shape", op.op("Shape", x)), op.ints(2))
        zeros = op.op("Expand", op.ints(0), op.op("Sub", front, op.ints(1)))
        x = op.op("Pad", x, op.op("Concat", zeros, missing, axis=0))
    return x, points


def plan_irfft(x: Any, fft_length: int | None = None) -> Call | None:
    """Take `(real, imaginary)` of a known number of frequencies."""
    planned = _plan_pair(x, axes=1)
    if planned is None or planned.inputs[0].shape[-1] is None:
        return None
    bins = planned.inputs[0].shape[-1]
    points = 2 * (bins - 1) if fft_length is None else int(fft_length)
    from edgekit.exporter.lowering import Call

    shape = [*planned.inputs[0].shape[:-1], points]
    return Call(planned.inputs, [shape], values=(bins, points))


def lower_irfft(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """One product with the inverse transform's matrix."""
    bins, points = values
    used = min(bins, points // 2 + 1)
    if used < bins:
        inputs = [op.op("Slice", x, op.ints(0), op.ints(used), op.ints(-1)) for x in inputs]
    x = inputs[0] if len(inputs) == 1 else op.op("Concat", *inputs, axis=-1)
    matrix = _inverse(points, used)[: used * len(inputs)]
    return [op.op("MatMul", x, matrix.astype(op.dtype))]


def _inverse(points: int, bins: int) -> np.ndarray[Any, Any]:
    """Give the matrix from `bins` real and as many imaginary parts to `points` real numbers."""
    twice = np.full((bins, 1), 2.0)
    twice[0] = 1
    if points % 2 == 0 and bins == points // 2 + 1:
        twice[-1] = 1
    turn = _angles(points, bins).T
    return np.concatenate([np.cos(turn) * twice, -np.sin(turn) * twice]) / points


def plan_stft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    window: Any = "hann",
    center: bool = True,
) -> Call | None:
    """Take a signal `(..., time)`."""
    import tensorflow as tf

    from edgekit.exporter.lowering import Call

    weights = _window(window, sequence_length, fft_length)
    if not tf.is_tensor(x) or x.dtype != tf.float32 or weights is None or not x.shape.rank:
        return None
    time = x.shape[-1]
    padding = fft_length // 2 if center else 0
    if time is not None:
        time = max(0, 1 + (time + 2 * padding - fft_length) // sequence_stride)
    shape = [*x.shape[:-1], time, fft_length // 2 + 1]
    values = (x.shape.rank, weights, sequence_stride, padding)
    return Call([x], [shape, shape], tuple, values=values)


def _window(window: Any, length: int, points: int) -> np.ndarray[Any, Any] | None:
    """Give a window in the middle of `points`, None where Keras refuses it or it is computed."""
    if length > points:
        return None
    if window is None:
        values = np.ones(length)
    elif isinstance(window, str):
        a = {"hann": 0.5, "hamming": 0.54}.get(window)
        if a is None:
            return None
        values = a - (1 - a) * np.cos(2 * np.pi * np.arange(length) / length)
    else:
        try:
            values = np.asarray(window, np.float64)
        except (NotImplementedError, TypeError, ValueError):
            return None
    if window is None:
        return np.ones(points)  # Keras lets the whole frame through then
    left = (points - length) // 2
    fits = values.shape == (length,)
    return np.pad(values, (left, points - length - left)) if fits else None


def lower_stft(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """A Conv whose kernels are the window's waves, or STFT where those would be large."""
    rank, window, stride, padding = values
    (x,) = inputs
    points = len(window)
    if padding:
        pads = [0] * (rank - 1) + [padding]
        x = op.op("Pad", x, op.ints(*pads, *pads), mode="reflect")
    if _by_operator(points) and op.opset >= DFT_OPSET:
        step = np.array(stride, np.int64)
        made = op.op("STFT", _rows(op, x, rank, -1), step, window.astype(op.dtype), onesided=1)
        parts = _apart(op, made)
    else:
        turn = _angles(points, points // 2 + 1)
        waves = np.concatenate([np.cos(turn), -np.sin(turn)], axis=1) * window[:, None]
        kernels = waves.T[:, None].astype(op.dtype)
        made = op.op("Conv", _rows(op, x, rank, 1), kernels, strides=[stride])
        bins = op.ints(points // 2 + 1, points // 2 + 1)
        parts = op.op("Split", made, bins, axis=1, outputs=2)
        parts = [op.op("Transpose", part, perm=[0, 2, 1]) for part in parts]
    return [_unrows(op, part, x, rank) for part in parts]


def _rows(op: Builder, x: Any, rank: int, axis: int) -> Any:
    """Make `(rows, time)` of `(..., time)`, with an axis of one in front of the time or behind."""
    if rank != 2:
        time = op.op("Shape", x, start=-1)
        x = op.op("Reshape", x, op.op("Concat", op.ints(-1), time, axis=0))
    return op.op("Unsqueeze", x, op.ints(axis))


def _unrows(op: Builder, made: Any, x: Any, rank: int) -> Any:
    """Give `(rows, ...)` the axes that x has in front of its time."""
    if rank == 2:
        return made
    inner = op.op("Shape", made, start=-2)
    outer = op.op("Shape", x, end=-1)
    return op.op("Reshape", made, op.op("Concat", outer, inner, axis=0))


def plan_istft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: Any = "hann",
    center: bool = True,
) -> Call | None:
    """Take `(real, imaginary)` of `(..., frames, frequencies)`."""
    import tensorflow as tf

    from edgekit.exporter.lowering import Call

    planned = _plan_pair(x, axes=2)
    weights = _window(window, sequence_length, fft_length)
    if planned is None or weights is None or planned.inputs[0].dtype != tf.float32:
        return None
    if window is not None:
        weights = _undone(weights, sequence_stride)
    first = planned.inputs[0]
    frames, bins = first.shape[-2:]
    if bins is None:
        return None
    start = fft_length // 2 if center else 0
    whole = None if frames is None else fft_length + sequence_stride * (frames - 1)
    end = start + length if length is not None else (-start or None)
    known = None if whole is None else len(range(whole)[start:end])
    values = (first.shape.rank, bins, weights, sequence_stride, start, end)
    return Call(planned.inputs, [[*first.shape[:-2], known]], values=values)


def _undone(window: np.ndarray[Any, Any], stride: int) -> np.ndarray[Any, Any]:
    """Divide a window by the sum of the squares that overlap at each place."""
    count = len(window)
    padded = np.pad(window**2, (0, -count % stride)).reshape(-1, stride)
    total = np.tile(padded.sum(axis=0), len(padded))[:count]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(window / total)


def lower_istft(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """One ConvTranspose: each frame's frequencies become a wave, and waves overlap and add up."""
    rank, bins, window, stride, start, end = values
    points = len(window)
    used = min(bins, points // 2 + 1)
    x = inputs[0] if len(inputs) == 1 else op.op("Concat", *inputs, axis=-1)
    frames = x
    if rank != 3:
        inner = op.op("Shape", x, start=-2)
        frames = op.op("Reshape", x, op.op("Concat", op.ints(-1), inner, axis=0))
    waves = np.zeros((2, bins, points))
    waves[:, :used] = _inverse(points, used).reshape(2, used, points)
    waves = waves.reshape(2 * bins, points)[: bins * len(inputs)]
    kernels = (waves * window)[:, None].astype(op.dtype)
    moved = op.op("Transpose", frames, perm=[0, 2, 1])
    made = op.op("ConvTranspose", moved, kernels, strides=[stride])
    if start or end is not None:
        last = 2**31 if end is None else end
        made = op.op("Slice", made, op.ints(start), op.ints(last), op.ints(-1))
    made = op.op("Squeeze", made, op.ints(1))
    if rank == 3:
        return [made]
    outer = op.op("Shape", x, end=-2)
    inner = op.op("Shape", made, start=-1)
    return [op.op("Reshape", made, op.op("Concat", outer, inner, axis=0))]
