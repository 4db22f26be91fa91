"""What a search found, as the rows of one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.tuner.results import FLOAT, Row, Tuned, front

if TYPE_CHECKING:
    from edgekit.tuner.results import Candidate, Goal, Quality, Trial
    from edgekit.tuner.search import Outcome


def summed_up(outcome: Outcome, goal: Goal, model: str, provider: str) -> Tuned:
    """Make the table; what only the caller knows is left at nothing."""
    of_float = outcome.trials[0].quality
    assert of_float is not None
    best = front(outcome.trials, goal)
    rows = [
        _row(trial, goal, of_float, trial.candidate in best, trial.candidate == outcome.winner)
        for trial in outcome.trials
    ]
    notes = {
        f"{trial.candidate}: {note}": None
        for trial in outcome.trials
        if trial.candidate == outcome.winner and trial.quality is not None
        for note in trial.quality.notes
    }
    return Tuned(
        model=model,
        provider=provider,
        goal=goal,
        rows=tuple(rows),
        winner=str(outcome.winner),
        kept_float=outcome.winner.recipe == FLOAT,
        reason=outcome.reason,
        threads=outcome.winner.threads,
        optimization=outcome.winner.optimization,
        path=None,
        variant=None,
        cut=outcome.cut,
        rankings=outcome.rankings,
        notes=tuple(notes),
        seed=0,
        budget_s=0.0,
        spent_s=0.0,
        measured=0,
        remembered=0,
        ledger="",
        conditions={},
    )


def _row(trial: Trial, goal: Goal, of_float: Quality, on_front: bool, won: bool) -> Row:
    candidate: Candidate = trial.candidate
    quality = trial.quality
    drop = None
    if quality is not None and quality.metric is not None and of_float.metric is not None:
        drop = of_float.metric - quality.metric
    return Row(
        name=str(candidate),
        recipe=candidate.recipe,
        options=dict(candidate.options),
        exclude=candidate.exclude,
        threads=candidate.threads,
        optimization=candidate.optimization,
        stage=trial.stage,
        metric=quality.metric if quality else None,
        drop=drop,
        sqnr_db=quality.sqnr_db if quality else None,
        size_bytes=quality.size_bytes if quality else None,
        speed=trial.speed,
        admissible=goal.admits(quality, of_float) if quality else None,
        front=on_front,
        winner=won,
        reason=trial.reason,
    )
