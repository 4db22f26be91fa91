"""Run a model once on what a user has, and say what the answer means. Needs numpy only."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from edgekit import files, inputs
from edgekit.bundle import Bundle
from edgekit.errors import FeedError, OutputError
from edgekit.reference import Reference
from edgekit.report import json
from edgekit.runtime.explain import shares
from edgekit.runtime.runner import open_runner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.runtime.placement import Placement
    from edgekit.runtime.runner import RunOptions
    from edgekit.signature import Array, Feeds, Outputs, Signature


@dataclass(frozen=True)
class Prediction:
    """The likeliest label of one sample with its score, and the runners-up, best first."""

    label: str
    score: float
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Inference:
    """What a model answered, where it ran, and what was asked.

    `source` says where the inputs came from; `predictions` has one entry a sample where the model
    has labels, else it is empty.
    """

    model: str
    variant: str
    provider: str
    placement: Placement
    source: str
    outputs: Outputs
    predictions: tuple[Prediction, ...]


def infer(
    model: str | Path,
    given: str | None = None,
    *,
    variant: str | None = None,
    top: int = 3,
    profile: bool = False,
    **run: Unpack[RunOptions],
) -> Inference:
    """Run a model on an input (see `edgekit.inputs`), or on a sample of its reference.

    `run` is how it is run (`RunOptions`). Where several providers run a part each, or with
    `profile`, each one's share of the time is added, from more runs of the same input. Raises
    `FeedError` for an input that does not fit, `ProviderError` for a provider that is not there, or
    that cannot run all of the model.
    """
    bundle = Bundle.open(model) if Path(model).is_dir() else None
    with open_runner(bundle or model, variant=variant, **run) as runner:
        if given is None:
            source, feeds = _sample(bundle, variant, runner.signature)
        else:
            spec = bundle.manifest.preprocessing if bundle else None
            source = "stdin" if given == "-" else given
            feeds = inputs.read(given, runner.signature, spec, sys.stdin)
        outputs = runner.run(feeds)
        placement = runner.placement
        if profile or len(placement.nodes) > 1:
            placement = shares(runner, feeds, **run)
        labels = bundle.manifest.labels if bundle else ()
        return Inference(
            model=str(model),
            variant=bundle.variant(variant).name if bundle else Path(model).name,
            provider=runner.provider,
            placement=placement,
            source=source,
            outputs=outputs,
            predictions=predictions(outputs, labels, top),
        )


def save(result: Inference, out: Path, *, force: bool = False) -> None:
    """Write the outputs as `.npz`, or the whole result as `.json`."""
    if out.suffix not in {".npz", ".json"}:
        raise OutputError(f"The output {str(out)!r} is neither .npz nor .json: give one of them.")
    with files.new_file(out, force=force) as path:
        if out.suffix == ".npz":
            with path.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **result.outputs)
        else:
            path.write_text(json.dumps(json.inference(result)) + "\n", encoding="utf-8")


def _sample(bundle: Bundle | None, variant: str | None, signature: Signature) -> tuple[str, Feeds]:
    entry = bundle.reference_of(bundle.variant(variant)) if bundle else None
    if bundle is None or entry is None:
        return "a seeded sample", signature.sample()
    reference = Reference.load(bundle.file(entry))
    return "the first reference sample", next(reference.batches(signature, 1)).inputs


def predictions(outputs: Outputs, labels: Sequence[str], top: int) -> tuple[Prediction, ...]:
    """Name the likeliest labels of the first output, where it has a score a label.

    Raises `FeedError` where a score is not finite: there is no likeliest one then.
    """
    scores = next(iter(outputs.values()))
    if {"top_labels", "top_probabilities"} <= outputs.keys():
        named = zip(outputs["top_labels"], outputs["top_probabilities"], strict=True)
        return tuple(_named(labels, values, top) for labels, values in named)
    if not labels or scores.ndim != 2 or scores.shape[1] != len(labels):
        return ()
    if not np.isfinite(scores).all():
        raise FeedError("The model answered NaN or infinity: check the input, or try --variant.")
    return tuple(_prediction(row, labels, top) for row in scores)


def _named(labels: Array, values: Array, top: int) -> Prediction:
    """Take what the model itself has named, the likeliest first."""
    ranked = tuple((str(label), float(v)) for label, v in zip(labels, values, strict=True))
    return Prediction(*ranked[0], top=ranked[: max(top, 1)])


def _prediction(row: np.ndarray[Any, Any], labels: Sequence[str], top: int) -> Prediction:
    best = np.argsort(-row, kind="stable")[: max(top, 1)]
    ranked = tuple((labels[i], float(row[i])) for i in best)
    return Prediction(*ranked[0], top=ranked)
