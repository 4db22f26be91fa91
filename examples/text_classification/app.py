"""Which language a surname is of, read letter by letter, with numpy and onnxruntime only.

    python app.py BUNDLE Kowalski Rossi

The alphabet, the labels and the name of the model's file are in the bundle's manifest.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort


class Classifier:
    """`classify("Rossi") -> [("Italian", 0.9), ...]`, the likeliest first."""

    def __init__(self, bundle: Path, variant: str | None = None) -> None:
        manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
        variants = {known["name"]: known["file"]["path"] for known in manifest["variants"]}
        self.path = variants[variant or manifest["variants"][0]["name"]]
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(
            bundle / self.path, options, providers=["CPUExecutionProvider"]
        )
        self.labels: list[str] = manifest["labels"]
        self.spec = manifest["preprocessing"]

    def encode(self, text: str) -> np.ndarray:
        """Ids `(1, time)` of the letters; no padding, since a network of this kind needs none."""
        spec = self.spec
        letters = (text.lower() if spec["lowercase"] else text)[: spec["max_length"]]
        found = [spec["alphabet"].find(letter) for letter in letters]
        ids = [spec["offset"] + i if i >= 0 else spec["unknown"] for i in found]
        return np.array([ids], np.int32)

    def classify(self, text: str) -> list[tuple[str, float]]:
        """Every label with its probability."""
        (probabilities,) = self.session.run(None, {self.spec["input"]: self.encode(text)})
        order = np.argsort(-probabilities[0])
        return [(self.labels[i], float(probabilities[0, i])) for i in order]


def main() -> None:
    """Classify the names of the command line, each with a bar for the three likeliest."""
    if len(sys.argv) < 3:
        sys.exit(f"usage: {sys.argv[0]} BUNDLE NAME...")
    classifier = Classifier(Path(sys.argv[1]))
    for text in sys.argv[2:]:
        print(text)
        for label, share in classifier.classify(text)[:3]:
            print(f"  {label:<16} {share:4.0%} {'█' * round(30 * share)}".rstrip())


if __name__ == "__main__":
    main()
