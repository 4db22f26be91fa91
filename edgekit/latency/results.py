"""What is timed and what comes out: frozen values, whose fields are those of the JSON.

`edgekit bench --json` writes a `LatencyReport` field by field; a field may be added, one that is
there keeps its name, unit and meaning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekit.runtime.runner import RunOptions

#: What runs a candidate: edgekit's runner, or one of the peers.
EDGEKIT = "edgekit"


@dataclass(frozen=True)
class Candidate:
    """What to time: a bundle's variant or an `.onnx` file, and how to run it.

    `threads` is onnxruntime's intra-op count, `batch` the samples of one run, `axes` the length
    of other free axes by name, `replicas` how many runs are under way at once. `engine` is
    `edgekit`, or the peer that runs the model's weights. `provider` may be several with commas;
    `provider_options` and `optimization` are those of `edgekit.open`.
    """

    model: str
    variant: str | None = None
    provider: str = "cpu"
    threads: int = 1
    batch: int = 1
    allow_fallback: bool = False
    axes: Mapping[str, int] = field(default_factory=dict)
    replicas: int = 1
    engine: str = EDGEKIT
    provider_options: Mapping[str, Any] = field(default_factory=dict)
    optimization: str = "all"

    def __post_init__(self) -> None:
        counts = (self.threads, self.batch, self.replicas, *self.axes.values())
        if any(count < 1 for count in counts):
            raise ValueError(
                f"threads, batch, replicas and the lengths of axes are at least 1, not {self}"
            )

    def options(self) -> RunOptions:
        """Give the keywords of `open_runner`."""
        return {
            "provider": self.provider,
            "threads": self.threads,
            "allow_fallback": self.allow_fallback,
            "provider_options": dict(self.provider_options),
            "optimization": self.optimization,
        }

    def __str__(self) -> str:
        variant = f", {self.variant}" if self.variant else ""
        engine = "" if self.engine == EDGEKIT else f" by {self.engine}"
        return f"{self.model!r} ({self.provider}{variant}){engine}"


@dataclass(frozen=True)
class Roofline:
    """How far a candidate is from what this machine reached in the same run, at its threads.

    `macs` are one run's multiply-accumulates, `bytes` what it has to move at least (weights,
    inputs and outputs, once). `peak_gmacs` is the best rate of a float32 matrix product in
    onnxruntime, in 1e9 multiply-accumulates a second, `copy_gb_s` the best of a copy whose two
    sides have that many bytes together, in 1e9 bytes a second. `limit_ms` is the longer of the
    two times, `bound` the one that it is (`compute` or `memory`), `share` the limit in the p50:
    1 is a run at the limit. `uncounted` names operators that `macs` leaves out.
    """

    macs: int
    bytes: int
    peak_gmacs: float
    copy_gb_s: float
    limit_ms: float
    bound: str
    share: float
    uncounted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Latency:
    """The latency of one candidate, and the conditions that are its own.

    `p50_ms` and `mean_ms` are of all timed runs; `p90_ms` and `p99_ms` are MLPerf's early-stopping
    estimates (`percentiles`): with 99% confidence that part of all runs takes no longer. They are
    None with fewer than 64 and 662 runs. `ci95_ms` is the 95% bootstrap interval of the p50 over
    blocks, `intervals_ms` those of `p50`, `p90`, `p99` and `mean`, where there is an estimate.
    `samples_per_second` is `batch` times the runs in the timed seconds, all replicas together,
    `samples_per_second_ci95` its interval.

    `engine` is `edgekit`, or the peer that ran the same weights. `provider` is the alias of the one
    that really ran most of the nodes, `fallback` why it is not the one that was asked for. Where
    several share the nodes, `nodes` has the number of each and `time` its share of the time in
    nodes, 0..1, from a profile after the last timed run. `optimization` is that of `edgekit.open`.
    `warmup_runs` came before the first timed run; `steady` tells whether they ended with three
    blocks of 20 ms whose medians lie within 5%. `load_ms` is the opening of the file (which is in
    the page cache), with no import in it. `peak_memory_bytes` is the resident peak of the whole
    child process, Python and the engine included (None where the system does not tell);
    `size_bytes` has external data in it; `sha256` is of the file itself, "" for a folder.
    """

    model: str
    variant: str | None
    engine: str
    provider: str
    threads: int
    replicas: int
    batch: int
    p50_ms: float
    p90_ms: float | None
    p99_ms: float | None
    mean_ms: float
    ci95_ms: tuple[float, float]
    intervals_ms: dict[str, tuple[float, float]]
    samples_per_second: float
    samples_per_second_ci95: tuple[float, float]
    runs: int
    warmup_runs: int
    steady: bool
    load_ms: float
    first_run_ms: float
    peak_memory_bytes: int | None
    size_bytes: int
    sha256: str
    fallback: str | None
    nodes: dict[str, int] = field(default_factory=dict)
    time: dict[str, float] = field(default_factory=dict)
    optimization: str = "all"
    roofline: Roofline | None = None

    @property
    def label(self) -> str:
        """Its name in a table or a sentence."""
        return labelled(self.model, self.variant, self.engine)


@dataclass(frozen=True)
class Ratio:
    """One candidate's time against the first candidate's: below 1 is faster.

    `ratio` is the median over rounds of p50/p50 in the same round (offline: of the time a sample),
    `ci95` its bootstrap interval over rounds. `verdict` is `faster` or `slower` where the whole
    interval is more than 3% away from 1 (as far as two processes of one file may differ), else
    `no difference`.
    """

    model: str
    variant: str | None
    engine: str
    threads: int
    baseline_model: str
    baseline_variant: str | None
    baseline_engine: str
    baseline_threads: int
    ratio: float
    ci95: tuple[float, float]
    verdict: str


@dataclass(frozen=True)
class Unranked:
    """A peer that has no place in the table, and why: not installed, not converted, wrong."""

    engine: str
    reason: str


@dataclass(frozen=True)
class Check:
    """One budget, or the baseline's p50, against what was measured.

    `what` is `p50`, `p90`, `p99`, `mean` (milliseconds) or `baseline` (a ratio of p50s, now to
    then); `limit`, `measured` and `ci95` are in its unit, None where there was no estimate.
    `verdict` is `within` or `over` where the whole interval is, `undecided` where it holds the
    limit or the machine was too busy to tell, `unknown` where the runs were too few for the
    percentile; `evidence` says it in a sentence.
    """

    candidate: str
    what: str
    limit: float
    measured: float | None
    ci95: tuple[float, float] | None
    verdict: str
    evidence: str

    @property
    def passed(self) -> bool:
        """Whether this lets a build pass: noise does not fail it, a missing answer does."""
        return self.verdict in ("within", "undecided")


@dataclass(frozen=True)
class LatencyReport:
    """Every candidate's latency in the order given, each later one's ratio to the first.

    `conditions` holds what all candidates share. `contended` says that a candidate had to wait for
    the processor, `contention` in which signs that was seen (sentences); `waited_share` is the
    largest share of the timed seconds in which a candidate's thread waited for a core, `cpu_share`
    the smallest CPU time in wall time of the timed thread, `steal_share` what the hypervisor took,
    `cpu_pressure` the share of time in which anything on the machine waited for a core,
    `other_share` the part of all cores that other processes used; each is None where the system
    does not tell. `drifted` says that a p50 changed by more than 5% from the first third of the
    rounds to the last (`drift`, of the candidate where it was most). `scenario` is MLPerf's name
    or None. `checks` are the budgets and the baseline, where there were any.
    """

    results: tuple[Latency, ...]
    ratios: tuple[Ratio, ...]
    conditions: dict[str, Any]
    unranked: tuple[Unranked, ...] = ()
    checks: tuple[Check, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no check says that a build should fail."""
        return all(check.passed for check in self.checks)


def labelled(model: str, variant: str | None, engine: str) -> str:
    """Name a candidate in a table or a sentence: the model, its variant, its peer."""
    words = [word for word in (variant, engine) if word and word != EDGEKIT]
    return f"{model} ({', '.join(words)})" if words else model


def counted(number: int, what: str) -> str:
    """Write a count with its word: `1 thread`, `2 threads`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
