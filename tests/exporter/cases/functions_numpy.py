"""`keras.ops.numpy`: elementwise functions, reductions, and what moves, makes or counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.exporter.cases.apply import both, each, ops, over, row, seen

TABLE: Any = np.array([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]], np.float32)
METHODS = ("lower", "midpoint", "nearest")
EDGES: Any = np.array([-2.0, -0.5, 0.5, 1.5], np.float32)

ELEMENTWISE = (
    *over("abs,absolute sign,square,negative", "x", "i", "h", "d", "long", "n", "s8"),
    *over("ceil,floor round,trunc", "x", "i", "d", "n"),
    *over("exp,expm1,tanh sin,cos,cbrt", "x", "i", "d"),
    *over("exp2,sinh,cosh tan,arctan,arcsinh", "x", "i"),
    *over("tan arctan", "v", mode="float64", refused="float64"),
    *over("deg2rad,rad2deg,sinc", "x", "d"),
    *over("log,log1p,log2,log10 sqrt,reciprocal", "u", "v", "n"),
    *over("arcsin,arccos,arctanh", "u", "n"),
    row("arccosh", lambda u: ops.arccosh(1 + 3 * u)),
    *over("isnan,isinf,isfinite,isneginf,isposinf", "n", "h"),
    *over("isreal", "x", "i", "b"),
    *over("signbit", "n", "x", "i"),
    *over("conj,conjugate,real,imag,angle", "x"),
    *over("logical_not", "b", "x", "i"),
    *over("bitwise_not,bitwise_invert", "i", "u8", "long"),
    *over("fabs", "x", "i"),
    *over("i0", "x"),
    *over("copy,ravel,ones_like,zeros_like", "x", "i", "b"),
    *over("add subtract multiply", "x y", "i j", "x i", "d d", "h h", "u8 t8", "long long", "n x"),
    *over("maximum,minimum fmax,fmin", "x y", "i j", "n y", "y n", "long i", "u8 t8"),
    *over("divide,true_divide", "x u", "d v"),
    *over("divide_no_nan", "x y", "i j"),
    *both("floor_divide mod", lambda x, u: (x, u - 2), lambda i, j: (i, 2 * j + 1)),
    *both("fmod", lambda x, u: (x, u - 2), lambda i, j: (i, 2 * j + 1)),
    *both("floor_divide mod", lambda long, j: (long, 2 * j + 1), lambda u8: (u8, 7), mode="types"),
    *both("power", lambda u, y: (4 * u, y), lambda i, k: (i, k), lambda v, d: (v, d)),
    *both("power", lambda x: (x, 2), lambda j: (2.0, j), mode="numbers"),
    *over("arctan2,hypot logaddexp,logaddexp2 heaviside", "x y", "i j"),
    *over("ldexp", "x j"),
    *over("gcd lcm", "i j", "long j", symbolic=True),
    *over("equal,not_equal greater,greater_equal,less,less_equal", "x y", "i j", "n x", "long i"),
    *over("logical_and,logical_or,logical_xor", "b c", "i j", "x y"),
    *over("bitwise_and,bitwise_or,bitwise_xor", "i j", "u8 t8", "long i"),
    *over("left_shift,bitwise_left_shift right_shift,bitwise_right_shift", "i k", "long k"),
    *both("right_shift,left_shift", lambda u8: (u8, 3), lambda s8: (s8, 2), mode="types"),
    *over("isclose", "x y", "n x", "n n"),
    row(
        "isclose",
        lambda x, y, n: (ops.isclose(x, y, 0.5, 0.1), ops.isclose(n, n, equal_nan=True)),
        "tolerance",
    ),
    *over("nextafter", "x y", refused="NextAfter"),
    row("round", lambda x, i: (ops.round(x * 1.2345, 2), ops.round(i, -1)), "decimals"),
    row("clip", lambda x, i, n: (ops.clip(x, -1, 1), ops.clip(i, -3, 4), *seen(ops.clip(n, 0, 2)))),
    row("nan_to_num", lambda n: ops.nan_to_num(n, nan=2.0, posinf=5.0, neginf=-6.0), "given"),
    row("nan_to_num", lambda i, n: (ops.nan_to_num(i), ops.nan_to_num(n) / 1e30)),
    row("allclose", lambda x, u: (ops.allclose(x, x + 1e-7), ops.allclose(x, u))),
    row("where", lambda b, x, i, j: (ops.where(b, x, 0.0), ops.where(b, i, j), ops.where(b, x, i))),
    row("select", lambda b, c, x, y: ops.select([b, c], [x, y], 7.0)),
    row(
        "isin",
        lambda i, x: (ops.isin(i, [1, 4, -3]), ops.isin(x, [0.5, -2.5], invert=True)),
        symbolic=True,
    ),
)

REDUCTIONS = (
    *over("all,any", "b", "x", "i"),
    *over("max,min amax,amin", "x", "i", "n", "s8", "u8", "d", "long"),
    *over("sum,prod", "x", "j", "b", "u", "v"),
    *over("mean,std,var", "x", "i", "d", "b"),
    *over("argmax,argmin", "x", "i", "u8", "b"),
    *over("count_nonzero", "x", "i", "b", "n"),
    *over("median ptp average", "x", "i"),
    *over("nanmax,nanmin,nansum,nanmean nanprod,nanstd,nanvar", "z", "i"),
    row("nanmedian", lambda z: (ops.nanmedian(z), ops.nanmedian(z, 1)), symbolic=True),
    *over("nanargmax,nanargmin nancumsum,nancumprod", "z", "x"),
    *over("cumsum,cumprod", "x", "j"),
    *each(
        "all,any max,min sum,prod,mean std,var,median",
        lambda f, x, i: (f(x, axis=1), f(x, axis=(0, 2), keepdims=True), f(i, axis=-1)),
        "axis",
    ),
    *each(
        "nanmax,nanmin,nansum,nanmean nanprod,nanstd,nanvar",
        lambda f, x: (f(x, axis=1), f(x, axis=(0, 2), keepdims=True)),
        "axis",
    ),
    *each(
        "argmax,argmin nanargmax,nanargmin",
        lambda f, x, i: (f(x, axis=1), f(x, axis=-1, keepdims=True), f(i, axis=0)),
        "axis",
    ),
    *each("cumsum,cumprod,nancumsum,nancumprod", lambda f, x: (f(x, axis=1), f(x, axis=0)), "axis"),
    *each("count_nonzero,ptp", lambda f, x, i: (f(x, axis=1), f(i, axis=(0, 2))), "axis"),
    row("average", lambda x: ops.average(x, -1, TABLE[0]), "weights", symbolic=True),
    row("max", lambda x: ops.max(x, axis=1, initial=2.0), "initial"),
    row("quantile", lambda x: (ops.quantile(x, 0.3), ops.quantile(x, [0.1, 0.5], axis=1))),
    row("quantile", lambda x: [ops.quantile(x, 0.3, 1, m) for m in METHODS], "method"),
    row("percentile", lambda x: (ops.percentile(x, 30.0), ops.percentile(x, [10.0, 50.0], axis=1))),
    row("nanquantile", lambda z: [ops.nanquantile(z, 0.3, 1, m) for m in METHODS], symbolic=True),
    row("nanpercentile", lambda z: ops.nanpercentile(z, [10.0, 50.0], axis=1), symbolic=True),
    row("diff", lambda x, i: (ops.diff(x), ops.diff(x, 2, axis=1), ops.diff(i, axis=0))),
    row("trapezoid", lambda x, u: (ops.trapezoid(x), ops.trapezoid(x, u, axis=1))),
    row("corrcoef", lambda pair: ops.corrcoef(ops.transpose(pair)), symbolic=True),
    row(
        "correlate", lambda vector: [ops.correlate(vector, EDGES[:3], m) for m in ("valid", "full")]
    ),
    row("correlate", lambda vector: ops.correlate(vector, EDGES, "same"), "same"),
    row("bincount", lambda ids: (ops.bincount(ids), ops.bincount(ids, minlength=6))),
    row(
        "bincount",
        lambda ids, index, u: (ops.bincount(index), ops.bincount(ids, u[:, 0, 0])),
        "rows",
    ),
    row("histogram", lambda vector: ops.histogram(vector, 4)),
    row("histogram", lambda vector: ops.histogram(vector, 5, (-1.5, 2.0)), "range"),
)

PRODUCTS = (
    row(
        "matmul",
        lambda x, matrix, i, j: (ops.matmul(matrix, x), ops.matmul(i, ops.swapaxes(j, 1, 2))),
    ),
    row(
        "matmul",
        lambda x, pair: (ops.matmul(x, TABLE[0]), ops.matmul(pair[:, 0], pair[:, 1])),
        "vector",
    ),
    row(
        "matmul",
        lambda s8, u8: ops.matmul(s8, ops.transpose(ops.cast(s8, "int8"), (0, 2, 1))),
        "int8",
    ),
    row("dot", lambda x: (ops.dot(x, TABLE.T), ops.dot(x[:, 0, 0], x[:, 0, 1]), ops.dot(x, 3.0))),
    row("inner", lambda x: (ops.inner(x, TABLE), ops.inner(x[:, 0, 0], x[:, 0, 1])), symbolic=True),
    row("outer", lambda pair: (ops.outer(pair, EDGES), ops.outer(pair[:, 0], pair))),
    row("vdot", lambda x, y: ops.vdot(x, y)),
    row("tensordot", lambda x, y: (ops.tensordot(x, TABLE, [[2], [1]]), ops.tensordot(x, y, 3))),
    row("kron", lambda matrix: ops.kron(matrix[0], TABLE), symbolic=True),
    row(
        "cross", lambda x, y, pair: (ops.cross(x, y), ops.cross(x, TABLE[0]), ops.cross(pair, pair))
    ),
    row("einsum", lambda x, y: (ops.einsum("btc,buc->btu", x, y), ops.einsum("btc->bc", x))),
    row(
        "einsum",
        lambda x, y: (ops.einsum("...c,dc->...d", x, TABLE), ops.einsum("btc,btc->", x, y)),
        "dots",
    ),
    row(
        "einsum",
        lambda matrix, i: (ops.einsum("bii->bi", matrix), ops.einsum("btc,bsc->bts", i, i)),
        "diagonal",
    ),
    row("vander", lambda vector: (ops.vander(vector, 4), ops.vander(vector, 3, increasing=True))),
)

MOVING = (
    row("append", lambda x, y: (ops.append(x, y), ops.append(x, y, axis=1))),
    row("array_split", lambda x: ops.array_split(x, 3, axis=1)),
    row("split", lambda x: (*ops.split(x, 2, axis=1), *ops.split(x, [1, 3], axis=1))),
    *each(
        "vsplit,hsplit,dsplit",
        lambda f, image: f(image if f is ops.dsplit else ops.transpose(image, (1, 2, 0, 3)), 2),
    ),
    *each("hstack,vstack,dstack stack,concatenate", lambda f, x, y: f([x, y])),
    row("stack", lambda x, i: (ops.stack([x, x], axis=-1), ops.stack([i, i, i], axis=1)), "axis"),
    row(
        "concatenate",
        lambda x, i: (ops.concatenate([x, i], axis=1), ops.concatenate([i, i], -1)),
        "axis",
    ),
    row("broadcast_to", lambda pair: ops.broadcast_to(pair, (4, *ops.shape(pair)))),
    row(
        "diag",
        lambda pair, matrix: (
            ops.diag(pair[:, 0]),
            ops.diag(pair[:, 1], 1),
            ops.diag(matrix[0], -1),
        ),
    ),
    row("diagflat", lambda pair: (ops.diagflat(pair), ops.diagflat(pair, k=-2))),
    row(
        "diagonal", lambda x: (ops.diagonal(x), ops.diagonal(x, 1, 1, 2), ops.diagonal(x, -1, 1, 2))
    ),
    row(
        "trace", lambda matrix, x: (ops.trace(matrix, 0, 1, 2), ops.trace(x, 1, 1, 2), ops.trace(x))
    ),
    row("tril", lambda matrix, i: (ops.tril(matrix), ops.tril(i, 1), ops.tril(matrix, -1))),
    row("triu", lambda matrix, b: (ops.triu(matrix), ops.triu(matrix, 1), ops.triu(b, -2))),
    row("expand_dims", lambda x: (ops.expand_dims(x, 1), ops.expand_dims(x, (0, -1)))),
    row(
        "squeeze",
        lambda x: (ops.squeeze(x[:, :1], axis=1), ops.squeeze(x[:, :1, :1], axis=(1, -1))),
    ),
    row("flip", lambda x, i: (ops.flip(x), ops.flip(x, 1), ops.flip(i, (0, 2)))),
    *each("fliplr,flipud", lambda f, x, b: (f(x), f(b))),
    row(
        "roll", lambda x, i: (ops.roll(x, 2), ops.roll(x, -1, axis=1), ops.roll(i, (1, 2), (0, 2)))
    ),
    row("rot90", lambda x: (ops.rot90(x), ops.rot90(x, 2, (1, 2)), ops.rot90(x, -1, (2, 1)))),
    row(
        "moveaxis", lambda image: (ops.moveaxis(image, -1, 1), ops.moveaxis(image, (1, 2), (2, 0)))
    ),
    row("swapaxes", lambda image: ops.swapaxes(image, 1, -1)),
    row("transpose", lambda image: (ops.transpose(image), ops.transpose(image, (0, 3, 1, 2)))),
    row(
        "reshape",
        lambda x, free: (
            ops.reshape(x, (-1, 6)),
            ops.reshape(free, (-1, ops.shape(free)[1], 2, 2)),
        ),
    ),
    row("rearrange", lambda image: ops.rearrange(image, "b (h p) w c -> b h w (p c)", p=2)),
    row(
        "repeat",
        lambda x: (ops.repeat(x, 2), ops.repeat(x, 3, axis=1), ops.repeat(x, [1, 0, 2, 1], axis=1)),
    ),
    row("tile", lambda x: (ops.tile(x, 2), ops.tile(x, (2, 1, 3)))),
    row(
        "pad",
        lambda x, i: (
            ops.pad(x, ((0, 0), (1, 2), (0, 1)), constant_values=3.0),
            ops.pad(i, ((1, 0), (1, 1), (0, 0))),
        ),
    ),
    row(
        "pad",
        lambda x: [ops.pad(x, ((0, 0), (1, 2), (2, 0)), m) for m in ("reflect", "symmetric")],
        "mirror",
    ),
    row(
        "take",
        lambda x, index: (
            ops.take(x, index, axis=1),
            ops.take(x, [-1, 0], axis=2),
            ops.take(x, [5, -2]),
        ),
    ),
    row(
        "take_along_axis",
        lambda x, i, k: (
            ops.take_along_axis(x, k % 3, axis=2),
            ops.take_along_axis(x, -1 - k % 4, 1),
        ),
    ),
    row("get_item", lambda x: (x[:, 1:-1:2], ops.get_item(x, (Ellipsis, None, -1)), x[:, ::-1])),
    row(
        "sort",
        lambda x, i, h: (
            ops.sort(x),
            ops.sort(i, axis=1),
            ops.sort(h, axis=0),
            ops.sort(x, axis=None),
        ),
    ),
    row(
        "argsort", lambda x, i: (ops.argsort(x), ops.argsort(i, axis=1), ops.argsort(x, axis=None))
    ),
    row(
        "argpartition",
        lambda vector: ops.argpartition(
            ops.arange(0, 24, 4) * 5 % 7 + ops.cast(0 * ops.sum(vector), "int32"), 2
        ),
    ),
    row(
        "searchsorted",
        lambda vector: (ops.searchsorted(EDGES, vector), ops.searchsorted(EDGES, vector, "right")),
    ),
    row("searchsorted", lambda vector: ops.searchsorted(ops.sort(vector), EDGES), "sorted inside"),
    row("digitize", lambda x, i: (ops.digitize(x, EDGES), ops.digitize(i, [-3, 0, 2]))),
    row("unravel_index", lambda k: ops.unravel_index(k, (2, 3)), symbolic=True),
    row(
        "meshgrid",
        lambda vector: (*ops.meshgrid(vector, EDGES), *ops.meshgrid(EDGES, vector, indexing="ij")),
    ),
    row("nonzero", lambda x, i: (*ops.nonzero(x), *ops.nonzero(i))),
    row("unique", lambda i: ops.unique(i)),
    row(
        "unique",
        lambda vector: ops.unique(
            vector, return_index=True, return_inverse=True, return_counts=True
        ),
        "all",
    ),
    row("unique", lambda i: ops.unique(i, size=4, fill_value=-1), "size"),
    row("view", lambda x, i: (ops.view(x, "int32"), ops.view(i, "float32") * 0), refused="Bitcast"),
    row("view", lambda u8: ops.view(u8, "int8"), "bytes", refused="Bitcast"),
)

MAKING = (
    row(
        "arange",
        lambda x: (
            ops.arange(3.0) + x[0, 0, 0],
            ops.arange(ops.shape(x)[0]),
            ops.arange(1.0, 7.0, 2.5),
        ),
    ),
    row("array", lambda x: x + ops.array([1.0, 2.0, 3.0])),
    row(
        "linspace",
        lambda x: (x[..., :1] * ops.linspace(0.0, 1.0, 5), ops.linspace(x, 2.0, 4, axis=1)),
    ),
    row("linspace", lambda x, y: ops.linspace(x, y, 3, endpoint=False), "open"),
    row("logspace", lambda x: (x[..., :1] * ops.logspace(0.0, 2.0, 5), ops.logspace(x, 1.0, 3))),
    row("geomspace", lambda u: ops.geomspace(u, 2.0, 4)),
    row("eye", lambda x: ops.eye(4, 3, k=-1) + x),
    row("identity", lambda matrix: ops.identity(4) + matrix),
    row("tri", lambda x: ops.tri(4, 3, k=1) + x),
    *each("zeros,ones", lambda f, x: (f(ops.shape(x)), f((4, 3), "int32") + ops.cast(x, "int32"))),
    *each("empty", lambda f, x: ops.zeros_like(f(ops.shape(x)))),
    *each("empty_like", lambda f, x: 0 * ops.ones_like(f(x))),
    row("full", lambda x: (ops.full(ops.shape(x), 2.5), ops.full((3,), x[0, 0, 0]))),
    row("full_like", lambda x, i: (ops.full_like(x, 2.5), ops.full_like(i, 7))),
    *each(
        "bartlett,blackman,hamming,hanning", lambda f, line: line * f(12)[:, None], symbolic=True
    ),
    row("kaiser", lambda line: line * ops.kaiser(12, 4.0)[:, None]),
    row("ndim", lambda x: x * ops.ndim(x)),
    row("size", lambda x: ops.cast(ops.size(x), "float32") * x),
)

CASES = (*ELEMENTWISE, *REDUCTIONS, *PRODUCTS, *MOVING, *MAKING)
