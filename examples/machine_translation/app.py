"""English emoji names into German, letter by letter, with numpy and onnxruntime only.

    python app.py FOLDER "red car" "sleeping cat"

The encoder runs once a name, the decoder once a letter: what it knows of the letters before comes
back as `past` and goes in again. The search, greedy or by beam, is here, outside the graphs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort


class Translator:
    """`translate(["red car"]) -> ["rotes auto"]`."""

    def __init__(self, folder: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.encoder, self.decoder = (
            ort.InferenceSession(folder / name, options, providers=["CPUExecutionProvider"])
            for name in ("encoder.onnx", "decoder.onnx")
        )
        self.spec = json.loads((folder / "text.json").read_text(encoding="utf-8"))
        (past,) = (value for value in self.decoder.get_inputs() if value.name == "past")
        self.depth = past.shape[2]

    def encode(self, text: str) -> np.ndarray:
        """Letters as ids `(1, time)`."""
        alphabet, offset = self.spec["alphabet"], self.spec["offset"]
        letters = text.lower()[: self.spec["max_length"]]
        found = [alphabet.find(letter) for letter in letters]
        return np.array([[offset + i if i >= 0 else self.spec["unknown"] for i in found]], np.int32)

    def decode(self, tokens: list[int]) -> str:
        """Ids as letters, special ids left out."""
        offset = self.spec["offset"]
        return "".join(self.spec["alphabet"][i - offset] for i in tokens if i >= offset)

    def translate(self, texts: list[str], width: int = 4) -> list[str]:
        """The best translation that a beam of `width` finds; 1 is greedy search."""
        return [self.decode(self.search(self.encode(text), width)) for text in texts]

    def search(self, source: np.ndarray, width: int) -> list[int]:
        """The tokens with the highest mean log-probability, of `width` candidates a step."""
        (cross,) = self.encoder.run(["cross"], {"source": source})
        scores, beams = np.zeros(1), [[self.spec["start"]]]
        past = np.zeros((1, 0, self.depth), np.float32)
        done: list[tuple[float, list[int]]] = []
        for _ in range(self.spec["max_length"] + 1):
            ones = (len(beams), 1)
            logits, past = self.decoder.run(
                ["logits", "present"],
                {
                    "token": np.array([[beam[-1]] for beam in beams], np.int32),
                    "past": past,
                    "cross": np.tile(cross, (*ones, 1)),
                    "source": np.tile(source, ones),
                },
            )
            totals = (scores[:, None] + log_softmax(logits)).reshape(-1)
            best = np.argsort(-totals)[:width]
            rows, tokens = np.divmod(best, logits.shape[1])
            grown = [[*beams[row], int(token)] for row, token in zip(rows, tokens, strict=True)]
            ended = tokens == self.spec["end"]
            for index in np.flatnonzero(ended):
                done.append((totals[best[index]] / len(grown[index]), grown[index]))
            going = np.flatnonzero(~ended)
            if len(done) >= width or not len(going):
                break
            beams, scores = [grown[i] for i in going], totals[best[going]]
            past = past[rows[going]]  # each beam takes the memory of the one it grew from
        return max(done, default=(0.0, beams[0]))[1]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities along the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def main() -> None:
    """Translate the names of the command line."""
    if len(sys.argv) < 3:
        sys.exit(f"usage: {sys.argv[0]} FOLDER NAME...")
    for text, german in zip(
        sys.argv[2:], Translator(Path(sys.argv[1])).translate(sys.argv[2:]), strict=True
    ):
        print(f"{text}: {german}")


if __name__ == "__main__":
    main()
