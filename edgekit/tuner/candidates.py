"""The table of candidates: which recipes suit a provider, and what is tried of each.

Rows, in the order in which they are tried: what is likely to win comes first, as the time may end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit.quantizer.recipes import RECIPES, Recipe, resolve
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


NPUS = ("qnn", "nnapi")


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
        names = [name for name, row in RECIPES.items() if _suits(row, provider, objective)]
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


def _suits(recipe: Recipe, provider: Provider, objective: str) -> bool:
    """Tell whether a recipe is worth trying there. `mixed` is what excluded layers make."""
    if recipe.needs_exclusions:
        return False
    if recipe.precision == "fp16":
        return "fp16" in provider.precisions or objective == "size"
    # An NPU has no float to leave anything in; others are slower with everything in 8 bits.
    return "int8" in provider.precisions and (recipe.tool == "npu") == (provider.alias in NPUS)
