"""Measurements with a memory: what the ledger knows is not measured again, and costs no time."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from edgekit.errors import ModelError, ProviderError, QuantizeError
from edgekit.tuner.results import FLOAT, Quality, Speed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgekit.tuner.budget import Budget
    from edgekit.tuner.ledger import Ledger
    from edgekit.tuner.results import Candidate
    from edgekit.tuner.search import Measures

REFUSED = "refused"


class Remembering:
    """Asks the ledger first; notes what each measurement cost, for the budget."""

    def __init__(self, measures: Measures, ledger: Ledger, budget: Budget) -> None:
        self.measures, self.ledger, self.budget = measures, ledger, budget

    def quality(self, candidate: Candidate) -> Quality:
        """Give the quality; a refusal is remembered too."""

        def measure() -> dict[str, Any]:
            try:
                return dataclasses.asdict(self.measures.quality(candidate))
            except (QuantizeError, ModelError, ProviderError) as error:
                if candidate.recipe == FLOAT:
                    raise  # it is no candidate that may be left out
                return {REFUSED: str(error)}

        # Threads change no answer.
        what = dataclasses.asdict(dataclasses.replace(candidate, threads=1))
        found = self._known("quality", what, measure)
        if REFUSED in found:
            raise QuantizeError(found[REFUSED])
        return Quality(**{**found, "notes": tuple(found["notes"])})

    def speeds(self, candidates: Sequence[Candidate], duration_s: float) -> list[Speed]:
        """Give the speeds; what is known was timed as long, beside the same first one."""
        first = candidates[0]
        known = {each: self._speed(each, first, duration_s) for each in candidates}
        missing = [each for each in candidates if known[each] is None]
        if missing:
            asked = [first, *(each for each in missing if each != first)]
            with self.budget.step("lane", len(asked)):
                speeds = self.measures.speeds(asked, duration_s)
            for each, speed in zip(asked, speeds, strict=True):
                cost = self.budget.last / len(asked)
                self.ledger.add("speed", _pair(each, first), dataclasses.asdict(speed), cost)
                known[each] = speed
        return [speed for speed in known.values() if speed is not None]

    def ranking(self, candidate: Candidate) -> list[tuple[str, float]]:
        """Give the ranking."""

        def measure() -> dict[str, Any]:
            return {"layers": self.measures.ranking(candidate)}

        found = self._known("ranking", dataclasses.asdict(candidate.file), measure)
        return [(name, float(level)) for name, level in found["layers"]]

    def _known(
        self, kind: str, what: dict[str, Any], measure: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        known = self.ledger.find(kind, what)
        if known is not None:
            self.budget.learn(kind, known[1])
            return known[0]
        with self.budget.step(kind):
            value = measure()
        self.ledger.add(kind, what, value, self.budget.last)
        return value

    def _speed(self, candidate: Candidate, first: Candidate, duration_s: float) -> Speed | None:
        known = self.ledger.find("speed", _pair(candidate, first))
        if known is None or known[0]["duration_s"] < duration_s:
            return None
        self.budget.learn("lane", known[1])
        return Speed(**{**known[0], "ci95": tuple(known[0]["ci95"])})


def _pair(candidate: Candidate, first: Candidate) -> dict[str, Any]:
    return {"candidate": dataclasses.asdict(candidate), "beside": dataclasses.asdict(first)}
