"""What is tried and what comes out: frozen values, whose fields are those of the JSON.

Needs the standard library and edgekit's own values only.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from edgekit.latency.results import counted
from edgekit.latency.timing import SAME

if TYPE_CHECKING:
    from collections.abc import Sequence

FLOAT = "float"
OBJECTIVES = ("latency", "size")


@dataclass(frozen=True)
class Candidate:
    """A file and how to run it: a recipe with its options, `exclude`, and the settings of a run.

    `options` are the keywords of `quantize` beside `exclude`, by name. `threads` and
    `optimization` are those of `edgekit.open`.
    """

    recipe: str = FLOAT
    options: tuple[tuple[str, Any], ...] = ()
    exclude: tuple[str, ...] = ()
    threads: int = 1
    optimization: str = "all"

    @property
    def file(self) -> Candidate:
        """The candidate whose file this one runs: the same, at the settings of the search."""
        return replace(self, threads=1, optimization="all")

    def __str__(self) -> str:
        words = [self.recipe]
        words += [
            key.replace("_", " ") if value is True else str(value) for key, value in self.options
        ]
        if self.exclude:
            words.append(f"{counted(len(self.exclude), 'layer')} in float")
        if self.threads != 1:
            words.append(counted(self.threads, "thread"))
        if self.optimization != "all":
            words.append(f"optimization {self.optimization}")
        return ", ".join(words)


@dataclass(frozen=True)
class Quality:
    """What a file answers and weighs.

    `metric` is the task's, higher is better, None without labels; `sqnr_db` that of the outputs
    beside the float model's, in dB. `size_bytes` has external data in it, `sha256` is of the file.
    """

    metric: float | None
    sqnr_db: float
    size_bytes: int
    sha256: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Speed:
    """The latency of a candidate beside float at its own settings, in one interleaved run.

    `ratio` is the paired one of `edgekit.latency.Ratio`, below 1 is faster, with its 95% interval
    and verdict; `duration_s` the timed seconds that were asked for, `timed_s` those that it took
    (a slow model is timed longer). `details` are more fields of `edgekit.latency.Latency`.
    """

    p50_ms: float
    ratio: float
    ci95: tuple[float, float]
    verdict: str
    duration_s: float
    timed_s: float
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def may_be_faster(self) -> bool:
        """Whether the interval leaves room for it."""
        return self.ci95[0] < 1 - SAME


@dataclass(frozen=True)
class Trial:
    """A candidate with what is known of it: `reason` says why something is not known."""

    candidate: Candidate
    stage: str
    quality: Quality | None = None
    speed: Speed | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Goal:
    """What is wanted: the objective, and what a candidate may lose.

    With a `metric_name`, `max_drop` is what the metric may be below float's; where there is none,
    or where it was asked for as well, `min_sqnr_db` is the least SQNR of the outputs.
    """

    objective: str
    metric_name: str | None
    max_drop: float
    min_sqnr_db: float | None

    def accuracy(self, quality: Quality) -> float:
        """Give the number that candidates are ordered by: the metric, else the SQNR."""
        return quality.sqnr_db if quality.metric is None else quality.metric

    def admits(self, quality: Quality, of_float: Quality) -> bool:
        """Whether a candidate keeps enough. A drop that is a rounding away from it is allowed."""
        if self.min_sqnr_db is not None and quality.sqnr_db < self.min_sqnr_db:
            return False
        if quality.metric is None or of_float.metric is None:
            return True
        return of_float.metric - quality.metric <= self.max_drop + 1e-9


def front(trials: Sequence[Trial], goal: Goal) -> set[Candidate]:
    """Give the Pareto front over accuracy, latency and size, of what has all three measured.

    A candidate falls where another is no worse in any and better in one; in latency, better means
    by more than two processes of one file may differ.
    """
    known = [trial for trial in trials if trial.quality is not None and trial.speed is not None]
    return {
        trial.candidate
        for trial in known
        if not any(_dominates(other, trial, goal) for other in known)
    }


def _dominates(one: Trial, other: Trial, goal: Goal) -> bool:
    assert one.quality is not None
    assert other.quality is not None
    assert one.speed is not None
    assert other.speed is not None
    accuracies = goal.accuracy(one.quality), goal.accuracy(other.quality)
    sizes = one.quality.size_bytes, other.quality.size_bytes
    ratios = one.speed.ratio, other.speed.ratio
    if accuracies[0] < accuracies[1] or sizes[0] > sizes[1] or ratios[0] > ratios[1]:
        return False
    better = accuracies[0] > accuracies[1] or sizes[0] < sizes[1]
    return better or ratios[0] < ratios[1] * (1 - SAME)


@dataclass(frozen=True)
class Row:
    """One candidate of the table: what was measured, and what follows from it.

    `drop` is what the metric is below float's; `admissible` whether the goal allows it, None where
    that is not known. `front` marks the Pareto front, `winner` the one that was chosen.
    """

    name: str
    recipe: str
    options: dict[str, Any]
    exclude: tuple[str, ...]
    threads: int
    optimization: str
    stage: str
    metric: float | None
    drop: float | None
    sqnr_db: float | None
    size_bytes: int | None
    speed: Speed | None
    admissible: bool | None
    front: bool
    winner: bool
    reason: str | None


@dataclass(frozen=True)
class Tuned:
    """What a search found: every candidate that was tried, and the one that is best.

    `path` and `variant` are of the file written, None where float is kept; `threads` and
    `optimization` are what to open the winner with. `reason` says in a sentence why it won, `cut`
    what the time did not suffice for. `measured` and `remembered` count the measurements of this
    run and those that its ledger had. `rankings` has, by recipe, the layers from the worst with
    the SQNR of each alone in dB. Times are in seconds.
    """

    model: str
    provider: str
    goal: Goal
    rows: tuple[Row, ...]
    winner: str
    kept_float: bool
    reason: str
    threads: int
    optimization: str
    path: str | None
    variant: str | None
    cut: tuple[str, ...]
    rankings: dict[str, list[tuple[str, float]]]
    notes: tuple[str, ...]
    seed: int
    budget_s: float
    spent_s: float
    measured: int
    remembered: int
    ledger: str
    conditions: dict[str, Any]
