"""Candidates while they are measured: opened in a process each, warmed up, taking turns.

Only one candidate runs at any time. What comes back are blocks of nanoseconds; `results` are made
of them when all is done.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit import files, filesize
from edgekit.bundle import Bundle
from edgekit.latency import contention, percentiles, timing
from edgekit.latency.results import Latency, Ratio
from edgekit.latency.worker import Worker

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Sequence

    from edgekit.latency.results import Candidate, Roofline

WARM_LIMIT_S = 3.0
SETTLE_MS = 5.0


@dataclass
class Lane:
    """One candidate while it is measured: its process, and the blocks that came back so far."""

    candidate: Candidate
    file: Path
    worker: Worker
    opened: dict[str, Any]
    warm: dict[str, Any]
    blocks: list[np.ndarray[Any, np.dtype[np.int64]]] = field(default_factory=list)
    wall_ns: list[float] = field(default_factory=list)
    replies: list[dict[str, Any]] = field(default_factory=list)

    @property
    def runs(self) -> int:
        """The timed runs so far."""
        return sum(map(len, self.blocks))

    def run(self, block_ms: float) -> None:
        """Time one block. Untimed runs come first, as the other candidates' took the caches."""
        usual_ms = self.warm["p50_ns"] / 1e6
        settle_ms = min(SETTLE_MS, block_ms / 10)
        settle_ms = settle_ms if usual_ms < settle_ms else 0.0
        seconds = (block_ms + settle_ms + 3 * usual_ms * self.candidate.replicas) / 1e3
        reply = self.worker.ask("run", seconds=seconds, settle_ms=settle_ms, block_ms=block_ms)
        self.blocks.append(np.asarray(reply.pop("ns"), np.int64))
        self.wall_ns.append(reply["wall_ns"])
        self.replies.append(reply)

    def p50s(self) -> list[float]:
        """Give the p50 of each round, in nanoseconds."""
        return [float(np.median(block)) for block in self.blocks]

    def per_sample(self) -> list[float]:
        """Give the time a sample of each round, in nanoseconds: the inverse of the throughput."""
        sizes = [len(block) * self.candidate.batch for block in self.blocks]
        return [wall / size for wall, size in zip(self.wall_ns, sizes, strict=True)]

    @property
    def waited_share(self) -> float | None:
        """The part of the timed seconds in which a thread was ready and had no core."""
        waited = [reply["waited_ns"] for reply in self.replies]
        return None if None in waited else float(sum(waited) / sum(self.wall_ns))

    @property
    def cpu_share(self) -> float | None:
        """The timed threads' CPU time in their wall time; no sign where a device does the work."""
        if self.opened["provider"] != "cpu":
            return None
        wall = sum(reply["thread_ns"] for reply in self.replies)
        return float(sum(reply["cpu_ns"] for reply in self.replies) / wall)

    @property
    def cpu_s(self) -> float:
        """The CPU time that the process took from its first timed block to its last."""
        return float(self.replies[-1]["process_ns"] - self.replies[0]["process_ns"]) / 1e9


def start(candidate: Candidate, stack: contextlib.ExitStack, plan: timing.Plan, seed: int) -> Lane:
    """Open a candidate in a process of its own and warm it up."""
    from edgekit.runtime.session import model_file

    # The digest of the file is checked here: in the child it would count as load time.
    reference: Path | None = None
    if Path(candidate.model).is_dir():
        bundle = Bundle.open(candidate.model)
        chosen = bundle.variant(candidate.variant)
        candidate = dataclasses.replace(candidate, variant=chosen.name)
        entry = bundle.reference_of(chosen)
        reference = None if entry is None else bundle.file(entry)
    file = model_file(candidate.model, candidate.variant)
    worker = stack.enter_context(Worker(str(candidate)))
    opened = worker.ask(
        "open",
        file=str(file),
        reference=None if reference is None else str(reference),
        options=candidate.options(),
        batch=candidate.batch,
        axes=dict(candidate.axes),
        seed=seed,
        replicas=candidate.replicas,
    )
    return Lane(candidate, file, worker, opened, warm(worker, plan))


def warm(worker: Worker, plan: timing.Plan) -> dict[str, Any]:
    """Run an open candidate until it is steady."""
    limit_s = min(WARM_LIMIT_S, plan.duration_s)
    return worker.ask("warm", seconds=limit_s, limit_ms=1e3 * limit_s)


def take_turns(
    lanes: Sequence[Lane], plan: timing.Plan, seed: int, progress: Callable[[float], None]
) -> None:
    """Run rounds of one block a candidate, in changing order, until the plan is met."""
    shown = 0.0
    for rounds, order in enumerate(timing.orders(len(lanes), seed), start=1):
        for index in order:
            lanes[index].run(plan.block_ms)
        timed_s = [sum(lane.wall_ns) / 1e9 for lane in lanes]
        part = plan.progress(rounds, [lane.runs for lane in lanes], timed_s)
        shown = max(shown, part)
        progress(shown)
        if part >= 1:
            return


def watched(lanes: Sequence[Lane], measure: Callable[[], None]) -> dict[str, Any]:
    """Take the measurement, and give what the machine did meanwhile: the report's conditions."""
    before, own = contention.Machine.now(), time.process_time()
    measure()
    own = time.process_time() - own + sum(lane.cpu_s for lane in lanes)
    signs: dict[str, Any] = contention.shares(before, contention.Machine.now(), own)
    waited = [lane.waited_share for lane in lanes if lane.waited_share is not None]
    cpu = [lane.cpu_share for lane in lanes if lane.cpu_share is not None]
    signs |= {"waited_share": max(waited, default=None), "cpu_share": min(cpu, default=None)}
    used = [(lane.candidate.threads, lane.candidate.replicas) for lane in lanes]
    found = contention.verdict(signs, used)
    drift = max((timing.drift(lane.p50s()) for lane in lanes), key=abs)
    return signs | {
        "rounds": len(lanes[0].blocks),
        "contended": bool(found),
        "contention": found,
        "drift": drift,
        "drifted": abs(drift) > timing.DRIFT,
    }


def latency(lane: Lane, seed: int, limit: Roofline | None = None) -> Latency:
    """Sum a lane up."""
    runs = np.concatenate(lane.blocks)
    intervals = percentiles.intervals_ms(lane.blocks, seed)
    batch, wall_ns = lane.candidate.batch, lane.wall_ns
    # After the last timed block: it opens a session more.
    shares = lane.worker.ask("shares") if lane.opened.get("shared") else {"nodes": {}, "time": {}}
    low, high = percentiles.rate_interval([len(block) for block in lane.blocks], wall_ns, seed)
    return Latency(
        model=lane.candidate.model,
        variant=lane.candidate.variant,
        engine=lane.candidate.engine,
        provider=lane.opened["provider"],
        threads=lane.candidate.threads,
        replicas=lane.candidate.replicas,
        batch=batch,
        p50_ms=percentiles.percentile_ms(runs, 50),
        p90_ms=percentiles.early_stopping_ms(runs, 0.9),
        p99_ms=percentiles.early_stopping_ms(runs, 0.99),
        mean_ms=float(runs.mean()) / 1e6,
        ci95_ms=intervals["p50"],
        intervals_ms=intervals,
        samples_per_second=1e9 * batch * len(runs) / sum(wall_ns),
        samples_per_second_ci95=(batch * low, batch * high),
        runs=len(runs),
        warmup_runs=1 + lane.warm["runs"],
        steady=lane.warm["steady"],
        load_ms=lane.opened["load_ms"],
        first_run_ms=lane.opened["first_run_ms"],
        peak_memory_bytes=lane.replies[-1]["peak_bytes"],
        size_bytes=size(lane.file),
        sha256=files.digest(lane.file) if lane.file.is_file() else "",
        fallback=lane.opened["fallback"],
        nodes=shares["nodes"],
        time=shares["time"],
        optimization=lane.candidate.optimization,
        roofline=limit,
    )


def size(path: Path) -> int:
    """Give a model's size in bytes: a file with its external data, or a folder with all in it."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return filesize.model_bytes(path) if path.suffix == ".onnx" else path.stat().st_size


def ratio(lane: Lane, baseline: Lane, seed: int, *, per_sample: bool) -> Ratio:
    """Compare two lanes round by round: their p50s, or their time a sample."""
    ours, theirs = (one.per_sample() if per_sample else one.p50s() for one in (lane, baseline))
    value, interval = timing.paired_ratio(ours, theirs, seed)
    return Ratio(
        model=lane.candidate.model,
        variant=lane.candidate.variant,
        engine=lane.candidate.engine,
        threads=lane.candidate.threads,
        baseline_model=baseline.candidate.model,
        baseline_variant=baseline.candidate.variant,
        baseline_engine=baseline.candidate.engine,
        baseline_threads=baseline.candidate.threads,
        ratio=value,
        ci95=interval,
        verdict=timing.verdict(interval),
    )
