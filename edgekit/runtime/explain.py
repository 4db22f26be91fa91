"""A closer look at a placement, on request or where a strict session does not open.

It opens the model once more, with the CPU for what the providers cannot run and a profile, and runs
it: types and times are known only then. Nothing here is on the way of a run that succeeds.
"""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from edgekit.errors import EdgekitError, ModelError, ProviderError
from edgekit.runtime import providers
from edgekit.runtime.placement import (
    Placement,
    Profile,
    Unplaced,
    listing,
    read_profile,
    unplaced_nodes,
)
from edgekit.runtime.session import (
    Plan,
    engine_errors,
    left_out,
    left_out_error,
    model_file,
    open_session,
    plan_session,
    profiled_session,
    read_signature,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgekit.bundle import Bundle
    from edgekit.runtime.runner import Runner, RunOptions
    from edgekit.signature import Feeds

#: Runs that a profile of times covers, after one that is left out.
RUNS = 5


def placement_error(plan: Plan, axes: Mapping[str, int] | None) -> ProviderError:
    """Say which nodes of a strict plan would run on the CPU, why, and what to do."""
    open_to_cpu = replace(plan, rows=(*plan.rows, providers.PROVIDERS["cpu"]))
    left: tuple[Unplaced, ...] = ()
    count = 0
    free: tuple[str, ...] = ()
    with contextlib.suppress(ModelError):
        session, profile = _sampled(open_to_cpu, axes)
        for row in left_out(session, plan):
            return left_out_error(plan, row)
        left = unplaced_nodes(session, open_to_cpu.rows, profile.types)
        parts = session.get_provider_graph_assignment_info() if left else ()
        count = sum(len(part.get_nodes()) for part in parts)
        free = read_signature(session, plan.path).free_axes
    asked = ",".join(row.alias for row in plan.rows)
    share = f"{len(left)} of its {count} nodes" if left else "some of its nodes"
    which = f": {listing(left)}" if left else ""
    return ProviderError(
        f"The provider {asked!r} cannot run all of {str(plan.path)!r}, {share} would run on the "
        f"cpu{which}",
        _advice(plan, left, free),
        step="placement",
    )


def _advice(plan: Plan, left: Sequence[Unplaced], free: Sequence[str]) -> str:
    row = plan.rows[0]
    steps = []
    if free and row.fixed_shapes:
        steps.append("fix them with " + " ".join(f"--fix-axis {axis}=1" for axis in free))
    if not left or any(node.why.startswith(("type", "its")) for node in left):
        steps.append(f"try another variant ({', '.join(row.precisions)} suit it)")
    if row.rest is not None and len(plan.rows) == 1:
        steps.append(f"let another provider run them with --provider {row.alias},{row.rest}")
    steps.append("give --allow-fallback")
    return ", or ".join(filter(None, (", ".join(steps[:-1]), steps[-1])))


def profiled_placement(
    model: str | Path | Bundle,
    feeds: Feeds,
    *,
    variant: str | None = None,
    provider: str | Sequence[str] = "cpu",
    threads: int | None = None,
    allow_fallback: bool = False,
    axes: Mapping[str, int] | None = None,
    provider_options: Mapping[str, Any] | None = None,
    optimization: str = "all",
) -> Placement:
    """Profile runs of a checked feed in a session of its own: where its nodes and its time are.

    `axes` has the length of every free axis that is to be fixed. The time is that inside nodes, by
    onnxruntime's own profile of `RUNS` runs after a first one.
    """
    plan = plan_session(
        model_file(model, variant),
        provider,
        threads=threads,
        allow_fallback=allow_fallback,
        provider_options=provider_options,
        optimization=optimization,
    )
    with tempfile.TemporaryDirectory() as folder:
        opened = open_session(plan, axes, Path(folder) / "profile")
        names = [output.name for output in opened.session.get_outputs()]
        with engine_errors(plan.path, opened.provider):
            for _ in range(1 + RUNS):
                opened.session.run(names, feeds)
        profile = read_profile(Path(opened.session.end_profiling()))
    unplaced = opened.placement.unplaced
    if unplaced:
        unplaced = unplaced_nodes(opened.session, plan.rows, profile.types)
    fixed = (dict(axes),) if axes else ()
    return replace(opened.placement, unplaced=unplaced, fixed=fixed, time=profile.time)


def shares(runner: Runner, feeds: Mapping[str, Any], **options: Unpack[RunOptions]) -> Placement:
    """Add each provider's share of the time in a feed to what a runner's placement says.

    `options` are those that the runner was opened with.
    """
    known, checked = runner.placement, runner.signature.check(feeds)
    axes = dict(options.get("axes") or {})
    if known.fixed:
        axes |= runner.signature.lengths(checked)
    given: RunOptions = {**options, "axes": axes}
    found = profiled_placement(runner.path, checked, **given)
    return replace(found, fallback=known.fallback, fixed=known.fixed)


def _sampled(plan: Plan, axes: Mapping[str, int] | None) -> tuple[Any, Profile]:
    """Run a seeded sample in a profiled session; one that does not fit the model tells no types."""
    with tempfile.TemporaryDirectory() as folder:
        session = profiled_session(plan, axes, Path(folder) / "profile")
        names = [output.name for output in session.get_outputs()]
        with contextlib.suppress(EdgekitError), engine_errors(plan.path, "cpu"):
            session.run(names, read_signature(session, plan.path).sample())
        return session, read_profile(Path(session.end_profiling()))
