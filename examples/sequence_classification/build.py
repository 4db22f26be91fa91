"""Train the reference model `rnn` on Japanese vowels, export it, and set it beside a baseline.

python -m examples.sequence_classification.build --out artifacts/speakers
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import edgekit
from examples.measure import confusion_picture, latency_line
from examples.sequence_classification.app import Listener
from model_defs import Dataset
from model_defs.data import vowels
from model_defs.training import train


def utterances(dataset: Dataset) -> list[np.ndarray]:
    """The held-out series, each at its own length `(time, 12)`."""
    padded = dataset.test_inputs["series"]
    return [series[: (series != 0).any(axis=1).sum()] for series in padded]


def evaluate(folder: Path, dataset: Dataset) -> tuple[float, np.ndarray]:
    """The share of held-out utterances that the app gets right, and its answers."""
    labels = list(dataset.labels)
    found = [labels.index(who) for who, _ in Listener(folder).listen(utterances(dataset))]
    answers = np.array(found)
    return float(np.mean(answers == dataset.test_targets)), answers


def main() -> None:
    """Train, export, measure, and leave a file of utterances to try the app with."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("artifacts/speakers"))
    parser.add_argument("--epochs", type=int)
    arguments = parser.parse_args()
    folder = arguments.out
    model, dataset = train("rnn", epochs=arguments.epochs, options={"cell": "gru"})
    edgekit.export(
        model,
        folder,
        labels=dataset.labels,
        preprocessing=dataset.preprocessing,
        task=vowels.TASK,
        metric=vowels.METRIC,
        evaluation={**dataset.test_inputs, "targets": dataset.test_targets},
        force=True,
    )
    accuracy, answers = evaluate(folder, dataset)
    print(f"GRU, in the app: {accuracy:.3f}")
    name, simple = vowels.baseline(dataset)
    print(f"{name}: {simple:.3f}")
    print(f"most frequent answer: {vowels.majority(dataset):.3f}")
    path = folder / "model.onnx"
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB")
    for steps in (7, 29):
        print(f"{steps} steps:", latency_line(path, axes={"time": steps}))
    confusion_picture(dataset.test_targets, answers, dataset.labels, folder / "confusion.png")
    lines = [json.dumps(series.tolist()) for series in utterances(dataset)[::40]]
    (folder / "utterances.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
