"""What a validation found: results, and what counts as a failure of which name.

=================  ==============================================================================
`shape`, `dtype`   an output is missing, or has another shape or dtype than is expected
`nan`              NaN or infinity where a finite number is expected
`reference`        the reference itself is not finite
`tolerance`        an element is further from the expected one than atol + rtol allow
`sqnr`             the whole output is further from the expected one than its least SQNR
`degenerate`       no output of the reference tells one sample from another: it proves nothing
`batch-dependent`  the answer for a sample depends on the others of its batch, beyond tolerance
`run`              the engine opened the model and failed at these inputs
=================  ==============================================================================

Dynamic quantisation is batch-dependent by nature: it takes one range for a whole batch. The size
of the effect is what matters to a user, so it is judged as any other error is, against the
tolerance of the variant's precision, and said whenever it is more than float's rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit.cases import REFERENCE, lengths_text
from edgekit.parity import TOLERANCES

if TYPE_CHECKING:
    from edgekit.debug import Finding
    from edgekit.parity import OutputParity, Tolerance
    from edgekit.runtime.placement import Placement


@dataclass(frozen=True)
class Check:
    """How a variant answered one set of inputs: the evidence by output.

    `inputs` is `reference` or the name of an edge, `axes` the lengths of the free axes other than
    the batch; the evidence is the worst over the batches of that size. `error` is why the engine
    did not run them. `counted` is off for an int8 variant beyond the range of the reference: it
    clips there by design, which is said and is no verdict.
    """

    inputs: str
    batch: int
    axes: dict[str, int]
    expected_from: str
    outputs: tuple[OutputParity, ...]
    error: str | None = None
    counted: bool = True

    @property
    def passed(self) -> bool:
        """Whether it ran, and every output is within tolerance."""
        return self.error is None and all(output.passed for output in self.outputs)

    @property
    def where(self) -> str:
        """Say which inputs these are: `batch 3, time 1, inputs 'zeros'`."""
        parts = [f"batch {self.batch}", lengths_text(self.axes)]
        parts += [f"inputs {self.inputs!r}"] if self.inputs != REFERENCE else []
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Failure:
    """One thing that is wrong: its name (see above), where, and the numbers."""

    kind: str
    where: str
    detail: str


@dataclass(frozen=True)
class VariantParity:
    """One variant on one provider: the evidence, case by case, and the task's metric.

    `asked` is the provider that was asked for, `provider` the one that ran most of it.
    `batch_effect` compares the samples alone with the same samples in one batch, on this provider.
    `finding` is the node that a failure comes from, where it was searched for and found.
    """

    variant: str
    precision: str
    asked: str
    provider: str
    placement: Placement
    tolerance: Tolerance
    checks: tuple[Check, ...]
    batch_effect: tuple[OutputParity, ...] = ()
    metric: float | None = None
    finding: Finding | None = None

    @property
    def passed(self) -> bool:
        """Whether nothing failed that counts."""
        return not self.failures

    @property
    def outputs(self) -> dict[int, tuple[OutputParity, ...]]:
        """The evidence at the lengths of the reference itself, by batch size."""
        own = self.checks[0].axes
        return {
            check.batch: check.outputs
            for check in self.checks
            if check.inputs == REFERENCE and check.axes == own
        }

    @property
    def compared(self) -> tuple[Check, ...]:
        """The checks that compare it with something else: the float file at other lengths does not.

        Those say that it runs there, and whether it is batch-dependent.
        """
        itself = f"{self.variant} on {self.provider}"
        return tuple(check for check in self.checks if check.expected_from != itself)

    @property
    def degenerate(self) -> bool:
        """Whether no output of the reference tells one sample from another."""
        outputs = self.outputs[max(self.outputs)]
        return bool(outputs) and all(output.degenerate for output in outputs)

    @property
    def batch_dependent(self) -> bool:
        """Whether a sample's answer depends on its batch by more than the rounding of float."""
        floor = TOLERANCES["fp32"].min_sqnr_db or 0.0
        return any(
            not output.passed or (output.sqnr_db is not None and output.sqnr_db < floor)
            for output in self.batch_effect
        )

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Everything that is wrong, the cause of others first."""
        found = [
            Failure("batch-dependent", f"output {o.name!r}", f"alone and in its batch: {o.detail}")
            for o in self.batch_effect
            if not o.passed
        ]
        if self.degenerate:
            found.append(
                Failure(
                    "degenerate",
                    "the reference",
                    "every sample has the same answer, so it proves nothing; "
                    "give other reference inputs",
                )
            )
        for check in self.checks:
            if not check.counted:
                continue
            if check.error is not None:
                found.append(Failure("run", check.where, check.error))
            found += [
                Failure(str(o.failure), f"{check.where}, output {o.name!r}", str(o.detail))
                for o in check.outputs
                if not o.passed
            ]
        return tuple(found)

    def worst(self, inputs: str | None = None) -> tuple[Check, OutputParity] | None:
        """Give the check and output that failed, else those with the least SQNR, then error.

        `inputs` leaves only the checks of one kind of input. None where nothing ran.
        """
        rows = [
            (check, output)
            for check in self.compared
            if inputs is None or check.inputs == inputs
            for output in check.outputs
        ]
        return max(rows, key=_badness, default=None)


def _badness(row: tuple[Check, OutputParity]) -> tuple[bool, float, float]:
    _, output = row
    sqnr = -200.0 if output.sqnr_db is None else output.sqnr_db
    return not output.passed, -sqnr, output.max_abs_error or 0.0


#: The steps at which a provider that works refuses a variant.
LIMITS = ("placement", "session")


@dataclass(frozen=True)
class Refused:
    """A variant that a ready provider did not open: the step that failed, why, and what to do.

    `placement` means that it does not have all of the operators, `session` that it could not
    prepare them, as for a type that the device lacks: a limit of it, and no failure of its own.
    Any other step is one: the provider was found ready, and is not.
    """

    variant: str
    precision: str
    provider: str
    step: str
    reason: str
    fix: str | None = None

    @property
    def counted(self) -> bool:
        """Whether it makes the verdict a no."""
        return self.step not in LIMITS


@dataclass(frozen=True)
class ParityReport:
    """The variants of a model against its reference, on a provider or on every ready one.

    `notes` says what was left out, and why; `worst_case` whether edge inputs were tried.
    """

    model: str
    metric_name: str | None
    variants: tuple[VariantParity, ...]
    refused: tuple[Refused, ...] = ()
    notes: tuple[str, ...] = ()
    worst_case: bool = False

    @property
    def passed(self) -> bool:
        """Whether every variant passed, and every provider ran at least one of them."""
        return (
            all(variant.passed for variant in self.variants)
            and not any(refused.counted for refused in self.refused)
            and not self.idle
        )

    @property
    def idle(self) -> tuple[str, ...]:
        """The ready providers that ran none of the variants."""
        ran = {variant.asked for variant in self.variants}
        return tuple(dict.fromkeys(r.provider for r in self.refused if r.provider not in ran))

    @property
    def providers(self) -> tuple[str, ...]:
        """The providers that were asked for, in order."""
        asked = (*(v.asked for v in self.variants), *(r.provider for r in self.refused))
        return tuple(dict.fromkeys(asked))
