"""What a piece of documentation is about, with numpy and onnxruntime only.

    python app.py BUNDLE "Draw a box and whisker plot."

The words, the labels and the model's file are in the bundle's folder.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort


class Classifier:
    """`classify("Draw a histogram.") -> [("plots", 0.97), ...]`, the likeliest first."""

    def __init__(self, bundle: Path) -> None:
        manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(
            bundle / manifest["variants"][0]["file"]["path"],
            options,
            providers=["CPUExecutionProvider"],
        )
        self.labels: list[str] = manifest["labels"]
        words = (bundle / "words.txt").read_text(encoding="utf-8").split()
        self.ids = {word: number for number, word in enumerate(words, 2)}

    def classify(self, text: str) -> list[tuple[str, float]]:
        """Every label with its probability."""
        (probabilities,) = self.session.run(None, {"tokens": encode([text], self.ids)})
        order = np.argsort(-probabilities[0])
        return [(self.labels[i], float(probabilities[0, i])) for i in order]


LENGTH = 64


def words_of(text: str) -> list[str]:
    """The first 64 words of a text, in lower case."""
    return re.findall(r"[a-z]+", text.lower())[:LENGTH]


def encode(texts: list[str], ids: dict[str, int]) -> np.ndarray:
    """Ids of the words `(batch, time)` int32: 0 is padding, 1 a word that is not known."""
    found = [[ids.get(word, 1) for word in words_of(text)] or [1] for text in texts]
    tokens = np.zeros((len(found), max(map(len, found))), np.int32)
    for row, known in zip(tokens, found, strict=True):
        row[: len(known)] = known
    return tokens


def main() -> None:
    """Classify the texts of the command line."""
    if len(sys.argv) < 3:
        sys.exit(f"usage: {sys.argv[0]} BUNDLE TEXT...")
    classifier = Classifier(Path(sys.argv[1]))
    for text in sys.argv[2:]:
        (label, share), (second, other) = classifier.classify(text)[:2]
        print(f"{text} {label} ({share:.0%}), then {second} ({other:.0%})")


if __name__ == "__main__":
    main()
