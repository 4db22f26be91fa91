"""Train a recurrent network on surnames, export it, and set it beside n-grams.

python -m examples.text_classification.build --out artifacts/surnames
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np

import edgekit
from edgekit.bundle import Bundle
from examples.measure import confusion_picture, latency_line
from examples.text_classification.app import Classifier
from model_defs import Dataset
from model_defs.data import surnames
from model_defs.data.text import decode
from model_defs.training import Training, fit


def build(units: int = 64) -> keras.Model:
    """`tokens` `(batch, time)` int32, 0 for padding -> `probabilities` of twelve languages."""
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    vocabulary = len(surnames.ALPHABET) + 2
    x = keras.layers.Embedding(vocabulary, 32, mask_zero=True, name="letters")(tokens)
    x = keras.layers.Bidirectional(keras.layers.GRU(units, name="gru"), name="both_ways")(x)
    x = keras.layers.Dropout(0.3, name="dropout")(x)
    languages = len(surnames.LABELS)
    x = keras.layers.Dense(languages, activation="softmax", name="probabilities")(x)
    return keras.Model([tokens], x, name="surnames")


def train(*, epochs: int = 8, seed: int = 0) -> tuple[keras.Model, Dataset]:
    """The trained network and its data."""
    keras.utils.set_random_seed(seed)
    dataset = surnames.data(seed)
    model = build()
    fit(model, dataset, Training(epochs, batch_size=64, learning_rate=4e-3, clipnorm=1.0))
    return model, dataset


def export(model: keras.Model, dataset: Dataset, folder: Path) -> Bundle:
    """Write the bundle, with what `edgekit infer`, `quantize` and `validate` can use."""
    bundle = edgekit.export(
        model,
        folder,
        labels=dataset.labels,
        preprocessing=dataset.preprocessing,
        task=surnames.TASK,
        metric=surnames.METRIC,
        calibration={name: values[:256] for name, values in dataset.train_inputs.items()},
        evaluation={**dataset.test_inputs, "targets": dataset.test_targets},
        force=True,
    )
    assert isinstance(bundle, Bundle)
    return bundle


def evaluate(
    folder: Path, dataset: Dataset, variant: str | None = None
) -> tuple[float, np.ndarray]:
    """The share of held-out names that the app gets right, and its answers."""
    app = Classifier(folder, variant)
    names = [decode(row, surnames.ALPHABET) for row in dataset.test_inputs["tokens"]]
    labels = list(dataset.labels)
    answers = np.array([labels.index(app.classify(name)[0][0]) for name in names])
    return float(np.mean(answers == dataset.test_targets)), answers


def main() -> None:
    """Train, export, quantise, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("artifacts/surnames"))
    parser.add_argument("--epochs", type=int, default=8)
    arguments = parser.parse_args()
    folder = arguments.out
    model, dataset = train(epochs=arguments.epochs)
    bundle = export(model, dataset, folder)
    name, simple = surnames.baseline(dataset)
    print(f"{name}: {simple:.3f}")
    print(f"most frequent answer: {surnames.majority(dataset):.3f}")
    made = edgekit.quantize(folder, "dynamic-int8", force=True)
    for variant in (bundle.manifest.variants[0].name, made.variant):
        path = folder / Classifier(folder, variant).path
        size = path.stat().st_size / 1024
        accuracy, _ = evaluate(folder, dataset, variant)
        print(f"{variant}: {accuracy:.3f}, {size:.0f} KiB")
        print("  a name of 8 letters:", latency_line(path, axes={"time": 8}))
    _, answers = evaluate(folder, dataset)
    confusion_picture(dataset.test_targets, answers, dataset.labels, folder / "confusion.png")


if __name__ == "__main__":
    main()
