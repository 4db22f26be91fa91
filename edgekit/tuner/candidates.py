"""The table of candidates: which recipes suit a provider, and what is tried of each.

Rows, in the order in which they are tried: what is likely to win comes first, as the time may end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgekit.quantizer.recipes import RECIPES, recipes_for, resolve
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


FP16 = RECIPES["fp16"]


@dataclass(frozen=True)
class Space:
    """What a search may try.

    `recipes` are names in order, `options` what goes with one wherever it is tried, such as its
    form, `refinements` what is tried of some of them, `excludable` those whose layers may be left
    in float. The first of `threads` and of `optimizations` is what files are compared at.
    """

    recipes: tuple[str, ...]
    refinements: dict[str, tuple[Refinement, ...]]
    excludable: tuple[str, ...]
    options: dict[str, tuple[tuple[str, Any], ...]] = field(default_factory=dict)
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

    `mixed` is what layers left in float make of static-int8, and has no row of its own. Graph
    optimisations and thread counts are the CPU's own; a small file is worth having on any
    provider, so the objective `size` takes fp16 in too.
    """
    suited = recipes_for(provider.alias)
    forms: dict[str, tuple[tuple[str, Any], ...]] = {
        row.name: (("form", form),) for row, form in suited if form is not None
    }
    if recipes is not None:
        rows = [resolve(name) for name in recipes]
    else:
        rows = [row for row, _ in suited if not row.needs_exclusions]
        if objective == "size" and FP16 not in rows:
            rows.append(FP16)
    on_cpu = provider.alias == "cpu"
    return Space(
        recipes=tuple(row.name for row in rows),
        refinements={row.name: REFINEMENTS for row in rows if row.needs_calibration},
        # An NPU has no float to leave anything in, and fp16 is float already.
        excludable=tuple(row.name for row in rows if row.tool not in ("npu", "fp16")),
        options=forms,
        threads=tuple(threads) if on_cpu else tuple(threads[:1]),
        optimizations=tuple(OPTIMIZATIONS) if on_cpu else ("all",),
    )
