"""Names in, languages out: an app around the transformer's bundle, with numpy and onnxruntime only.

    python app.py ../../artifacts/transformer Müller Rossi

It reads what it needs from the bundle's manifest and never imports edgekit: copy it, and the
bundle, into your own app.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort


class Classifier:
    """A text classifier: `classify(["Rossi"]) -> [("Italian", 0.98)]`."""

    def __init__(self, bundle: Path, variant: str = "fp32") -> None:
        manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
        path = next(v["file"]["path"] for v in manifest["variants"] if v["name"] == variant)
        self.session = ort.InferenceSession(bundle / path, providers=["CPUExecutionProvider"])
        self.labels: list[str] = manifest["labels"]
        self.spec = manifest["preprocessing"]
        offset = self.spec["offset"]
        self.ids = {character: offset + i for i, character in enumerate(self.spec["alphabet"])}

    def classify(self, texts: list[str]) -> list[tuple[str, float]]:
        """Give the likeliest label of each text and its probability."""
        (probabilities,) = self.session.run(None, {self.spec["input"]: self.encode(texts)})
        best = probabilities.argmax(axis=1)
        return [(self.labels[i], float(row[i])) for i, row in zip(best, probabilities, strict=True)]

    def encode(self, texts: list[str]) -> "np.ndarray[tuple[int, ...], np.dtype[np.int32]]":
        """Turn texts into ids `('batch', 'time')`, padded to the longest."""
        spec = self.spec
        lowered = [text.lower() if spec["lowercase"] else text for text in texts]
        cut = [text[: spec["max_length"]] for text in lowered]
        ids = np.full((len(cut), max(map(len, cut))), spec["padding"], np.int32)
        for row, text in zip(ids, cut, strict=True):
            row[: len(text)] = [self.ids.get(character, spec["unknown"]) for character in text]
        return ids


def main() -> None:
    """Classify the texts of the command line."""
    if len(sys.argv) < 3:
        sys.exit(f"usage: {sys.argv[0]} BUNDLE TEXT...")
    texts = sys.argv[2:]
    for text, (label, score) in zip(
        texts, Classifier(Path(sys.argv[1])).classify(texts), strict=True
    ):
        print(f"{text}: {label} ({score:.0%})")


if __name__ == "__main__":
    main()
