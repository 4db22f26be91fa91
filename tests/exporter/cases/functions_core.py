"""`keras.ops.core`, `math` and `linalg`: control flow, scattering, transforms, decompositions."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.exporter.cases.apply import each, floats, ops, over, row


def _step(carry: Any, x: Any) -> Any:
    return carry + x, carry * x


PLACES: Any = np.array([[0, 1], [3, 2], [1, 1]])

CORE = (
    row(
        "cast",
        lambda x, i, n: (
            ops.cast(x, "int32"),
            ops.cast(i, "bool"),
            ops.cast(x, "float16"),
            ops.cast(i, "uint8"),
        ),
    ),
    row(
        "saturate_cast",
        lambda i, x: (ops.saturate_cast(100 * i, "int8"), ops.saturate_cast(100 * x, "uint8")),
    ),
    row("convert_to_tensor", lambda x: x + ops.convert_to_tensor([1.0, 2.0, 3.0])),
    row("dtype", lambda x, i: x if ops.dtype(i) == "int32" else -x),
    row("is_tensor", lambda x: x if ops.is_tensor(x) else -x),
    row(
        "shape",
        lambda free: (
            ops.reshape(free, (-1, ops.shape(free)[1] * 4)),
            ops.shape(free)[1] + 0 * ops.cast(free, "int32"),
        ),
    ),
    row("stop_gradient", lambda x: ops.stop_gradient(x)),
    row("custom_gradient", lambda x: ops.custom_gradient(lambda z: (z * 2, lambda g: g))(x)),
    row(
        "jvp",
        lambda x, y: ops.jvp(lambda z: ops.sin(z) * z, (x,), (y,)),
        refused="BroadcastGradientArgs",
    ),
    row("cond", lambda x, y: ops.cond(ops.sum(x[:, 0, 0]) > 0, lambda: x + y, lambda: x * y)),
    row(
        "cond",
        lambda x: ops.cond(
            ops.max(x) > 1, lambda: (x, ops.sum(x)), lambda: (ops.relu(x), ops.mean(x))
        ),
        "several",
    ),
    row(
        "cond",
        lambda x, y: ops.cond(
            ops.sum(x) > 0, lambda: ops.cond(ops.sum(y) > 0, lambda: x, lambda: y), lambda: x - y
        ),
        "nested",
    ),
    row(
        "switch",
        lambda x, y, ids: ops.switch(
            ids[0], [lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b], x, y
        ),
    ),
    row(
        "while_loop",
        lambda x: ops.while_loop(lambda i, v: i < 3, lambda i, v: (i + 1, v * 2 + x), (0, x)),
    ),
    row(
        "while_loop",
        lambda x: ops.while_loop(
            lambda v: ops.sum(v * v) < 1e3, lambda v: (v * 2 + 0.1,), (x,), maximum_iterations=8
        ),
        "data",
    ),
    row(
        "fori_loop",
        lambda x, u: ops.fori_loop(0, 4, lambda i, v: v * u + ops.cast(i, "float32"), x),
    ),
    row("map", lambda x, y: ops.map(lambda v: ops.sum(v[0]) * v[1], (x, y))),
    row(
        "vectorized_map",
        lambda x, y: ops.vectorized_map(lambda v: ops.matmul(v[0], ops.transpose(v[1])), (x, y)),
    ),
    row("scan", lambda x: ops.scan(_step, ops.zeros((3,)), xs=ops.transpose(x, (1, 0, 2))[:, 0])),
    row(
        "scan",
        lambda free: ops.scan(
            _step, ops.zeros_like(free[:, 0]), xs=ops.transpose(free, (1, 0, 2)), reverse=True
        ),
        "free",
    ),
    row(
        "associative_scan",
        lambda x: ops.associative_scan(lambda a, b: a + b, x, axis=1),
        symbolic=True,
    ),
    row(
        "associative_scan",
        lambda x, u: ops.associative_scan(
            lambda a, b: (a[0] * b[0], b[0] * a[1] + b[1]), (u, x), reverse=True, axis=1
        ),
        "pair",
        symbolic=True,
    ),
    row("scatter", lambda vector: ops.scatter(PLACES, vector[0] * ops.ones(3), (4, 3))),
    row("scatter", lambda x: ops.scatter(np.array([[1], [1], [0]]), x[0, :3], (2, 3)), "sums"),
    row(
        "scatter_update",
        lambda matrix: ops.scatter_update(matrix[0], PLACES, floats(1, 2, 3)),
    ),
    row(
        "scatter_update",
        lambda matrix: [
            ops.scatter_update(
                matrix[0],
                ops.convert_to_tensor([[0, 1], [3, 2], [0, 1]]),
                ops.convert_to_tensor([1.0, 2.0, 3.0]),
                r,
            )
            for r in ("add", "max", "min", "mul")
        ],
        "reduction",
    ),
    row(
        "slice",
        lambda image: (
            ops.slice(image, (0, 1, 2, 0), (1, 3, 4, 2)),
            ops.slice(image, [0, 1, 0, 0], [ops.shape(image)[0], 2, 8, 3]),
        ),
    ),
    row(
        "slice_update",
        lambda image: ops.slice_update(image, (0, 1, 2, 0), np.ones((1, 2, 3, 3), "float32")),
    ),
    row(
        "slice_update",
        lambda image, ids: ops.slice_update(image, (0, ids[0], 0, 0), image[:, :2]),
        "place from data",
    ),
    row("unstack", lambda x: ops.unstack(x, axis=1)),
)

MATH = (
    *over("erf", "x", "d", "n"),
    *over("erfc", "x", "d"),
    row("erfinv", lambda u: ops.erfinv(1.999 * u - 0.9995), "tails"),
    *over("rsqrt", "u", "v"),
    row(
        "logsumexp",
        lambda x, n: (
            ops.logsumexp(x),
            ops.logsumexp(100 * x, axis=1),
            ops.logsumexp(x, axis=(0, -1), keepdims=True),
        ),
    ),
    *each(
        "segment_sum,segment_max,segment_min,segment_prod",
        lambda f, pair, ids: (
            f(pair, ids, num_segments=4)
            if f is ops.segment_sum
            else ops.clip(f(pair, ids, num_segments=4), -1e3, 1e3)
        ),
    ),
    *each(
        "segment_sum,segment_max,segment_min,segment_prod",
        lambda f, x, ids: f(x, ops.sort(ids % 1), sorted=True),
        "sorted",
    ),
    *each(
        "segment_sum,segment_max,segment_min,segment_prod",
        lambda f, x, ids: f(x, ids % 1),
        "count from data",
    ),
    row("top_k", lambda x, i: (*ops.top_k(x, 2), *ops.top_k(i, 3))),
    row("top_k", lambda x: ops.top_k(x, 2, sorted=False)[0], "unsorted"),
    row(
        "in_top_k",
        lambda ids, pair, matrix: (
            ops.in_top_k(ids % 2, pair, 1),
            ops.in_top_k(ids, matrix[:, 0], 2),
            ops.in_top_k(ids, ops.zeros_like(matrix[:, 0]), 2),
        ),
    ),
    row("cdist", lambda x, y: ops.cdist(x, y)),
    row("fft", lambda x, y: ops.fft((x, y))),
    row(
        "fft",
        lambda free: (
            *ops.fft((free, free)),
            *ops.fft((ops.swapaxes(free, 1, 2), ops.zeros_like(ops.swapaxes(free, 1, 2)))),
        ),
        "free",
    ),
    row("fft2", lambda x, y: (*ops.fft2((x, y)), ops.fft2((x, ops.zeros_like(x)))[0])),
    row("fft2", lambda free: ops.fft2((free, ops.zeros_like(free)))[0], "free"),
    row("ifft2", lambda x, y: ops.ifft2((x, y))),
    row("rfft", lambda signal, x: (*ops.rfft(signal), *ops.rfft(x, 5), *ops.rfft(signal, 16))),
    row("rfft", lambda signal: ops.rfft(ops.tile(signal, (1, 64))), "2048"),
    row("rfft", lambda free: ops.rfft(ops.swapaxes(free, 1, 2), 6), "free"),
    row("rfft", lambda signal: ops.rfft(ops.tile(signal, (1, 45))), "1440"),
    row("irfft", lambda x, y: (ops.irfft((x, y)), ops.irfft((x, y), 5), ops.irfft((x, y), 3))),
    row("stft", lambda signal: ops.stft(signal, 8, 4, 8)),
    row(
        "stft",
        lambda signal: (
            *ops.stft(signal, 6, 3, 8, "hamming", False),
            *ops.stft(signal, 8, 5, 9, None),
        ),
        "window",
    ),
    row("istft", lambda signal: ops.istft(ops.stft(signal, 8, 4, 8), 8, 4, 8)),
    row(
        "istft",
        lambda signal: ops.istft(ops.stft(signal, 6, 2, 8), 6, 2, 8, length=20, window="hamming"),
        "length",
    ),
    row("view_as_complex", lambda pair: ops.view_as_complex(pair), refused="omplex"),
    row("view_as_real", lambda pair: ops.view_as_real(ops.view_as_complex(pair)), refused="Real"),
)

LINALG = (
    row(
        "logdet",
        lambda matrix: ops.logdet(ops.matmul(matrix, ops.swapaxes(matrix, 1, 2))),
        refused="Cholesky",
    ),
    row("slogdet", lambda matrix: ops.slogdet(matrix), refused="LogMatrixDeterminant"),
    row("det", lambda matrix: (ops.det(matrix), ops.det(matrix[0, :2, :2]))),
    *each(
        "norm",
        lambda f, x, pair: (
            f(pair),
            f(x, axis=1),
            f(x, 1, axis=-1, keepdims=True),
            f(x, np.inf, axis=1),
            f(x, 3, axis=2),
            f(pair[:, 0]),
        ),
    ),
    *each(
        "norm",
        lambda f, x: (
            f(x, "fro", axis=(1, 2)),
            f(x, 1, axis=(1, 2)),
            f(x, -np.inf, axis=(1, 2)),
            f(x, 0, axis=1),
        ),
        "matrix",
    ),
    row("norm", lambda x: ops.norm(x, "nuc", axis=(1, 2)), "nuclear", refused="Svd"),
    row("inv", lambda matrix: ops.inv(matrix), refused="MatrixInverse"),
    row("pinv", lambda matrix: ops.pinv(matrix), refused="Svd"),
    row("solve", lambda matrix, x: ops.solve(matrix, x), refused="MatrixSolve"),
    row(
        "solve_triangular",
        lambda matrix, x: ops.solve_triangular(matrix, x, lower=True),
        refused="MatrixTriangularSolve",
    ),
    row(
        "cholesky",
        lambda matrix: ops.cholesky(ops.matmul(matrix, ops.swapaxes(matrix, 1, 2))),
        refused="Cholesky",
    ),
    row(
        "cholesky_inverse",
        lambda matrix: ops.cholesky_inverse(matrix),
        refused="MatrixTriangularSolve",
    ),
    row("qr", lambda matrix: ops.qr(matrix), refused="Qr"),
    row("svd", lambda matrix: ops.svd(matrix), refused="Svd"),
    row("eig", lambda matrix: ops.eig(matrix), refused="Eig"),
    row("eigh", lambda matrix: ops.eigh(matrix), refused="SelfAdjointEigV2"),
    row("lu_factor", lambda matrix: ops.lu_factor(matrix[0]), refused="Lu"),
    row("lstsq", lambda matrix: ops.lstsq(matrix[0], matrix[0, :, :2]), refused="Svd"),
    row("matrix_rank", lambda matrix: ops.matrix_rank(matrix), refused="Svd"),
)

CASES = (*CORE, *MATH, *LINALG)
