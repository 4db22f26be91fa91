"""Find the fastest or smallest file of a model that keeps its accuracy, by measuring.

`candidates` is the table of what is tried, `search` the order and the choice, `workplace` makes
and measures candidates, `task` says what accuracy is, `budget` keeps the time, `ledger` and
`remembering` let a search that was killed go on. `results` has the values that come out.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from edgekit import bundle as bundles
from edgekit import files, parity
from edgekit.bundle import Bundle, FileEntry
from edgekit.latency.results import counted
from edgekit.quantizer import SAMPLES, QuantizeOptions
from edgekit.runtime.providers import rows_of
from edgekit.tuner.budget import Budget
from edgekit.tuner.candidates import space_for
from edgekit.tuner.ledger import Ledger
from edgekit.tuner.remembering import Remembering
from edgekit.tuner.results import FLOAT, OBJECTIVES, Candidate, Goal, Row, Speed, Tuned
from edgekit.tuner.search import search
from edgekit.tuner.subject import subject_of
from edgekit.tuner.summary import summed_up
from edgekit.tuner.task import task_of
from edgekit.tuner.workplace import Workplace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgekit.quantizer.sources import Source
    from edgekit.runtime.runner import ProviderOptions
    from edgekit.tuner.task import Task

__all__ = ["FLOAT", "OBJECTIVES", "Candidate", "Goal", "Row", "Speed", "Tuned", "tune"]

VARIANT = "tuned"
TIME_BUDGET_S = 300.0
MAX_DROP = 0.005


def tune(
    model: str | Path | Bundle,
    *,
    objective: str = "latency",
    max_drop: float = MAX_DROP,
    min_sqnr_db: float | None = None,
    time_budget_s: float = TIME_BUDGET_S,
    evaluate: str | Path | None = None,
    calibration: Source | None = None,
    samples: int = SAMPLES,
    recipes: Sequence[str] | None = None,
    threads: Sequence[int] | None = None,
    seed: int = 0,
    variant: str = VARIANT,
    out: str | Path | None = None,
    force: bool = False,
    progress: Callable[[float, str], None] | None = None,
    **options: Unpack[ProviderOptions],
) -> Tuned:
    """Search for the best file of a bundle's float variant, or of an `.onnx` file, and write it.

    `objective` is `latency` or `size`. A candidate's metric may be `max_drop` below float's, in
    the metric's unit; where there are no labels its outputs have `min_sqnr_db` at least (left out,
    what int8 is allowed, `parity.TOLERANCES`), which is asked for beside labels too where it is
    given. `evaluate` is an `.npz` of inputs by name with `targets`, or `module:function`, which
    takes something with `run(feeds)` and gives a number, higher is better; left out, a bundle's
    own. `recipes` are names to try instead of those that suit the provider; `threads` the counts
    to try, left out 1 and all cores. `options` are those of `edgekit.open`.

    The search ends within `time_budget_s` seconds, but for a step that takes longer than any of
    its kind before. What it measured is in a ledger beside the output (`.ledger.jsonl`), and is not
    measured again for the same model, data, machine and versions.

    The winner becomes a bundle's variant, or the file `NAME.tuned.onnx`; where float stays best
    nothing is written but what was measured, into the bundle's manifest. The same measurements give
    the same order of candidates and the same winner; measured times differ from run to run.

    Raises what `quantize` and `edgekit.open` raise for float; `OutputError` for an existing output.
    """
    _check(objective, time_budget_s, max_drop, threads)
    budget = Budget(time_budget_s)
    origin, source = _opened(model)
    target = _target(origin, source, variant, out)
    files.check_other(target, source)
    files.check_free(target, force=force)
    task = task_of(origin, evaluate)
    goal = _goal(objective, task, max_drop, min_sqnr_db)
    row = rows_of(options.get("provider", "cpu"))[0]
    space = space_for(row, objective, recipes=recipes, threads=threads or _counts())
    quantizing: QuantizeOptions = {"calibration": calibration, "samples": samples}
    with tempfile.TemporaryDirectory() as folder:
        place = Workplace(
            origin or source,
            Path(folder),
            task,
            quantizing=quantizing,
            running=options,
            seed=seed,
            stop=lambda: budget.left < budget.reserve,
        )
        ledger = Ledger(
            target.with_suffix(".ledger.jsonl"),
            subject_of(place, task, options, seed),
        )
        measures = Remembering(place, ledger, budget)
        outcome = search(space, goal, measures, budget, progress)
        tuned = dataclasses.replace(
            summed_up(outcome, goal, str(source), row.alias),
            seed=seed,
            budget_s=time_budget_s,
            spent_s=budget.spent,
            measured=len(ledger.added),
            remembered=len(ledger.recalled),
            ledger=str(ledger.path),
            conditions=place.conditions,
        )
        return _written(tuned, outcome.winner, place, origin if out is None else None, target)


def _check(
    objective: str, time_budget_s: float, max_drop: float, threads: Sequence[int] | None
) -> None:
    if objective not in OBJECTIVES:
        raise ValueError(f"objective is {objective!r}: give one of {', '.join(OBJECTIVES)}")
    if not (time_budget_s > 0 and max_drop >= 0):
        raise ValueError(
            f"time_budget_s is {time_budget_s} and max_drop {max_drop}: give more than 0 seconds "
            "and a drop of at least 0"
        )
    if threads is not None and (not threads or min(threads) < 1):
        raise ValueError(f"threads are {list(threads)}: give at least one count, 1 or more")


def _opened(model: str | Path | Bundle) -> tuple[Bundle | None, Path]:
    if isinstance(model, Bundle):
        return model, model.path
    path = Path(model)
    return (Bundle.open(path), path) if path.is_dir() or not path.exists() else (None, path)


def _target(origin: Bundle | None, source: Path, variant: str, out: str | Path | None) -> Path:
    if out is not None:
        return Path(out)
    if origin is not None:
        return origin.path / f"model.{variant}.onnx"
    return source.with_name(f"{source.stem}.{variant}.onnx")


def _goal(objective: str, task: Task, max_drop: float, min_sqnr_db: float | None) -> Goal:
    if min_sqnr_db is None and task.metric_name is None:
        min_sqnr_db = parity.TOLERANCES["int8"].min_sqnr_db
    return Goal(objective, task.metric_name, max_drop, min_sqnr_db)


def _counts() -> tuple[int, ...]:
    """Give 1 and the number of cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return tuple(sorted({1, cores or 1}))


def _written(
    tuned: Tuned, winner: Candidate, place: Workplace, bundle: Bundle | None, target: Path
) -> Tuned:
    """Write the winner's file, unless it is float, and what was measured into the manifest."""
    if winner.recipe == FLOAT:
        if bundle is not None:
            _record(bundle, bundle.floats[0].name, tuned)
        return tuned
    made = place.made(winner)
    with files.new_file(target, force=True) as path:
        shutil.copyfile(made.path, path)
    name = target.name.removeprefix("model.").removesuffix(".onnx")
    tuned = dataclasses.replace(
        tuned, path=str(target), variant=name if bundle is not None else None
    )
    if bundle is not None and place.bundle is not None:
        scratch = place.bundle.variant(made.variant)
        added = dataclasses.replace(scratch, name=name, file=FileEntry.of(target), measured={})
        _record(bundle.add(added), name, tuned)
    return tuned


def _record(bundle: Bundle, variant: str, tuned: Tuned) -> None:
    """Note the whole search, and the variant's own metric and latency where others look."""
    goal = tuned.goal
    (row,) = (row for row in tuned.rows if row.winner)
    noted: dict[str, tuple[str, Any]] = {
        "tuning": (f"{tuned.provider}, {goal.objective}", dataclasses.asdict(tuned))
    }
    if row.metric is not None:
        noted["metric"] = (tuned.provider, row.metric)
    if row.speed is not None:
        where = f"{tuned.provider}, {counted(row.threads, 'thread')}, batch 1"
        if row.optimization != "all":
            where = f"{where}, optimization {row.optimization}"
        noted["latency"] = (where, {"p50_ms": row.speed.p50_ms, **row.speed.details})
    for kind, (conditions, value) in noted.items():
        bundle = bundles.try_record(bundle, variant, kind, conditions, value)
