"""Measurements that are made up, and a clock that only they move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edgekit.errors import EdgekitError
from edgekit.latency.timing import verdict
from edgekit.tuner.results import Candidate, Quality, Speed


@dataclass
class Clock:
    """Seconds that pass when something is measured."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Fake:
    """What `search.Measures` asks, by functions of a candidate, and a list of what was asked.

    `metric`, `size` and `ratio` tell a candidate's numbers, `spread` the half width of a ratio's
    interval; an error is raised where `errors` has one. The costs are seconds; one of `speeds` is
    of each candidate in it.
    """

    clock: Clock = field(default_factory=Clock)
    metric: Callable[[Candidate], float | None] = lambda candidate: 0.9
    sqnr: Callable[[Candidate], float] = lambda candidate: 40.0
    size: Callable[[Candidate], int] = lambda candidate: (
        1000 if candidate.recipe == "float" else 300
    )
    ratio: Callable[[Candidate], float] = lambda candidate: 1.0
    spread: float = 0.01
    layers: Sequence[tuple[str, float]] = ()
    errors: dict[tuple[str, str], EdgekitError] = field(default_factory=dict)
    quality_s: float = 0.1
    lane_s: float = 0.1
    ranking_s: float = 0.1
    asked: list[tuple[str, str]] = field(default_factory=list)

    def quality(self, candidate: Candidate) -> Quality:
        self._ask("quality", candidate, self.quality_s)
        digest = str(candidate.file)
        return Quality(self.metric(candidate), self.sqnr(candidate), self.size(candidate), digest)

    def speeds(self, candidates: Sequence[Candidate], duration_s: float) -> list[Speed]:
        for candidate in candidates:
            self._ask("speed", candidate, self.lane_s + duration_s)
        first = self.ratio(candidates[0])
        speeds = []
        for candidate in candidates:
            ratio = self.ratio(candidate) / first
            bounds = (ratio - self.spread, ratio + self.spread)
            same = candidate == candidates[0]
            speeds.append(
                Speed(
                    p50_ms=self.ratio(candidate),
                    ratio=ratio,
                    ci95=(1.0, 1.0) if same else bounds,
                    verdict="no difference" if same else verdict(bounds),
                    duration_s=duration_s,
                    timed_s=duration_s,
                )
            )
        return speeds

    def ranking(self, candidate: Candidate) -> list[tuple[str, float]]:
        self._ask("ranking", candidate, self.ranking_s)
        return list(self.layers)

    def _ask(self, kind: str, candidate: Candidate, cost: float) -> None:
        self.asked.append((kind, str(candidate)))
        self.clock.now += cost
        error = self.errors.get((kind, candidate.recipe))
        if error is not None:
            raise error
