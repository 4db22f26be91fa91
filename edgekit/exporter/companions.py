"""What goes into a bundle beside a model of the user's own: labels, preprocessing, data.

A named model brings all of it; for any other, whoever exports it says what there is. It is checked
against the model before anything is written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from edgekit import files
from edgekit.errors import FeedError, SourceError, one_line
from edgekit.preprocess import KINDS
from edgekit.signature import Signature
from model_defs.metrics import METRICS

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.exporter.sources import Source

Array = np.ndarray[Any, np.dtype[Any]]
TARGETS = "targets"
#: Samples of the reference where the source brings none.
SAMPLES = 4
#: Keys of `--about FILE.json`.
WORDS = ("labels", "metric", "preprocessing", "task")


class Companions(TypedDict, total=False):
    """The keywords of `export` for what a manifest and a bundle hold beside the model.

    `labels` name the classes: of a model with one output, those of its last axis. `preprocessing`
    is one of the kinds of `edgekit.preprocess`. `calibration` are inputs by name, one row a sample,
    to quantise with; `evaluation` are held-out inputs by name and their `targets`, scored by
    `metric` (`accuracy`, `row_accuracy`, `token_accuracy`, `mean_iou`). `task` is a word of the
    user's.
    """

    labels: Sequence[str] | None
    metric: str | None
    preprocessing: Mapping[str, Any] | None
    task: str | None
    calibration: Mapping[str, Any] | None
    evaluation: Mapping[str, Any] | None


def read(about: Path | None, calibration: Path | None, evaluation: Path | None) -> Companions:
    """Read them from files: JSON with the words, `.npz` files with the data."""
    found: Companions = {}
    if about is not None:
        found |= _words(about)
    if calibration is not None:
        found["calibration"] = files.load_arrays(calibration)
    if evaluation is not None:
        found["evaluation"] = files.load_arrays(evaluation)
    return found


def _words(path: Path) -> Companions:
    import json

    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(
            f"The file {str(path)!r} cannot be read as JSON ({one_line(error)}): give an object "
            f"with {', '.join(WORDS)}."
        ) from error
    unknown = sorted(set(raw) - set(WORDS)) if isinstance(raw, dict) else ["no object"]
    if unknown:
        raise SourceError(
            f"The file {str(path)!r} has {', '.join(map(repr, unknown))}: give an object with "
            f"{', '.join(WORDS)}."
        )
    words: Companions = raw
    return words


def attach(source: Source, given: Companions) -> Source:
    """Give a source with these; raises `SourceError` or `FeedError` where one does not fit."""
    about = {key: given[key] for key in WORDS if given.get(key) is not None}  # type: ignore[literal-required] # WORDS are its keys
    _check_words(source, about)
    changes: dict[str, Any] = {"about": source.about | about}
    signature = Signature(source.inputs, ())
    calibration = given.get("calibration")
    if calibration is not None:
        changes["calibration"] = _rows(signature, calibration, "calibration")
    evaluation = given.get("evaluation")
    if evaluation is not None:
        changes["evaluation"] = _scored(signature, evaluation)
        if (source.about | about).get("metric") is None:
            raise SourceError(
                "There is evaluation data and no metric to score it with: give one of "
                f"{', '.join(METRICS)}."
            )
    real = changes.get("evaluation", {}).get("inputs") or changes.get("calibration")
    if source.reference is None and real is not None:
        changes["reference"] = {name: array[:SAMPLES] for name, array in real.items()}
    return dataclasses.replace(source, **changes)


def _check_words(source: Source, about: dict[str, Any]) -> None:
    labels = about.get("labels", ())
    if isinstance(labels, str) or not all(isinstance(label, str) for label in labels):
        raise SourceError(f"The labels are {labels!r:.60}: give a list of strings, one a class.")
    metric = about.get("metric")
    if metric is not None and metric not in METRICS:
        raise SourceError(f"There is no metric {metric!r}: give one of {', '.join(METRICS)}.")
    spec = about.get("preprocessing")
    if spec is None:
        return
    names = [spec.name for spec in source.inputs]
    if not isinstance(spec, Mapping) or spec.get("kind") not in KINDS:
        raise SourceError(
            f"The preprocessing is {spec!r:.60}: give an object whose kind is one of "
            f"{', '.join(KINDS)}."
        )
    if spec.get("input") not in names:
        raise SourceError(
            f"The preprocessing is for the input {spec.get('input')!r} and the model takes "
            f"{', '.join(map(repr, names))}: name one of them."
        )
    wrong = [
        key for key, kind in KINDS[spec["kind"]].items() if not isinstance(spec.get(key), kind)
    ]
    if wrong:
        raise SourceError(
            f"The preprocessing of kind {spec['kind']!r} has {spec.get(wrong[0])!r:.40} at "
            f"{wrong[0]!r}: give a {KINDS[spec['kind']][wrong[0]].__name__}."
        )


def check_labels(labels: Sequence[str], signature: Signature) -> None:
    """Raise `SourceError` where the one output has another number of classes on its last axis."""
    output = signature.outputs[0]
    classes = output.shape[-1] if output.shape else None
    if (
        labels
        and len(signature.outputs) == 1
        and isinstance(classes, int)
        and classes != len(labels)
    ):
        raise SourceError(
            f"There are {len(labels)} labels and the output {output.name!r} has {classes} classes: "
            "give one label a class."
        )


def _rows(signature: Signature, given: Mapping[str, Any], what: str) -> dict[str, Array]:
    checked = signature.check({name: np.asarray(array) for name, array in given.items()})
    counts = {name: len(array) if array.ndim else 0 for name, array in checked.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise FeedError(
            f"The {what} data has {counts} samples: give the same number of each input, at least "
            "one."
        )
    return checked


def _scored(signature: Signature, given: Mapping[str, Any]) -> dict[str, dict[str, Array]]:
    if TARGETS not in given:
        raise FeedError(
            f"The evaluation data has {', '.join(map(repr, given))} and no {TARGETS!r}: give the "
            "inputs by name, and the right answers as 'targets'."
        )
    targets = np.asarray(given[TARGETS])
    inputs = _rows(
        signature, {name: array for name, array in given.items() if name != TARGETS}, "evaluation"
    )
    rows = len(next(iter(inputs.values())))
    if targets.ndim == 0 or len(targets) != rows:
        raise FeedError(
            f"The evaluation data has {rows} samples and targets of shape {targets.shape}: give "
            "one target a sample."
        )
    return {"inputs": inputs, "targets": {"": targets}}
