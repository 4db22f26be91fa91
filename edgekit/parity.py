"""Compare outputs with the reference, and keep the evidence. Needs numpy only.

Shapes and dtypes are compared before values, because broadcasting hides a wrong shape; NaN and
infinities are counted, never averaged away; the worst element is named with both values, and the
tolerance that would have passed is stated.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.signature import format_shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgekit.signature import Outputs

Array = np.ndarray[Any, np.dtype[Any]]

#: An exact match has infinite SQNR, which JSON cannot say.
MAX_SQNR_DB = 200.0


@dataclass(frozen=True)
class Tolerance:
    """What counts as equal: every element within `atol + rtol * |expected|`, and the SQNR.

    `atol` is in the output's own unit; None leaves elements out of the verdict. Where an output's
    root mean square is above 1, `atol_of_rms` times it stands for a smaller `atol`: among logits of
    hundreds, one that is nearly zero carries the rounding of the others. `min_sqnr_db` is the least
    signal-to-quantisation-noise ratio of the whole output.
    """

    atol: float | None
    rtol: float = 0.0
    min_sqnr_db: float | None = None
    atol_of_rms: float = 0.0

    def allowed(self, expected: Array) -> float:
        """Give the `atol` of an output."""
        rms = float(np.sqrt(np.mean(np.square(expected)))) if expected.size else 0.0
        return max(self.atol or 0.0, self.atol_of_rms * rms)


#: Below it a float32 is denormal.
DENORMAL = float(np.finfo(np.float32).tiny)

#: By precision. Float files differ from Keras by the order of sums alone; the ratio is there for
#: outputs that are small as a whole, such as a thousand probabilities. Integers lose what eight
#: bits lose: 20 dB is an error of a tenth of the signal's root mean square. Four bits lose more:
#: 21 dB in every layer.
TOLERANCES = {
    "fp32": Tolerance(atol=1e-4, rtol=1e-3, min_sqnr_db=60.0, atol_of_rms=1e-4),
    "fp16": Tolerance(atol=1e-2, rtol=1e-2, min_sqnr_db=40.0, atol_of_rms=1e-2),
    "bf16": Tolerance(atol=5e-2, rtol=5e-2, min_sqnr_db=30.0, atol_of_rms=5e-2),
    "int8": Tolerance(atol=None, min_sqnr_db=20.0),
    "int4": Tolerance(atol=None, min_sqnr_db=10.0),
}


@dataclass(frozen=True)
class OutputParity:
    """The evidence for one output over all samples of one batch size.

    `index` is where the absolute error is largest, with `actual` and `expected` there;
    `required_atol` would have passed at the same rtol; `worst_sample` is the row with the least
    SQNR, `worst_sample_sqnr_db`. `failure` names what went wrong, in a word that can be matched:
    `shape`, `dtype`, `nan`, `reference`, `tolerance`, `sqnr`.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    max_abs_error: float | None
    max_rel_error: float | None
    cosine: float | None
    sqnr_db: float | None
    passed: bool
    failure: str | None = None
    detail: str | None = None
    index: tuple[int, ...] | None = None
    actual: float | None = None
    expected: float | None = None
    required_atol: float | None = None
    worst_sample: int | None = None
    worst_sample_sqnr_db: float | None = None
    nan_count: int = 0
    inf_count: int = 0
    degenerate: bool = False


def compare(expected: Outputs, actual: Outputs, tolerance: Tolerance) -> tuple[OutputParity, ...]:
    """Compare every expected output by name; one that is missing fails as a wrong shape."""
    return tuple(
        compare_output(name, array, actual.get(name), tolerance) for name, array in expected.items()
    )


def compare_all(
    expected: Iterable[Outputs], actual: Iterable[Outputs], tolerance: Tolerance
) -> tuple[OutputParity, ...]:
    """Compare several answers, and keep the worst evidence of each output."""
    found = [compare(want, got, tolerance) for want, got in zip(expected, actual, strict=True)]
    return tuple(worst(outputs) for outputs in zip(*found, strict=True))


def worst(outputs: Sequence[OutputParity]) -> OutputParity:
    """Keep the evidence that failed, else the one with the largest error."""
    return max(outputs, key=lambda output: (not output.passed, output.max_abs_error or 0.0))


def compare_output(
    name: str, expected: Array, actual: Array | None, tolerance: Tolerance
) -> OutputParity:
    """Compare one output with its reference."""
    if actual is None or actual.shape != expected.shape:
        found = "nothing" if actual is None else format_shape(actual.shape)
        return _refused(
            name, actual, "shape", f"got {found} where {format_shape(expected.shape)} is expected"
        )
    if actual.dtype != expected.dtype:
        return _refused(
            name, actual, "dtype", f"got {actual.dtype} where {expected.dtype} is expected"
        )
    if expected.dtype.kind not in "fiub":
        return _compare_text(name, expected, actual)
    want, got = expected.astype(np.float64), actual.astype(np.float64)
    if not np.isfinite(want).all():
        return _refused(name, actual, "reference", "the reference itself is not finite")
    nan_count, inf_count = int(np.isnan(got).sum()), int(np.isinf(got).sum())
    if nan_count or inf_count:
        found = f"{nan_count} NaN and {inf_count} infinite of {got.size} elements"
        refused = _refused(name, actual, "nan", found)
        return dataclasses.replace(refused, nan_count=nan_count, inf_count=inf_count)
    want, got = _flushed(want), _flushed(got)
    evidence = _measure(name, want, got, actual.dtype, tolerance)
    return _judge(evidence, tolerance, tolerance.allowed(want))


def _flushed(values: Array) -> Array:
    """Take denormal numbers of float32 for 0, as much hardware does, and fp16 has to."""
    return np.where(np.abs(values) < DENORMAL, 0.0, values)


def _measure(
    name: str, want: Array, got: Array, dtype: np.dtype[Any], tolerance: Tolerance
) -> OutputParity:
    """Fill in every number of the evidence; the verdict comes after it."""
    if want.size == 0:
        return OutputParity(name, want.shape, str(dtype), 0.0, 0.0, 1.0, MAX_SQNR_DB, passed=True)
    error = np.abs(got - want)
    index = tuple(int(i) for i in np.unravel_index(int(error.argmax()), error.shape))
    worst, worst_sqnr = _worst_sample(want, got)
    nonzero = want != 0
    relative = error[nonzero] / np.abs(want[nonzero])
    return OutputParity(
        name=name,
        shape=want.shape,
        dtype=str(dtype),
        max_abs_error=float(error[index]),
        max_rel_error=float(relative.max()) if relative.size else 0.0,
        cosine=_cosine(want, got),
        sqnr_db=sqnr_db(want, got),
        passed=True,
        index=index,
        actual=float(got[index]),
        expected=float(want[index]),
        required_atol=float(max(0.0, (error - tolerance.rtol * np.abs(want)).max())),
        worst_sample=worst,
        worst_sample_sqnr_db=worst_sqnr,
        degenerate=_degenerate(want),
    )


def _judge(evidence: OutputParity, tolerance: Tolerance, allowed: float) -> OutputParity:
    atol, floor = tolerance.atol, tolerance.min_sqnr_db
    required = evidence.required_atol
    if atol is not None and required is not None and required > allowed:
        detail = (
            f"{evidence.actual:.6g} where {evidence.expected:.6g} is expected at {evidence.index}; "
            f"atol {required:.3g} would pass at rtol {tolerance.rtol:g}, {allowed:g} is allowed"
        )
        return dataclasses.replace(evidence, passed=False, failure="tolerance", detail=detail)
    # A signal of zeros has no ratio: where there is an atol, its elements were judged above.
    undefined = atol is not None and evidence.sqnr_db == -MAX_SQNR_DB
    if floor is not None and not undefined and (evidence.sqnr_db or 0.0) < floor:
        detail = f"SQNR {evidence.sqnr_db:.1f} dB where at least {floor:g} dB is expected"
        return dataclasses.replace(evidence, passed=False, failure="sqnr", detail=detail)
    return evidence


def sqnr_db(want: Array, got: Array) -> float:
    """Signal-to-quantisation-noise ratio, `10 log10(sum(want^2) / sum((want - got)^2))`, in dB.

    An exact match is `MAX_SQNR_DB`; noise on an all-zero signal is minus that.
    """
    signal, noise = float(np.square(want).sum()), float(np.square(want - got).sum())
    if noise == 0:
        return MAX_SQNR_DB
    if signal == 0:
        return -MAX_SQNR_DB
    return float(np.clip(10 * np.log10(signal / noise), -MAX_SQNR_DB, MAX_SQNR_DB))


def _cosine(want: Array, got: Array) -> float:
    norms = float(np.linalg.norm(want)) * float(np.linalg.norm(got))
    if norms == 0:
        return 1.0 if np.array_equal(want, got) else 0.0
    return float(np.dot(want.ravel(), got.ravel()) / norms)


def _worst_sample(want: Array, got: Array) -> tuple[int | None, float | None]:
    if want.ndim == 0:
        return None, None
    rows = [sqnr_db(w, g) for w, g in zip(want, got, strict=True)]
    worst = int(np.argmin(rows))
    return worst, rows[worst]


def _degenerate(want: Array) -> bool:
    """Whether the reference proves nothing: all zero, or the same for every sample."""
    if not want.any():
        return True
    return want.ndim > 0 and len(want) > 1 and bool((want == want[:1]).all())


def _compare_text(name: str, expected: Array, actual: Array) -> OutputParity:
    wrong = float((expected != actual).mean()) if expected.size else 0.0
    return OutputParity(
        name,
        expected.shape,
        "str",
        wrong,
        wrong,
        1 - wrong,
        MAX_SQNR_DB if wrong == 0 else -MAX_SQNR_DB,
        passed=wrong == 0,
        failure="tolerance" if wrong else None,
        detail=f"{wrong:.1%} of the strings differ" if wrong else None,
    )


def _refused(name: str, actual: Array | None, failure: str, detail: str) -> OutputParity:
    shape = () if actual is None else actual.shape
    dtype = "" if actual is None else str(actual.dtype)
    return OutputParity(
        name, shape, dtype, None, None, None, None, passed=False, failure=failure, detail=detail
    )
