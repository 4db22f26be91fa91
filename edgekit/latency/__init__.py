"""How long a model takes on this machine, with everything that the number depends on.

Each candidate is opened in a process of its own, warmed up until steady, and then timed in short
blocks that take turns, so that whatever else the machine does hits all candidates alike. Only one
candidate runs at any time. Comparisons are ratios of blocks of the same round.

`results` has the values that come out, `lanes` and `worker` the candidates and their processes,
`timing` the plan, `percentiles` the statistics, `contention` the signs of a busy machine, `gate`
budgets and baselines, `roofline` the limit of the machine, `history` the results of before. The
engines of `engines` are the peers. Nothing here imports an engine.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.bundle import Bundle
from edgekit.latency import gate, lanes, peers, roofline, timing
from edgekit.latency.results import (
    EDGEKIT,
    Candidate,
    Check,
    Latency,
    LatencyReport,
    Ratio,
    Roofline,
    Unranked,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from edgekit.latency.lanes import Lane

__all__ = [
    "EDGEKIT",
    "SCENARIOS",
    "Candidate",
    "Check",
    "Latency",
    "LatencyReport",
    "Ratio",
    "Roofline",
    "Unranked",
    "benchmark",
    "candidates_of",
]

INCLUDED = (
    "feeds and outputs in host memory, and the runner's check of the feed around "
    "InferenceSession.run; the load and the first run apart"
)

#: MLPerf Inference's scenarios that one machine can run alone: one sample at a time, the next when
#: the answer is there (the p90 latency), and all samples at once, in batches (samples a second).
SCENARIOS = ("single-stream", "offline")


def benchmark(
    models: str | Path | Bundle | Candidate | Sequence[str | Path | Bundle | Candidate],
    *,
    variants: str | Sequence[str] | None = None,
    provider: str | Sequence[str] = "cpu",
    threads: int | Sequence[int] = 1,
    batch: int = 1,
    replicas: int = 1,
    scenario: str | None = None,
    duration_s: float = 2.0,
    axes: Mapping[str, int] | None = None,
    allow_fallback: bool = False,
    provider_options: Mapping[str, Any] | None = None,
    optimization: str = "all",
    seed: int = 0,
    compare: Sequence[str] = (),
    source: str | Path | None = None,
    artifacts: Path = Path("artifacts"),
    budgets: Mapping[str, float] | None = None,
    baseline: str | Path | None = None,
    max_slowdown: float = gate.MAX_SLOWDOWN,
    with_roofline: bool = False,
    on_progress: Callable[[float], None] | None = None,
) -> LatencyReport:
    """Time one model or several against each other, in turns.

    A bundle stands for its first variant, for the named `variants`, or for every one with
    `variants="all"`. A `Candidate` is taken as it is; the other arguments apply to the rest.
    Several `threads` are a candidate each. `duration_s` is the timed seconds of each candidate:
    slow models take up to ten times as long, to reach the 662 runs of a p99 or the 64 of a p90, and
    never fewer than 10 runs. `scenario` is a name of `SCENARIOS`. `on_progress` is called with the
    part done, 0..1.

    `compare` names peers (`peers.PEERS`) that run the weights of the first model, which is a
    bundle: from `source`, or from what its manifest says it was exported from, with named models'
    weights under `artifacts`. `budgets` are limits in milliseconds of `p50`, `p90`, `p99` or
    `mean`; `baseline` is the JSON of an earlier report, and `max_slowdown` what a p50 may be above
    it: `LatencyReport.checks` has the verdicts. `with_roofline` measures this machine as well.

    Raises the runner's own errors (`ProviderError`, `ModelError`, `FeedError`, `BundleError`);
    a process that crashes or hangs is a `ModelError`, a baseline of another machine a
    `BaselineError`.
    """
    _check_arguments(duration_s, scenario, batch, replicas)
    sweep = [threads] if isinstance(threads, int) else list(threads)
    template = Candidate(
        "",
        provider=provider if isinstance(provider, str) else ",".join(provider),
        batch=batch,
        allow_fallback=allow_fallback,
        axes=dict(axes or {}),
        replicas=replicas,
        provider_options=dict(provider_options or {}),
        optimization=optimization,
    )
    candidates = [
        one if isinstance(given, Candidate) else dataclasses.replace(one, threads=count)
        for given in _listed(models)
        for one in candidates_of(given, variants, template)
        for count in ([one.threads] if isinstance(given, Candidate) else sweep)
    ]
    machine = _machine()
    before = None if baseline is None else gate.Baseline.read(Path(baseline), machine)
    plan = timing.Plan(duration_s)
    progress = on_progress or (lambda part: None)
    load_average = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    progress(0.0)
    with contextlib.ExitStack() as stack:
        prepared = None
        if compare:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            prepared = peers.prepare(
                compare, candidates[0], folder, source=source, artifacts=artifacts, seed=seed
            )
        opened: list[Lane] = []
        for index, candidate in enumerate(candidates):
            opened.append(lanes.start(candidate, stack, plan, seed))
            progress(0.2 * (index + 1) / len(candidates))
        unranked: list[Unranked] = []
        if prepared is not None:
            ranked, unranked = peers.start(prepared, sweep, opened[0], stack, plan)
            opened += ranked
        machine_limits = roofline.Machine(stack, opened) if with_roofline else None
        found = lanes.watched(
            opened, lambda: _measure(opened, plan, seed, machine_limits, progress)
        )
        results = tuple(_result(lane, seed, machine_limits) for lane in opened)
    offline = scenario == "offline"
    ratios = tuple(lanes.ratio(lane, opened[0], seed, per_sample=offline) for lane in opened[1:])
    shared: dict[str, Any] = {"seed": seed, "duration_s": duration_s, "load_average": load_average}
    shared |= {
        "scenario": scenario,
        "onnxruntime": opened[0].opened["onnxruntime"],
        "feeds": " and ".join(sorted({lane.opened["feeds"] for lane in opened})),
        "included": INCLUDED,
        "no_roofline": machine_limits.reason if machine_limits else None,
    }
    report = LatencyReport(results, ratios, machine | shared | found, tuple(unranked))
    checks = gate.judge(report, budgets or {}, before, max_slowdown)
    return dataclasses.replace(report, checks=checks)


def _check_arguments(duration_s: float, scenario: str | None, batch: int, replicas: int) -> None:
    if duration_s <= 0:
        raise ValueError(f"duration_s is more than 0, not {duration_s}")
    if scenario is not None and scenario not in SCENARIOS:
        raise ValueError(f"scenario is one of {', '.join(SCENARIOS)} or None, not {scenario!r}")
    if scenario == "single-stream" and (batch, replicas) != (1, 1):
        raise ValueError(
            "single-stream is at most one sample at a time; give the scenario offline for a batch "
            "or replicas"
        )


def _measure(
    opened: Sequence[Lane],
    plan: timing.Plan,
    seed: int,
    machine: roofline.Machine | None,
    progress: Callable[[float], None],
) -> None:
    if machine:
        machine.measure()
    lanes.take_turns(opened, plan, seed, lambda part: progress(0.2 + 0.8 * part))
    if machine:
        machine.measure()


def _result(lane: Lane, seed: int, machine: roofline.Machine | None) -> Latency:
    result = lanes.latency(lane, seed)
    if machine is None:
        return result
    return dataclasses.replace(result, roofline=machine.limit(lane, result.p50_ms))


def _listed(
    models: str | Path | Bundle | Candidate | Sequence[str | Path | Bundle | Candidate],
) -> list[str | Path | Bundle | Candidate]:
    given = [models] if isinstance(models, (str, Path, Bundle, Candidate)) else list(models)
    if not given:
        raise ValueError("benchmark needs at least one model")
    return given


def candidates_of(
    model: str | Path | Bundle | Candidate,
    variants: str | Sequence[str] | None,
    template: Candidate,
) -> list[Candidate]:
    """Write a model's variants out as candidates; `template` gives the rest of each."""
    if isinstance(model, Candidate):
        return [model]
    path = str(model.path if isinstance(model, Bundle) else model)
    named = [(path, variant) for variant in _variants(path, variants, template.provider)]
    return [dataclasses.replace(template, model=at, variant=variant) for at, variant in named]


def _variants(
    path: str, variants: str | Sequence[str] | None, provider: str
) -> Iterable[str | None]:
    if variants == "all":
        if not Path(path).is_dir():
            return [None]
        return [v.name for v in Bundle.open(path).variants_on(provider)]
    if isinstance(variants, str):
        return [variants]
    return variants or [None]


def _machine() -> dict[str, Any]:
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _cpu_model() -> str:
    """Name the processor; Linux tells it only in a file."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
