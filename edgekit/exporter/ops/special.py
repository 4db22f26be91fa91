"""Special functions: the error function's family and Bessel's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.exporter.ops.site import Site

#: Polynomials of erfinv(x) / x in w = -log(1 - x^2): M. Giles, "Approximating the erfinv function",
#: GPU Computing Gems 2, 2011; the first in w - 2.5 for w < 5, the second in sqrt(w) - 3.
CENTRE = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
    -0.00125372503, -0.00417768164, 0.246640727, 1.50140941,
)  # fmt: skip
TAILS = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
    -0.0076224613, 0.00943887047, 1.00167406, 2.83297682,
)  # fmt: skip
#: Abramowitz and Stegun 9.8.1 and 9.8.2: I0(x) for |x| < 3.75 in (x / 3.75)^2, and
#: sqrt(x) exp(-x) I0(x) beyond in 3.75 / x.
BESSEL_CENTRE = (0.0045813, 0.0360768, 0.2659732, 1.2067492, 3.0899424, 3.5156229, 1.0)
BESSEL_TAIL = (
    0.00392377, -0.01647633, 0.02635537, -0.02057706, 0.00916281,
    -0.00157565, 0.00225319, 0.01328592, 0.39894228,
)  # fmt: skip


def erf(at: Site, x: str) -> Any:
    """Erf has a float32 kernel only; its float64 is as good as that."""
    return at.op("Erf", at.cast(x, np.float32) if at.dtype(x) == np.float64 else x)


def erfc(at: Site, x: str) -> Any:
    """`erfc(x) = 1 - erf(x)`, and `1 + erf(x)` of a negated x: every exact GELU is written so."""
    kind, (inner, *_) = "Sub", [x]
    if at.producer(x)[0] == "Neg":
        inner, kind = at.producer(x)[1][0], "Add"
    made = at.cast(erf(at, inner), at.dtype(x))
    return at.op(kind, at.number(1, x), made)


def erfinv(at: Site, x: str) -> Any:
    """Two polynomials of the logarithm, and the sign's infinity at -1 and 1."""
    w = at.op("Neg", at.op("Log", _product(at, x)))
    centre = _polynomial(at, at.op("Sub", w, at.number(2.5, x)), CENTRE)
    tails = _polynomial(at, at.op("Sub", at.op("Sqrt", w), at.number(3, x)), TAILS)
    inner = at.op("Mul", at.op("Where", at.op("Less", w, at.number(5, x)), centre, tails), x)
    end = at.op("Equal", at.op("Abs", x), at.number(1, x))
    return at.op("Where", end, at.op("Mul", x, at.number(np.inf, x)), inner)


def _product(at: Site, x: str) -> Any:
    """(1 - x)(1 + x), exact near the ends where 1 - x^2 is not."""
    return at.op("Mul", at.op("Sub", at.number(1, x), x), at.op("Add", at.number(1, x), x))


def bessel_i0(at: Site, x: str) -> Any:
    """The modified Bessel function of order zero."""
    size = at.op("Abs", x)
    edge = at.number(3.75, x)
    small = at.op("Div", at.op("Min", size, edge), edge)
    centre = _polynomial(at, at.op("Mul", small, small), BESSEL_CENTRE)
    large = at.op("Max", size, edge)
    scaled = _polynomial(at, at.op("Div", edge, large), BESSEL_TAIL)
    tail = at.op("Div", at.op("Mul", scaled, at.op("Exp", large)), at.op("Sqrt", large))
    return at.op("Where", at.op("Less", size, edge), centre, tail)


def _polynomial(at: Site, x: str, factors: Sequence[float]) -> Any:
    """Horner's rule, the highest power first."""
    made: Any = at.number(factors[0], x)
    for factor in factors[1:]:
        made = at.op("Add", at.op("Mul", made, x), at.number(factor, x))
    return made
