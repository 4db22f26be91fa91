"""Two sides of a comparison, run side by side with some of their inner tensors as outputs.

Without a second side, a tensor is bad where it is no number, and nothing is compared.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit import parity
from edgekit.debug import graphs
from edgekit.errors import EdgekitError, ModelError, ProviderError
from edgekit.runtime.runner import open_runner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from edgekit.parity import Array, OutputParity, Tolerance
    from edgekit.runtime.runner import RunOptions
    from edgekit.signature import Feeds, Outputs

#: What the expected tensor is fed as, where it takes the place of ours.
FED = "edgekit_expected"
#: How many nodes further on a difference may last and still be one that heals.
HEALING_STEPS = 4


@dataclass(frozen=True)
class Side:
    """One of the two: a file, how it is run, and what reports call it."""

    path: Path
    label: str
    precision: str
    options: RunOptions


class Vanished(Exception):  # noqa: N818 - it carries an answer, and is no error
    """The outputs agree as soon as a tensor is read."""

    def __init__(self, tensor: int) -> None:
        super().__init__(tensor)
        self.tensor = tensor


class Pair:
    """Both sides with the tensors they share, and everything that was seen of them.

    `failed` is the first output that is wrong, None where there is none. `evidence` has what was
    seen of each tensor by its number in `shared`, None where it cannot be compared.
    """

    def __init__(
        self, ours: Side, theirs: Side | None, feeds: Feeds, tolerance: Tolerance, folder: Path
    ) -> None:
        self.ours, self.theirs, self.feeds, self.tolerance = ours, theirs, feeds, tolerance
        self.same_file = theirs is None or ours.path == theirs.path
        self.left = self.right = graphs.copy(ours.path, folder / "ours")
        if theirs is not None and not self.same_file:
            self.right = graphs.copy(theirs.path, folder / "theirs")
        self.shared = graphs.share(self.left, self.right)
        self.evidence: dict[int, OutputParity | None] = {}
        self.expected: dict[int, Array] = {}
        self.actual: dict[int, Array] = {}
        self.runs = 0
        #: Without a second side: whether infinities are looked for as well as NaN.
        self.infinities = False
        self.failed = self._first_failed()

    @property
    def start(self) -> int:
        """The number of the output that failed."""
        assert self.failed is not None
        return self.shared.ours.index(self.failed.name)

    def probe(self, tensors: Sequence[int]) -> list[bool | None]:
        """Tell which tensors are bad, running both sides once for those that are new.

        Raises `Vanished` where the output is right as soon as one of them is read.
        """
        new = [tensor for tensor in tensors if tensor not in self.evidence]
        if new and not self._look(new):
            # One of them cannot be an output: each is tried alone.
            for tensor in new:
                if not self._look([tensor]):
                    self.evidence[tensor] = None
        return [self._is_bad(self.evidence[tensor]) for tensor in tensors]

    def repaired(self, tensor: int) -> tuple[OutputParity, OutputParity] | None:
        """Compare the failed output with our tensor fed from outside, and with the expected one.

        The first is the control: taken apart, the graph may run elsewhere. None where neither can
        be run, or where the control is right.
        """
        if self.theirs is None or self.failed is None or tensor == self.start:
            return None
        name, output, want = self.shared.ours[tensor], self.failed.name, self.expected[self.start]
        got = self.actual[tensor]
        with np.errstate(over="ignore"):
            values = got, self.expected[tensor].astype(got.dtype)
        target = self.left.with_name("repaired.onnx")
        # A provider may not take all of a graph in parts; the control tells whether that matters.
        ours = dataclasses.replace(self.ours, options=self.ours.options | {"allow_fallback": True})
        try:
            graphs.replace(self.left, name, got, FED, target)
            found = [
                parity.compare_output(
                    output,
                    want,
                    _run(ours, target, {**self.feeds, FED: value}).get(output),
                    self.tolerance,
                )
                for value in values
            ]
        except EdgekitError:
            return None
        return None if found[0].passed else (found[0], found[1])

    def heals(self, tensor: int) -> bool:
        """Whether what is made of a bad tensor is soon good again, on all ways to the output."""
        on_the_way = self.shared.ancestors[self.start] | 1 << self.start
        bad = {tensor}
        for _ in range(HEALING_STEPS):
            made = [
                other
                for other, parents in enumerate(self.shared.parents)
                if on_the_way >> other & 1 and any(parents >> each & 1 for each in bad)
            ]
            if not made:
                return False
            bad = {t for t, is_bad in zip(made, self.probe(made), strict=True) if is_bad}
            if not bad:
                return True
        return False

    def _is_bad(self, evidence: OutputParity | None) -> bool | None:
        if evidence is None:
            return None
        if self.theirs is None:
            return bool(evidence.nan_count or (self.infinities and evidence.inf_count))
        return not evidence.passed

    def _first_failed(self) -> OutputParity | None:
        got, want = self._run_both(self.left, self.right)
        if want is None:
            failed = [o for o in map(numbers, got, got.values()) if not o.passed]
            self.infinities = not any(output.nan_count for output in failed)
        else:
            failed = [o for o in parity.compare(want, got, self.tolerance) if not o.passed]
        known = [output for output in failed if output.name in self.shared.ours]
        if failed and not known:
            raise ModelError(
                f"The two files share no tensor that leads to the output {failed[0].name!r}: "
                f"give two files of one model, not {self.ours.label} and "
                f"{self.theirs.label if self.theirs else 'itself'}."
            )
        if not known:
            return None
        first = min(known, key=lambda output: self.shared.ours.index(output.name))
        number = self.shared.ours.index(first.name)
        self._keep(number, got[first.name], want[first.name] if want else None)
        if want is not None:
            self.evidence[number] = first
        return first

    def _look(self, tensors: Sequence[int]) -> bool:
        """Read tensors of both sides; False where an engine will not give them."""
        left, right = self.left.with_name("look.onnx"), self.right.with_name("look_theirs.onnx")
        try:
            graphs.mark(self.left, [self.shared.ours[t] for t in tensors], left)
            if self.theirs is not None:
                graphs.mark(self.right, [self.shared.theirs[t] for t in tensors], right)
            got, want = self._run_both(left, right)
        except (ModelError, ProviderError):
            return False
        if want is not None and self._is_right(want, got):
            if len(tensors) == 1:
                raise Vanished(tensors[0])
            return False
        for tensor in tensors:
            theirs = want[self.shared.theirs[tensor]] if want is not None else None
            self._keep(tensor, got[self.shared.ours[tensor]], theirs)
        return True

    def _is_right(self, want: Outputs, got: Outputs) -> bool:
        assert self.failed is not None
        name = self.failed.name
        return parity.compare_output(name, want[name], got.get(name), self.tolerance).passed

    def _keep(self, tensor: int, got: Array, want: Array | None) -> None:
        name = self.shared.ours[tensor]
        self.actual[tensor] = got
        if want is None:
            self.evidence[tensor] = numbers(name, got)
            return
        self.expected[tensor] = want
        # One name for two things, in files of two tools, is not a wrong shape.
        alike = self.same_file or want.shape == got.shape
        self.evidence[tensor] = inner_parity(name, want, got, self.tolerance) if alike else None

    def _run_both(self, left: Path, right: Path) -> tuple[Outputs, Outputs | None]:
        self.runs += 1
        got = _run(self.ours, left, self.feeds)
        return got, None if self.theirs is None else _run(self.theirs, right, self.feeds)


def _run(side: Side, path: Path, feeds: Mapping[str, Any]) -> Outputs:
    with open_runner(path, **side.options) as runner:
        return runner.run(feeds)


def inner_parity(name: str, want: Array, got: Array, tolerance: Tolerance) -> OutputParity | None:
    """Compare an inner tensor at its own scale, in whatever dtype it has.

    `atol` grows with the largest value. What is infinite or NaN on both sides, as a mask may be,
    is equal. None where there is nothing to compare with: strings, or no finite number expected.
    """
    if want.dtype.kind not in "fiub" or got.dtype.kind not in "fiub":
        return None
    want, got = want.astype(np.float64), got.astype(np.float64)
    if want.shape == got.shape:
        same = ~np.isfinite(want) & ((want == got) | (np.isnan(want) & np.isnan(got)))
        want, got = np.where(same, 0.0, want), np.where(same, 0.0, got)
    if tolerance.atol is not None and want.size:
        most = float(np.abs(want[np.isfinite(want)]).max(initial=1.0))
        tolerance = dataclasses.replace(tolerance, atol=tolerance.atol * most)
    evidence = parity.compare_output(name, want, got, tolerance)
    return None if evidence.failure == "reference" else evidence


def numbers(name: str, got: Array) -> OutputParity:
    """Count what is no number in a tensor, with the place of the first."""
    if got.dtype.kind != "f" or np.isfinite(got).all():
        return parity.compare_output(name, got, got, parity.Tolerance(None))
    found = parity.compare_output(name, np.zeros_like(got), got, parity.Tolerance(None))
    bad = np.isnan(got) if np.isnan(got).any() else np.isinf(got)
    at = tuple(int(i) for i in np.argwhere(bad)[0])
    return dataclasses.replace(found, index=at, actual=float(got[at]))
