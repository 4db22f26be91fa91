"""A time budget that is kept: what a step will cost is told by what its kind cost before."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Budget:
    """Seconds to spend, and what each kind of step costs at most, as far as was seen."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._start = clock()
        self._costs: dict[str, float] = {}
        #: What is kept back for the last step.
        self.reserve = 0.0
        #: What the last step took.
        self.last = 0.0

    @property
    def spent(self) -> float:
        """The seconds since the start."""
        return self._clock() - self._start

    @property
    def left(self) -> float:
        """The seconds until the end; less than 0 after it."""
        return self.seconds - self.spent

    def cost(self, kind: str) -> float:
        """Give the most that a step of a kind cost so far; 0 where none was made."""
        return self._costs.get(kind, 0.0)

    def allows(self, **steps: int) -> bool:
        """Whether so many steps of each kind will end before the reserve is needed."""
        expected = sum(self.cost(kind) * count for kind, count in steps.items())
        return self.left - self.reserve > expected

    def learn(self, kind: str, seconds: float) -> None:
        """Note what a step cost, in this run or an earlier one."""
        self._costs[kind] = max(self.cost(kind), seconds)

    @contextlib.contextmanager
    def step(self, kind: str, count: int = 1) -> Iterator[None]:
        """Take the time of so many steps of a kind."""
        begun = self._clock()
        yield
        self.last = self._clock() - begun
        self.learn(kind, self.last / count)
