"""Who speaks, from a stream of utterances of any length, with numpy and onnxruntime only.

    python app.py BUNDLE utterances.jsonl

A line of the file is one utterance: a list of steps, each a list of 12 cepstral coefficients. Each
is answered as it comes, at its own length; /dev/stdin makes it a stream.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime as ort


class Listener:
    """`hear(series) -> (speaker, probability)`, for float32 series `(time, 12)`."""

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
        self.input: str = manifest["preprocessing"]["input"]
        self.channels: int = manifest["preprocessing"]["channels"]

    def hear(self, series: np.ndarray) -> tuple[str, float]:
        """The likeliest speaker of one utterance."""
        if series.ndim != 2 or series.shape[1] != self.channels:
            shape = " x ".join(map(str, series.shape))
            raise ValueError(f"a series of {shape}; expected steps x {self.channels} numbers")
        (probabilities,) = self.session.run(None, {self.input: series[None]})
        best = int(probabilities[0].argmax())
        return self.labels[best], float(probabilities[0, best])

    def listen(self, stream: Iterable[np.ndarray]) -> Iterator[tuple[str, float]]:
        """An answer for each series of a stream, as it comes."""
        return map(self.hear, stream)


def main() -> None:
    """Answer each line of a file."""
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} BUNDLE FILE.jsonl")
    listener = Listener(Path(sys.argv[1]))
    with Path(sys.argv[2]).open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            series = np.array(json.loads(line), np.float32)
            try:
                speaker, share = listener.hear(series)
            except ValueError as error:
                sys.exit(f"line {number}: {error}")
            print(f"{len(series):3} steps: {speaker} ({share:.0%})", flush=True)


if __name__ == "__main__":
    main()
