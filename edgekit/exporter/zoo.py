"""The named reference models: trained once, kept as `.keras` under `artifacts/`.

`model_defs` says what each model is and brings its data; this module trains it with a progress
report, keeps the record of how good it became, and cuts the data that goes into the bundle.
"""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit import files
from edgekit.errors import SourceError, needs_extra, one_line
from edgekit.exporter import frameworks
from model_defs import DATA, MODELS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from edgekit.signature import Feeds
    from model_defs import Dataset

#: Models that are exported in parts, in the order in which they feed one another.
PARTS = {"seq2seq": ("encoder", "decoder")}

REFERENCE_SAMPLES = 8
CALIBRATION_SAMPLES = 256
EVALUATION_SAMPLES = 10_000


@dataclass(frozen=True)
class TrainRecord:
    """How good a named model became: its held-out metric beside what little effort would give.

    `majority` is the rate of the most frequent answer, `baseline` the metric of the simple model
    that `baseline_name` names; `seconds` is the time spent in training.
    """

    name: str
    path: Path
    metric_name: str
    metric: float
    majority: float
    baseline_name: str
    baseline: float
    parameters: int
    seed: int
    epochs: int
    options: dict[str, Any]
    seconds: float
    cached: bool = False


@dataclass(frozen=True)
class Trained:
    """A named model with its weights, its data and its record."""

    model: Any
    definition: ModuleType
    dataset: Dataset
    record: TrainRecord


@dataclass(frozen=True)
class Part:
    """What is exported of a named model as one file."""

    model: Any
    reference: Feeds
    calibration: Feeds
    evaluation: dict[str, dict[str, np.ndarray[Any, Any]]] | None
    about: dict[str, Any]


def names() -> tuple[str, ...]:
    """The named models."""
    return tuple(MODELS)


def register() -> None:
    """Import the definitions, so that files with their layers can be loaded."""
    for name in MODELS:
        definition(name)


def definition(name: str) -> ModuleType:
    """Import the module that defines a named model."""
    frameworks.load(f"build the model {name!r}")
    return importlib.import_module(MODELS[name])


def dataset_of(name: str, seed: int = 0) -> Dataset:
    """Load a named model's data from the packages of the extra `zoo`; needs no Keras."""
    with needs_extra(f"load the data of the model {name!r}"):
        dataset: Dataset = importlib.import_module(DATA[name]).data(seed)
    return dataset


def weights_path(name: str, options: Mapping[str, Any], seed: int, artifacts: Path) -> Path:
    """Where a named model's weights are kept: `artifacts/rnn-cell-gru.keras`."""
    words = [name, *(f"{key}-{value}" for key, value in sorted(options.items()))]
    return artifacts / ("-".join([*words, *([f"seed-{seed}"] if seed else [])]) + ".keras")


def load_or_train(
    name: str,
    *,
    options: dict[str, Any] | None = None,
    seed: int = 0,
    epochs: int | None = None,
    artifacts: Path = Path("artifacts"),
    retrain: bool = False,
    progress: Callable[[float, str], None] | None = None,
) -> Trained:
    """Load a named model from its saved weights, or train it and save them.

    Raises `SourceError` for options that the model does not have or weights that do not load.
    """
    options = options or {}
    module = definition(name)
    path = weights_path(name, options, seed, artifacts)
    data = dataset_of(name, seed)
    if path.is_file() and not retrain:
        return Trained(_load(path), module, data, _read_record(path))
    record = train(name, path, options=options, seed=seed, epochs=epochs, progress=progress)
    return Trained(_load(record.path), module, data, record)


def train(
    name: str,
    path: Path,
    *,
    options: dict[str, Any] | None = None,
    seed: int = 0,
    epochs: int | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> TrainRecord:
    """Train a named model and write its weights to `path` and its record beside them."""
    options = options or {}
    module = definition(name)
    from model_defs.training import train as fit

    callbacks = [_progress_callback(progress, f"training {name}")] if progress else []
    start = time.perf_counter()
    try:
        model, data = fit(name, seed=seed, epochs=epochs, callbacks=callbacks, options=options)
    except (TypeError, ValueError) as error:
        if not options:
            raise
        what = "has no such option" if "unexpected keyword" in str(error) else "cannot be built"
        raise SourceError(
            f"The model {name!r} {what} with {options} ({one_line(error)}): see build() in "
            f"{MODELS[name].replace('.', '/')}.py."
        ) from error
    seconds = time.perf_counter() - start
    outputs = model.predict(data.test_inputs, verbose=0)
    baseline_name, baseline = module.baseline(data)
    record = TrainRecord(
        name=name,
        path=path,
        metric_name=module.METRIC,
        metric=float(module.score(outputs, data.test_targets)),
        majority=float(module.majority(data)),
        baseline_name=baseline_name,
        baseline=float(baseline),
        parameters=int(model.count_params()),
        seed=seed,
        epochs=epochs or module.TRAINING.epochs,
        options=options,
        seconds=seconds,
    )
    with files.new_file(path, force=True) as made:
        model.save(made)
    _write_record(record)
    return record


def select(trained: Trained, part: str) -> Part:
    """Cut one exported part out of a trained model, with the data for its bundle."""
    module, data = trained.definition, trained.dataset
    about = {
        "task": module.TASK,
        "labels": data.labels,
        "preprocessing": data.preprocessing,
        "training": _plain(trained.record),
    }
    reference = _evenly(data.test_inputs, REFERENCE_SAMPLES)
    calibration = _evenly(data.train_inputs, CALIBRATION_SAMPLES)
    name = trained.record.name
    if name not in PARTS:
        targets = {"": data.test_targets[:EVALUATION_SAMPLES]}
        inputs = {key: array[:EVALUATION_SAMPLES] for key, array in data.test_inputs.items()}
        about["metric"] = module.METRIC
        return Part(
            trained.model,
            reference,
            calibration,
            {"inputs": inputs, "targets": targets},
            about,
        )
    parts = module.parts(trained.model)
    if part not in parts:
        raise SourceError(
            f"The model {name!r} has no part {part!r}: it has "
            f"{', '.join(f'{name}/{known}' for known in PARTS[name])}."
        )
    # What an earlier part answers is what a later one takes.
    for earlier in itertools.takewhile(lambda known: known != part, PARTS[name]):
        reference |= _answer(parts[earlier], _taken(parts[earlier], reference))
        calibration |= _answer(parts[earlier], _taken(parts[earlier], calibration))
    model = parts[part]
    return Part(model, _taken(model, reference), _taken(model, calibration), None, about)


def _taken(model: Any, arrays: Feeds) -> Feeds:
    return {tensor.name: arrays[tensor.name] for tensor in model.inputs}


def _answer(model: Any, inputs: Feeds) -> Feeds:
    outputs = model.predict(inputs, verbose=0)
    if not isinstance(outputs, dict):
        outputs = {model.output_names[0]: outputs}
    return {key: np.asarray(array) for key, array in outputs.items()}


def _evenly(inputs: Feeds, count: int) -> Feeds:
    """Take samples over the whole of the data: some of it is sorted by class."""
    total = len(next(iter(inputs.values())))
    rows = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))
    return {key: array[rows] for key, array in inputs.items()}


def _load(path: Path) -> Any:
    import keras

    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever a damaged file provokes
        raise SourceError(
            f"The saved weights {str(path)!r} cannot be loaded ({one_line(error)}): delete them, "
            "or train again with --force."
        ) from error


def _record_path(path: Path) -> Path:
    return path.with_suffix(".json")


def _plain(record: TrainRecord) -> dict[str, Any]:
    return dataclasses.asdict(record) | {"path": str(record.path)}


def _write_record(record: TrainRecord) -> None:
    files.write_text(_record_path(record.path), json.dumps(_plain(record), indent=2) + "\n")


def _read_record(path: Path) -> TrainRecord:
    where = _record_path(path)
    try:
        raw = json.loads(where.read_text(encoding="utf-8"))
        return TrainRecord(**(raw | {"path": path, "cached": True}))
    except (OSError, ValueError, TypeError) as error:
        raise SourceError(
            f"The weights {str(path)!r} have no readable record {str(where)!r} "
            f"({one_line(error)}): delete them, or train again with --force."
        ) from error


def _progress_callback(progress: Callable[[float, str], None], text: str) -> Any:
    import keras

    class Report(keras.callbacks.Callback):  # type: ignore[misc] # keras ships no types
        """Tell how far the training is, batch by batch."""

        def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
            steps = self.params["steps"] or 1
            done = (self.epoch + (batch + 1) / steps) / self.params["epochs"]
            progress(done, text)

        def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            self.epoch = epoch

    return Report()
