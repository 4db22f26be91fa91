"""The search: what is tried, in which order, and what wins. Nothing here opens a model or a file.

Cheap first. Every recipe is made, judged and timed shortly; the `KEEP` most promising get other
calibrations and layers left in float; the best of those and float are tried at other optimisations
and thread counts; the `FINALISTS` are timed once more, longer and beside float in one run, and only
that decides. Between any two steps the budget is asked.

Given equal measurements, the order and the choice are the same: there is no chance in here.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edgekit.errors import ModelError, ProviderError, QuantizeError
from edgekit.tuner.results import FLOAT, Candidate, Quality, Speed, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from edgekit.tuner.budget import Budget
    from edgekit.tuner.candidates import Space
    from edgekit.tuner.results import Goal

#: Recipes that are refined, and candidates that are tried at other settings.
KEEP = 2
#: Candidates that are timed once more at the end.
FINALISTS = 3
#: Candidates that share a run with float, while the search goes on.
GROUP = 3
#: The seconds of a short timing are this part of the budget, within bounds; the last is longer.
SHORT, SHORTEST_S, LONGEST_S, FINAL = 1 / 200, 0.1, 1.0, 4
#: At most this part of the budget is kept for the last timing.
RESERVE = 0.35


class Measures(Protocol):
    """What a search asks about a candidate."""

    def quality(self, candidate: Candidate) -> Quality:
        """Make the file and judge it; raises `QuantizeError`, `ModelError` or `ProviderError`."""
        ...

    def speeds(self, candidates: Sequence[Candidate], duration_s: float) -> list[Speed]:
        """Time candidates in turns in one run, beside the first of them."""
        ...

    def ranking(self, candidate: Candidate) -> list[tuple[str, float]]:
        """Rank the layers that a candidate quantises, from the worst: name and SQNR in dB."""
        ...


@dataclass(frozen=True)
class Outcome:
    """Every trial in order, the winner and why, and what the time did not suffice for."""

    trials: tuple[Trial, ...]
    winner: Candidate
    reason: str
    cut: tuple[str, ...]
    rankings: dict[str, list[tuple[str, float]]]


def search(
    space: Space,
    goal: Goal,
    measures: Measures,
    budget: Budget,
    progress: Callable[[float, str], None] | None = None,
) -> Outcome:
    """Search a space for the best candidate; what cannot be made or run is a trial with a reason.

    Float itself is always measured. Raises what measuring it raises.
    """
    running = _Search(space, goal, measures, budget, progress or (lambda done, text: None))
    running.measure_float()
    running.try_recipes()
    running.refine()
    running.exclude()
    running.try_settings()
    winner, reason = running.decide()
    return Outcome(
        tuple(running.trials.values()),
        winner,
        reason,
        tuple(dict.fromkeys(running.cut)),
        running.rankings,
    )


class _Search:
    """The trials so far, and the steps that add to them."""

    def __init__(
        self,
        space: Space,
        goal: Goal,
        measures: Measures,
        budget: Budget,
        progress: Callable[[float, str], None],
    ) -> None:
        self.space, self.goal, self.measures, self.budget = space, goal, measures, budget
        self.progress = progress
        self.trials: dict[Candidate, Trial] = {}
        self.rankings: dict[str, list[tuple[str, float]]] = {}
        self.cut: list[str] = []
        self.short_s = min(LONGEST_S, max(SHORTEST_S, SHORT * budget.seconds))
        self.float = self._at_first(Candidate())
        #: The lanes of a timing without which a candidate is not worth making: size needs none.
        self._lanes = 0 if goal.objective == "size" else 2

    def measure_float(self) -> None:
        self._show("float: what it answers")
        quality = self.measures.quality(self.float)
        self.trials[self.float] = Trial(self.float, "float", quality)
        self._show("float: its latency")
        self._time_group([], self.short_s)
        if self._lanes:
            last = (FINALISTS + 1) * self._last_lane_s(FINAL)
            self.budget.reserve = min(RESERVE * self.budget.seconds, last)

    def try_recipes(self) -> None:
        made = self._judge("recipes", (self._base(name) for name in self.space.recipes))
        self._time(made)

    def refine(self) -> None:
        """Try other calibrations; one that keeps the kernels is timed only if it is better."""
        for base in self._promising(self.space.refinements):
            worth = []
            for row in self.space.refinements[base.recipe]:
                candidate = dataclasses.replace(base, options=(*base.options, *row.options))
                for made in self._judge("methods", [candidate]):
                    if row.kernels or self._better(made, base):
                        worth.append(made)
                    else:
                        self._note(made, f"not timed: no more accurate than {base}")
            self._time(worth)

    def exclude(self) -> None:
        """Leave layers in float: the worst, then twice as many, until the goal allows it."""
        for base in self._promising(self.space.excludable):
            best = self._most_accurate(base.recipe)
            names = [name for name, _ in self._ranking(best)]
            made: list[Candidate] = []
            for count in _ladder(len(names)):
                candidate = dataclasses.replace(best, exclude=tuple(names[:count]))
                tried = self._judge("exclusions", [candidate])
                made += tried
                if not tried or self._admissible(candidate):
                    break
            self._time(made)

    def try_settings(self) -> None:
        """Try the best files and float at other thread counts, then at other optimisations."""
        if self.goal.objective == "size":
            return  # the settings of a run do not change the file
        for base in (*self._best()[:KEEP], self.float):
            counts = [dataclasses.replace(base, threads=count) for count in self.space.threads[1:]]
            self._time(self._judge("settings", counts))
            tried = [self.trials[each] for each in (base, *counts) if each in self.trials]
            at_best = min(tried, key=_ratio).candidate
            levels = [
                dataclasses.replace(at_best, optimization=level)
                for level in self.space.optimizations[1:]
            ]
            self._time(self._judge("settings", levels))

    def decide(self) -> tuple[Candidate, str]:
        """Time the finalists once more and choose; float stays unless one is surely better."""
        finalists = self._best()[:FINALISTS]
        if not finalists:
            return self.float, f"float is kept: {self._nothing()}"
        timed = self._time_again(finalists)
        if self.goal.objective == "size":
            return finalists[0], self._wins(finalists[0])
        if not timed:
            return self.float, "float is kept: the time ended before the finalists were compared"
        faster = [c for c in finalists if self._verdict(c) == "faster"]
        if not faster:
            return self.float, f"float is kept: {self._nothing()}"
        winner = min(faster, key=lambda each: _ratio(self.trials[each]))
        return self._against_tuned_float(winner, faster)

    def _against_tuned_float(
        self, winner: Candidate, faster: Sequence[Candidate]
    ) -> tuple[Candidate, str]:
        """Let a quantised winner beat float at float's own best settings, or keep that."""
        floats = [each for each in faster if each.recipe == FLOAT]
        kept = "float is kept, with settings of its own"
        if winner.recipe == FLOAT:
            return winner, f"{kept}: {self._wins(winner)}"
        if not floats:
            return winner, self._wins(winner)
        best = min(floats, key=lambda each: _ratio(self.trials[each]))
        self._show(f"{winner} beside {best}")
        if self.budget.left < 2 * self._last_lane_s(FINAL):
            return best, f"{kept} ({best}): no time was left to set {winner} beside it"
        (_, speed) = self.measures.speeds([best, winner], FINAL * self.short_s)
        if speed.verdict == "faster":
            return winner, self._wins(winner)
        return best, f"{kept} ({best}): {winner} is not faster than that by its whole interval"

    def _judge(self, stage: str, candidates: Iterable[Candidate]) -> list[Candidate]:
        """Make and judge candidates; gives those that work and are new."""
        made = []
        for candidate in candidates:
            if candidate in self.trials:
                continue
            if not self.budget.allows(quality=1, lane=self._lanes):
                self.cut.append(stage)
                break
            self._show(f"{candidate}: what it answers")
            try:
                quality = self.measures.quality(candidate)
            except (QuantizeError, ModelError, ProviderError) as error:
                self.trials[candidate] = Trial(candidate, stage, reason=str(error))
            else:
                self.trials[candidate] = Trial(candidate, stage, quality)
                made.append(candidate)
        return made

    def _time(self, candidates: Sequence[Candidate]) -> None:
        """Time candidates beside float, some at a time."""
        for at in range(0, len(candidates), GROUP):
            group = candidates[at : at + GROUP]
            if not self.budget.allows(lane=len(group) + 1):
                self.cut.append(self.trials[group[0]].stage)
                return
            self._show(f"latency of {'; '.join(map(str, group))}")
            self._time_group(group, self.short_s)

    def _time_again(self, finalists: Sequence[Candidate]) -> bool:
        """Time all finalists in one run, as long as the time suffices for; False for not at all."""
        self.budget.reserve = 0.0
        for times in (FINAL, FINAL // 2, 1):
            if self.budget.left > self._last_lane_s(times) * (len(finalists) + 1):
                self._show(f"the finalists: {'; '.join(map(str, finalists))}")
                self._time_group(finalists, times * self.short_s)
                return True
        self.cut.append("final")
        return False

    def _last_lane_s(self, times: int) -> float:
        """Say what a candidate costs in a run so many times as long as the short ones."""
        speed = self.trials[self.float].speed
        timed_s = self.short_s if speed is None else max(speed.timed_s, self.short_s)
        return self.budget.cost("lane") + (times - 1) * timed_s

    def _time_group(self, group: Sequence[Candidate], duration_s: float) -> None:
        everyone = [self.float, *(each for each in group if each != self.float)]
        try:
            speeds = self.measures.speeds(everyone, duration_s)
        except (ModelError, ProviderError) as error:
            if not group:
                raise
            if len(group) == 1:
                self._note(group[0], str(error))
                return
            for each in group:
                self._time_group([each], duration_s)
            return
        for candidate, speed in zip(everyone, speeds, strict=True):
            known = self.trials[candidate]
            self.trials[candidate] = dataclasses.replace(known, speed=speed)

    def _ranking(self, candidate: Candidate) -> list[tuple[str, float]]:
        if not self.budget.allows(ranking=1, quality=1, lane=self._lanes):
            self.cut.append("exclusions")
            return []
        self._show(f"{candidate}: layers by their damage")
        try:
            found = self.measures.ranking(candidate)
        except (QuantizeError, ModelError, ProviderError):
            return []
        self.rankings[str(candidate)] = found
        return found

    def _promising(self, recipes: Iterable[str]) -> list[Candidate]:
        """Give the bases of some recipes that may win once they are accurate enough, best first."""
        tried = (self._base(name) for name in recipes)
        known = [self.trials[each] for each in tried if self._measured(each)]
        return [trial.candidate for trial in sorted(known, key=self._promise)][:KEEP]

    def _best(self) -> list[Candidate]:
        """Give what the goal allows and what may beat float, the best first."""
        known = [
            self.trials[each]
            for each in self.trials
            if each != self.float and self._measured(each) and self._admissible(each)
        ]
        able = [trial for trial in known if self._may_win(trial)]
        return [trial.candidate for trial in sorted(able, key=self._promise)]

    def _may_win(self, trial: Trial) -> bool:
        if self.goal.objective == "size":
            return _size(trial) < _size(self.trials[self.float])
        return trial.speed is not None and trial.speed.may_be_faster

    def _promise(self, trial: Trial) -> tuple[float, float]:
        ratio = _ratio(trial)
        return (_size(trial), ratio) if self.goal.objective == "size" else (ratio, _size(trial))

    def _most_accurate(self, recipe: str) -> Candidate:
        tried = [
            trial
            for each, trial in self.trials.items()
            if each.recipe == recipe and not each.exclude and trial.quality is not None
        ]
        return max(tried, key=lambda trial: self._accuracy(trial.candidate)).candidate

    def _better(self, one: Candidate, other: Candidate) -> bool:
        return self._accuracy(one) > self._accuracy(other)

    def _accuracy(self, candidate: Candidate) -> tuple[float, float]:
        quality = self.trials[candidate].quality
        assert quality is not None
        return self.goal.accuracy(quality), quality.sqnr_db

    def _admissible(self, candidate: Candidate) -> bool:
        mine, floats = self.trials[candidate].quality, self.trials[self.float].quality
        return mine is not None and floats is not None and self.goal.admits(mine, floats)

    def _measured(self, candidate: Candidate) -> bool:
        return candidate in self.trials and self.trials[candidate].quality is not None

    def _verdict(self, candidate: Candidate) -> str:
        speed = self.trials[candidate].speed
        return "unknown" if speed is None else speed.verdict

    def _base(self, recipe: str) -> Candidate:
        return self._at_first(Candidate(recipe, self.space.options.get(recipe, ())))

    def _at_first(self, candidate: Candidate) -> Candidate:
        return dataclasses.replace(
            candidate, threads=self.space.threads[0], optimization=self.space.optimizations[0]
        )

    def _note(self, candidate: Candidate, reason: str) -> None:
        self.trials[candidate] = dataclasses.replace(self.trials[candidate], reason=reason)

    def _show(self, text: str) -> None:
        self.progress(min(1.0, self.budget.spent / self.budget.seconds), text)

    def _nothing(self) -> str:
        within = [c for c in self.trials if c.recipe != FLOAT and self._admissible(c)]
        if not within:
            return "nothing that was tried keeps the accuracy"
        if self.goal.objective == "size":
            return "nothing that keeps the accuracy is smaller"
        return "nothing that keeps the accuracy is faster by its whole interval"

    def _wins(self, winner: Candidate) -> str:
        trial = self.trials[winner]
        if self.goal.objective == "size":
            share = _size(self.trials[self.float]) / _size(trial)
            return f"{winner} is the smallest that keeps the accuracy ({share:.2f}x smaller)"
        assert trial.speed is not None
        low, high = trial.speed.ci95
        return (
            f"{winner} is the fastest that keeps the accuracy, {1 / trial.speed.ratio:.2f}x "
            f"({1 / high:.2f} to {1 / low:.2f}) as fast as float"
        )


def _ladder(count: int) -> list[int]:
    """Give 1, 2, 4, ... up to half of the layers, at least 1 where there are two."""
    steps = []
    step = 1
    while step <= count // 2:
        steps.append(step)
        step *= 2
    return steps


def _ratio(trial: Trial) -> float:
    return float("inf") if trial.speed is None else trial.speed.ratio


def _size(trial: Trial) -> int:
    assert trial.quality is not None
    return trial.quality.size_bytes
