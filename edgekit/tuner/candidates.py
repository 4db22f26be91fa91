"""The table of candidates: which recipes suit a provider, and what is tried of each.

Rows, in the order in which they are tried: what is likely to win comes first, as the time may end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit.quantizer.recipes import RECIPES, resolve
from edgekit.runtime.session import OPTIMIZATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.runtime.providers import Provider


@dataclass(frozen=True)
class Refinement:
    """Options of `quantize` that are tried on a recipe near the front.

    `kernels` says that other kernels run the result, so that its latency is another too.
    """

    options: tuple[tuple[str, Any], ...]
    kernels: bool = False


#: What is tried of a recipe whose ranges come from calibration.
REFINEMENTS = (
    Refinement((("method", "percentile"),)),
    Refinement((("method", "entropy"),)),
    Refinement((("correct_bias", True),)),
    Refinement((("equalize", True),)),
)


@dataclass(frozen=True)
class Space:
    """What a search may try.

    `recipes` are names in order, `refinements` what is tried of some of them, `excludable` those
    whose layers may be left in float. The first of `threads` and of `optimizations` is what files
    are compared at.
    """

    recipes: tuple[str, ...]
    refinements: dict[str, tuple[Refinement, ...]]
    excludable: tuple[str, ...]
    threads: tuple[int, ...] = (1,)
    optimizations: tuple[str, ...] = ("all",)


def space_for(
    provider: Provider,
    objective: str,
    *,
    recipes: Sequence[str] | None = None,
    threads: Sequence[int] = (1,),
) -> Space:
    """Give what to try on a provider: the recipes that suit it, or those that were named.

    Graph optimisations and thread counts are the CPU's own; a small file is worth having on any
    provider, so the objective `size` takes fp16 in too.
    """
    on_cpu = provider.alias == "cpu"
    if recipes is None:
        rows = [row for row in RECIPES.values() if _suits(row.precision, provider, objective)]
        # An NPU has no float to leave anything in; others are slower with everything in 8 bits.
        whole = provider.alias in ("qnn", "nnapi")
        names = [row.name for row in rows if row.whole == whole or row.precision != "int8"]
    else:
        names = [resolve(name).name for name in recipes]
    calibrated = [name for name in names if RECIPES[name].needs_calibration]
    return Space(
        recipes=tuple(names),
        refinements=dict.fromkeys(calibrated, REFINEMENTS),
        excludable=tuple(name for name in names if RECIPES[name].precision != "fp16"),
        threads=tuple(threads) if on_cpu else tuple(threads[:1]),
        optimizations=tuple(OPTIMIZATIONS) if on_cpu else ("all",),
    )


def _suits(precision: str, provider: Provider, objective: str) -> bool:
    return precision in provider.precisions or (objective == "size" and precision == "fp16")
