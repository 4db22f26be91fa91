"""Train a Transformer on documentation, export it, and set it beside tf-idf.

python -m examples.topic_classification.build --out artifacts/topics
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import keras
import numpy as np

import edgekit
from examples.measure import confusion_picture, latency_line
from examples.topic_classification.app import LENGTH, Classifier, encode, words_of
from examples.topic_classification.docstrings import LABELS, Split, data
from model_defs import transformer

VOCABULARY = 6000


def vocabulary(texts: list[str]) -> list[str]:
    """The most frequent words; a word that occurs once says little."""
    counts = Counter(word for text in texts for word in words_of(text))
    return [word for word, count in counts.most_common(VOCABULARY) if count > 1]


def train(split: Split, words: list[str], *, epochs: int = 6, seed: int = 0) -> keras.Model:
    """A Transformer of one block over the words of a text."""
    keras.utils.set_random_seed(seed)
    model = transformer.build(
        vocabulary=len(words) + 2, classes=len(LABELS), blocks=1, heads=4, dropout=0.3
    )
    ids = {word: number for number, word in enumerate(words, 2)}
    steps = epochs * -(-len(split.texts) // 64)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    model.compile(keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy")
    model.fit(encode(split.texts, ids), split.topics, batch_size=64, epochs=epochs, verbose=0)
    return model


def export(model: keras.Model, words: list[str], folder: Path) -> None:
    """Write the bundle and, in its folder, the words."""
    edgekit.export(model, folder, labels=LABELS, task="text-classification", force=True)
    (folder / "words.txt").write_text("\n".join(words) + "\n", encoding="utf-8")


def baseline(train_split: Split, test: Split) -> float:
    """Held-out accuracy of a logistic regression on the same words, weighed by tf-idf."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(analyzer=words_of, sublinear_tf=True),
        LogisticRegression(C=10.0, max_iter=1000),
    )
    model.fit(train_split.texts, train_split.topics)
    return float(np.mean(model.predict(test.texts) == test.topics))


def evaluate(folder: Path, test: Split) -> tuple[float, np.ndarray]:
    """The share that the app gets right, and its answers."""
    app = Classifier(folder)
    answers = np.array([LABELS.index(app.classify(text)[0][0]) for text in test.texts])
    return float(np.mean(answers == test.topics)), answers


def main() -> None:
    """Train, export, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("artifacts/topics"))
    parser.add_argument("--epochs", type=int, default=6)
    arguments = parser.parse_args()
    folder = arguments.out
    known, test = data()
    print(f"{len(known.texts)} texts to train on, {len(test.texts)} held out")
    words = vocabulary(known.texts)
    export(train(known, words, epochs=arguments.epochs), words, folder)
    accuracy, answers = evaluate(folder, test)
    print(f"Transformer, in the app: {accuracy:.3f}")
    print(f"logistic regression on tf-idf: {baseline(known, test):.3f}")
    print(f"most frequent answer: {np.bincount(test.topics).max() / len(test.topics):.3f}")
    path = folder / "model.onnx"
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB, {len(words)} words")
    print(f"{LENGTH // 2} words:", latency_line(path, axes={"time": LENGTH // 2}))
    confusion_picture(test.topics, answers, LABELS, folder / "confusion.png")


if __name__ == "__main__":
    main()
