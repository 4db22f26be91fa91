"""How long a model takes on this machine, with everything that the number depends on.

Each candidate is opened in a process of its own, warmed up until steady, and then timed in short
blocks that take turns, so that whatever else the machine does hits all candidates alike. Only one
candidate runs at any time. Comparisons are ratios of blocks of the same round. `timing` has the
arithmetic, `worker` the processes; nothing here imports an engine.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit import filesize
from edgekit.bundle import Bundle
from edgekit.latency import timing
from edgekit.latency.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

WARM_LIMIT_S = 3.0
SETTLE_MS = 5.0
#: Below this share of CPU time in wall time, something else used the core.
QUIET_SHARE = 0.95

INCLUDED = (
    "feeds and outputs in host memory, and the runner's check of the feed around "
    "InferenceSession.run; the load and the first run apart"
)


@dataclass(frozen=True)
class Candidate:
    """What to time: a bundle's variant or an `.onnx` file, and how to run it.

    `threads` is onnxruntime's intra-op count, `batch` the samples of one run, `axes` the length
    of other free axes by name. `provider` may be several with commas; `provider_options` are
    those of `edgekit.open`.
    """

    model: str
    variant: str | None = None
    provider: str = "cpu"
    threads: int = 1
    batch: int = 1
    allow_fallback: bool = False
    axes: Mapping[str, int] = field(default_factory=dict)
    provider_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.threads < 1 or self.batch < 1 or any(size < 1 for size in self.axes.values()):
            raise ValueError(f"threads, batch and the lengths of axes are at least 1, not {self}")

    def __str__(self) -> str:
        variant = f", {self.variant}" if self.variant else ""
        return f"{self.model!r} ({self.provider}{variant})"


@dataclass(frozen=True)
class Latency:
    """The latency of one candidate, and the conditions that are its own.

    Percentiles are over all timed runs, numpy's default (linear between the two nearest runs).
    `p99_ms` is None with fewer than 100 runs. `ci95_ms` is the 95% bootstrap interval of the p50
    over blocks. `provider` is the alias of the one that really ran most of the nodes, `fallback`
    why it is not the whole of what was asked for. `warmup_runs` came before the first timed run;
    `steady` tells whether they ended with three blocks of 20 ms whose medians lie within 5%.
    `load_ms` is the opening of the file (which is in the page cache), with no import in it.
    `peak_memory_bytes` is the resident peak of the whole child process, Python and onnxruntime
    included (None where the system does not tell); `size_bytes` has external data in it.
    """

    model: str
    variant: str | None
    provider: str
    threads: int
    batch: int
    p50_ms: float
    p90_ms: float
    p99_ms: float | None
    mean_ms: float
    ci95_ms: tuple[float, float]
    runs: int
    warmup_runs: int
    steady: bool
    load_ms: float
    first_run_ms: float
    peak_memory_bytes: int | None
    size_bytes: int
    fallback: str | None


@dataclass(frozen=True)
class Ratio:
    """One candidate's time against the first candidate's: below 1 is faster.

    `ratio` is the median over rounds of p50/p50 in the same round, `ci95` its bootstrap interval
    over rounds. `verdict` is `faster` or `slower` where the whole interval is more than 3% away
    from 1 (as far as two processes of one file may differ), else `no difference`.
    """

    model: str
    variant: str | None
    baseline_model: str
    baseline_variant: str | None
    ratio: float
    ci95: tuple[float, float]
    verdict: str


@dataclass(frozen=True)
class LatencyReport:
    """Every candidate's latency in the order given, each later one's ratio to the first.

    `conditions` holds what all candidates share. `contended` says that the timed thread waited
    for its core (`cpu_share`, CPU time in wall time, below 0.95; CPU provider only), `drifted`
    that a p50 changed by more than 5% from the first third of the rounds to the last.
    """

    results: tuple[Latency, ...]
    ratios: tuple[Ratio, ...]
    conditions: dict[str, Any]


def benchmark(
    models: str | Path | Bundle | Candidate | Sequence[str | Path | Bundle | Candidate],
    *,
    variants: str | Sequence[str] | None = None,
    provider: str | Sequence[str] = "cpu",
    threads: int = 1,
    batch: int = 1,
    duration_s: float = 2.0,
    axes: Mapping[str, int] | None = None,
    allow_fallback: bool = False,
    provider_options: Mapping[str, Any] | None = None,
    seed: int = 0,
    on_progress: Callable[[float], None] | None = None,
) -> LatencyReport:
    """Time one model or several against each other, in turns.

    A bundle stands for its first variant, for the named `variants`, or for every one with
    `variants="all"`. A `Candidate` is taken as it is; the other arguments apply to the rest.
    `duration_s` is the timed seconds of each candidate: slow models take up to ten times as long,
    to reach 100 runs, and never fewer than 10. `on_progress` is called with the part done, 0..1.

    Raises the runner's own errors (`ProviderError`, `ModelError`, `FeedError`, `BundleError`);
    a process that crashes or hangs is a `ModelError`.
    """
    if duration_s <= 0:
        raise ValueError(f"duration_s is more than 0, not {duration_s}")
    names = provider if isinstance(provider, str) else ",".join(provider)
    template = Candidate(
        "",
        None,
        names,
        threads,
        batch,
        allow_fallback,
        dict(axes or {}),
        dict(provider_options or {}),
    )
    candidates = candidates_of(models, variants, template)
    plan = timing.Plan(duration_s)
    progress = on_progress or (lambda part: None)
    load_average = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    progress(0.0)
    with contextlib.ExitStack() as stack:
        lanes = []
        for index, candidate in enumerate(candidates):
            lanes.append(_start(candidate, stack, plan, seed))
            progress(0.2 * (index + 1) / len(candidates))
        _take_turns(lanes, plan, seed, progress)
    results = tuple(_latency(lane, seed) for lane in lanes)
    ratios = tuple(_ratio(lane, lanes[0], seed) for lane in lanes[1:])
    shared = {"seed": seed, "duration_s": duration_s, "load_average": load_average}
    return LatencyReport(results, ratios, _machine() | shared | _conditions(lanes))


def candidates_of(
    models: str | Path | Bundle | Candidate | Sequence[str | Path | Bundle | Candidate],
    variants: str | Sequence[str] | None,
    template: Candidate,
) -> list[Candidate]:
    """Write models and variants out as candidates; `template` gives the rest of each."""
    given = [models] if isinstance(models, (str, Path, Bundle, Candidate)) else list(models)
    if not given:
        raise ValueError("benchmark needs at least one model")
    found: list[Candidate] = []
    for model in given:
        if isinstance(model, Candidate):
            found.append(model)
            continue
        path = str(model.path if isinstance(model, Bundle) else model)
        for variant in _variants(path, variants):
            found.append(dataclasses.replace(template, model=path, variant=variant))
    return found


def _variants(path: str, variants: str | Sequence[str] | None) -> Iterable[str | None]:
    if variants == "all":
        folder = Path(path).is_dir()
        return [v.name for v in Bundle.open(path).manifest.variants] if folder else [None]
    if isinstance(variants, str):
        return [variants]
    return variants or [None]


@dataclass
class _Lane:
    """One candidate while it is measured: its process, and the blocks that came back so far."""

    candidate: Candidate
    file: Path
    worker: Worker
    opened: dict[str, Any]
    warm: dict[str, Any]
    blocks: list[np.ndarray[Any, np.dtype[np.int64]]] = field(default_factory=list)
    runs: int = 0
    wall_ns: int = 0
    cpu_ns: int = 0
    peak_bytes: int | None = None

    def run(self, block_ms: float) -> None:
        """Time one block. Untimed runs come first, as the other candidates' took the caches."""
        usual_ms = self.warm["p50_ns"] / 1e6
        settle_ms = min(SETTLE_MS, block_ms / 10)
        settle_ms = settle_ms if usual_ms < settle_ms else 0.0
        seconds = (block_ms + settle_ms + 3 * usual_ms) / 1e3
        reply = self.worker.ask("run", seconds=seconds, settle_ms=settle_ms, block_ms=block_ms)
        self.blocks.append(np.asarray(reply["ns"], np.int64))
        self.runs += len(reply["ns"])
        self.wall_ns += reply["wall_ns"]
        self.cpu_ns += reply["cpu_ns"]
        self.peak_bytes = reply["peak_bytes"]

    def p50s(self) -> list[float]:
        """Give the p50 of each round, in nanoseconds."""
        return [float(np.median(block)) for block in self.blocks]


def _start(
    candidate: Candidate, stack: contextlib.ExitStack, plan: timing.Plan, seed: int
) -> _Lane:
    """Open a candidate in a process of its own and warm it up."""
    from edgekit.runtime.session import model_file

    # The digest of the file is checked here: in the child it would count as load time.
    reference: Path | None = None
    if Path(candidate.model).is_dir():
        bundle = Bundle.open(candidate.model)
        chosen = bundle.variant(candidate.variant)
        candidate = dataclasses.replace(candidate, variant=chosen.name)
        entry = bundle.manifest.data.get("reference")
        reference = None if entry is None else bundle.file(entry)
    file = model_file(candidate.model, candidate.variant)
    worker = stack.enter_context(Worker(str(candidate)))
    opened = worker.ask(
        "open",
        file=str(file),
        reference=None if reference is None else str(reference),
        provider=candidate.provider,
        threads=candidate.threads,
        batch=candidate.batch,
        allow_fallback=candidate.allow_fallback,
        axes=dict(candidate.axes),
        provider_options=dict(candidate.provider_options),
        seed=seed,
    )
    limit_s = min(WARM_LIMIT_S, plan.duration_s)
    warm = worker.ask("warm", seconds=limit_s, limit_ms=1e3 * limit_s)
    return _Lane(candidate, file, worker, opened, warm)


def _take_turns(
    lanes: Sequence[_Lane], plan: timing.Plan, seed: int, progress: Callable[[float], None]
) -> None:
    """Run rounds of one block a candidate, in changing order, until the plan is met."""
    for rounds, order in enumerate(timing.orders(len(lanes), seed), start=1):
        for index in order:
            lanes[index].run(plan.block_ms)
        timed_s = [lane.wall_ns / 1e9 for lane in lanes]
        part = plan.progress(rounds, [lane.runs for lane in lanes], timed_s)
        progress(0.2 + 0.8 * part)
        if part >= 1:
            return


def _latency(lane: _Lane, seed: int) -> Latency:
    runs = np.concatenate(lane.blocks)
    return Latency(
        model=lane.candidate.model,
        variant=lane.candidate.variant,
        provider=lane.opened["provider"],
        threads=lane.candidate.threads,
        batch=lane.candidate.batch,
        p50_ms=timing.percentile_ms(runs, 50),
        p90_ms=timing.percentile_ms(runs, 90),
        p99_ms=timing.percentile_ms(runs, 99) if len(runs) >= timing.P99_RUNS else None,
        mean_ms=float(runs.mean()) / 1e6,
        ci95_ms=timing.median_interval_ms(lane.blocks, seed),
        runs=len(runs),
        warmup_runs=1 + lane.warm["runs"],
        steady=lane.warm["steady"],
        load_ms=lane.opened["load_ms"],
        first_run_ms=lane.opened["first_run_ms"],
        peak_memory_bytes=lane.peak_bytes,
        size_bytes=filesize.model_bytes(lane.file),
        fallback=lane.opened["fallback"],
    )


def _ratio(lane: _Lane, baseline: _Lane, seed: int) -> Ratio:
    ratio, interval = timing.paired_ratio(lane.p50s(), baseline.p50s(), seed)
    return Ratio(
        model=lane.candidate.model,
        variant=lane.candidate.variant,
        baseline_model=baseline.candidate.model,
        baseline_variant=baseline.candidate.variant,
        ratio=ratio,
        ci95=interval,
        verdict=timing.verdict(interval),
    )


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


def _conditions(lanes: Sequence[_Lane]) -> dict[str, Any]:
    shares = [lane.cpu_ns / lane.wall_ns for lane in lanes if lane.opened["provider"] == "cpu"]
    share = min(shares, default=None)
    drift = max((timing.drift(lane.p50s()) for lane in lanes), key=abs)
    return {
        "onnxruntime": lanes[0].opened["onnxruntime"],
        "feeds": " and ".join(sorted({lane.opened["feeds"] for lane in lanes})),
        "included": INCLUDED,
        "rounds": len(lanes[0].blocks),
        "cpu_share": share,
        "contended": share is not None and share < QUIET_SHARE,
        "drift": drift,
        "drifted": abs(drift) > timing.DRIFT,
    }
