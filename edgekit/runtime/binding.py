"""Outputs that are written into arrays of the caller, by onnxruntime's IO binding.

It pays for large outputs: 4 MiB that were wanted in an array of the caller took 1.6 times as long
by a run and a copy, 16 MiB 2.8 times. From 1 MiB down it does not: a binding costs 40 us a run, and
outputs that are not bound are arrays over onnxruntime's own memory already, which is used again
(`benchmarks/runner_outputs.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import FeedError, one_line
from edgekit.signature import fits, format_shape, numpy_dtype

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekit.signature import Array, Feeds, Signature, TensorSpec


def arrays_of(signature: Signature, feeds: Feeds, out: Mapping[str, Array]) -> list[Array | None]:
    """Give the array of each output, in order, or None; raises `FeedError` for one that misfits."""
    lengths = signature.lengths(feeds)
    arrays = [out.get(spec.name) for spec in signature.outputs]
    for spec, array in zip(signature.outputs, arrays, strict=True):
        if array is not None:
            _check(spec, array, lengths)
    if len(out) > sum(array is not None for array in arrays):
        known = [spec.name for spec in signature.outputs]
        raise FeedError(
            f"`out` has {', '.join(repr(name) for name in out if name not in known)}, and the "
            f"model gives {', '.join(map(str, signature.outputs))}: give those by name."
        )
    return arrays


def run_into(
    session: Any, signature: Signature, feeds: Feeds, arrays: list[Array | None]
) -> list[Array]:
    """Run a checked feed, and give the outputs in order, written into the arrays that there are.

    Raises `FeedError` for strings, and for a shape that was known once it was computed.
    """
    try:
        values = _run(session, signature, feeds, arrays)
    except Exception as error:
        raise _explained(error, signature) from error
    return [value.numpy() if a is None else a for a, value in zip(arrays, values, strict=True)]


def _run(session: Any, signature: Signature, feeds: Feeds, arrays: list[Array | None]) -> Any:
    binding = session.io_binding()
    for name, value in feeds.items():
        binding.bind_cpu_input(name, np.ascontiguousarray(value))
    for spec, array in zip(signature.outputs, arrays, strict=True):
        if array is None:
            binding.bind_output(spec.name)
        else:
            where = array.dtype.type, array.shape, array.ctypes.data
            binding.bind_output(spec.name, "cpu", 0, *where)
    session.run_with_iobinding(binding)
    return binding.get_outputs()


def _check(spec: TensorSpec, array: Any, lengths: Mapping[str, int]) -> None:
    shape = tuple(lengths.get(axis, axis) if isinstance(axis, str) else axis for axis in spec.shape)
    if not isinstance(array, np.ndarray):
        found = f"a value of the type {type(array).__name__}"
    elif array.dtype != numpy_dtype(spec) or not fits(shape, array.shape):
        found = f"{array.dtype} {format_shape(array.shape)}"
    elif not (array.flags.c_contiguous and array.flags.writeable):
        found = "an array that is read-only or not in C order"
    else:
        return
    raise FeedError(
        f"The output {spec.name!r} cannot be written into {found}: give a writable array in C "
        f"order for {replace(spec, shape=shape)}."
    )


def _explained(error: Exception, signature: Signature) -> Exception:
    text = str(error)
    if "non-string" in text:
        return FeedError(
            f"The model has strings, {signature}, which onnxruntime does not bind: run it without "
            "`out`."
        )
    if "OrtValue" in text:  # a shape that is known once it is computed
        return FeedError(
            f"An array of `out` has another shape than its output ({one_line(error)}): the model "
            f"gives {', '.join(map(str, signature.outputs))}."
        )
    return error
