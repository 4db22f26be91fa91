"""What a candidate is judged by: a metric where there are labels. Needs numpy only."""

from __future__ import annotations

import hashlib
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit import files, metrics
from edgekit.errors import FeedError, one_line
from edgekit.quantizer.sources import import_here

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgekit.bundle import Bundle
    from edgekit.metrics import Answering

TARGETS = "targets"
#: What an `.npz` with targets is judged by where its bundle names no metric.
METRIC = "accuracy"


@dataclass(frozen=True)
class Task:
    """A metric by its name, what computes it, and a digest of what it depends on.

    `metric_name` is None where there are no labels: `score` gives None then. `inputs` are those of
    the labelled data, where there are any.
    """

    metric_name: str | None
    score: Callable[[Answering], float | None]
    digest: str
    inputs: dict[str, Any] | None = None


def task_of(bundle: Bundle | None, evaluate: str | Path | None) -> Task:
    """Give the task that `evaluate` names: an `.npz` with targets or `module:function`.

    Left out, it is a bundle's own metric on its held-out data; without that there is no metric.
    Raises `FeedError` for what does not fit or cannot be imported.
    """
    if evaluate is not None:
        text = str(evaluate)
        if ":" in text and not Path(text).exists():
            return _of_function(text)
        return _of_arrays(Path(text), (bundle and bundle.manifest.metric) or METRIC)
    data = bundle.manifest.data.get("evaluation") if bundle is not None else None
    if bundle is None or data is None or bundle.manifest.metric is None:
        return Task(None, lambda runner: None, "")
    of = bundle
    return Task(of.manifest.metric, lambda runner: metrics.evaluate(of, runner), data.sha256)


def _of_arrays(path: Path, name: str) -> Task:
    flat = {key.partition("/") for key in files.load_arrays(path)}
    groups = files.load_groups(path)
    if {slash for _, slash, _ in flat} == {"/"}:  # as a bundle's evaluation.npz is written
        inputs, targets = groups.get("inputs", {}), groups.get(TARGETS, {}).get("")
    else:
        arrays = {key: group[""] for key, group in groups.items() if "" in group}
        targets = arrays.pop(TARGETS, None)
        inputs = arrays
    if targets is None or not inputs:
        raise FeedError(
            f"The evaluation data {str(path)!r} has the arrays "
            f"{', '.join(sorted(groups)) or 'none'}: give the model's inputs by name, and "
            f"{TARGETS!r} with the right answer of each sample."
        )
    known = targets

    def score(runner: Answering) -> float:
        try:
            return metrics.score(runner, inputs, known, name)
        except ValueError as error:
            raise FeedError(
                f"The {TARGETS} of {str(path)!r} do not fit what the model answers "
                f"({one_line(error)}): give one class a sample."
            ) from error

    return Task(name, score, files.digest(path), inputs)


def _of_function(text: str) -> Task:
    module_name, _, attribute = text.partition(":")
    try:
        function = getattr(import_here(module_name), attribute)
        source = inspect.getsource(inspect.getmodule(function) or function)
    except (ImportError, AttributeError, ValueError, OSError, TypeError) as error:
        raise FeedError(
            f"The function {text!r} cannot be imported ({one_line(error)}): give "
            "package.module:function, importable from here."
        ) from error

    def score(runner: Answering) -> float:
        found = function(runner)
        try:
            return float(found)
        except (TypeError, ValueError) as error:
            raise FeedError(
                f"The function {text!r} gave {found!r:.60}: give one number, higher is better."
            ) from error

    return Task(attribute, score, hashlib.sha256(f"{text}\n{source}".encode()).hexdigest())
