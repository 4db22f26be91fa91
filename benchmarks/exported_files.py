"""edgekit's files against every other way to run the same Keras model, interleaved in one run.

    python benchmarks/exported_files.py [--models rnn gru] [--threads 1 2] [--batch 1 8]

Columns: the file of `edgekit.export`; one written by hand; tf2onnx's `from_function` over
`tf.function(model(x, training=False))`; Keras's own `model.export(format="onnx")`; LiteRT with
XNNPACK; OpenVINO on edgekit's file; Keras itself, as a `tf.function`. Each output is compared with
Keras first, and a way that fails says why. Times are medians in microseconds. In brackets is the
median, over rounds in which all take turns, of edgekit's time over that way's time in the same
round: below 1 edgekit is faster. LiteRT and OpenVINO need the extra `peers`. `--clock cpu` takes
the time that each process computes: for one thread, on a machine that has more to do.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import handwritten
import numpy as np
from networks import Network, networks
from peers import CLOCKS, Array, Candidate

import edgekit
from edgekit.errors import one_line
from edgekit.exporter import frameworks, sources, trace
from edgekit.exporter import peers as converters

#: How each way makes its file, and the engine that runs it.
ENGINES = {
    "edgekit": "onnxruntime",
    "by hand": "onnxruntime",
    "tf2onnx": "onnxruntime",
    "Keras export": "onnxruntime",
    "LiteRT": "litert",
    "OpenVINO": "openvino",
    "Keras": "keras",
}
BLOCK_S = 0.06
PAUSE_S = 0.01
TOLERANCE = 1e-3


class Files:
    """The files of one network; each is made when it is first asked for, once."""

    def __init__(self, name: str, network: Network, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.model = network.model()
        self._made: dict[str, str] = {}

    def path(self, way: str, feeds: Sequence[Array]) -> str:
        """Give a way's file; raises whatever making it raises."""
        fixed = f"-{len(feeds[0])}" if way in ("LiteRT", "Keras") else ""
        key = f"{self.name}-{way}{fixed}".replace(" ", "-")
        if key not in self._made:
            suffix = {"LiteRT": ".tflite", "Keras": ""}.get(way, ".onnx")
            path = self.folder / (key + suffix)
            self._make(way, path, feeds)
            self._made[key] = str(path)
        return self._made[key]

    def _make(self, way: str, path: Path, feeds: Sequence[Array]) -> None:
        if way == "edgekit":
            edgekit.export(self.model, path)
        elif way == "OpenVINO":
            path.symlink_to(self.path("edgekit", feeds))
        elif way == "by hand":
            handwritten.write(self.name, self.model, path)
        elif way == "tf2onnx":
            converters.plain(self.model, sources.input_specs(self.model), path)
        elif way == "Keras export":
            self.model.export(path, format="onnx", verbose=False)
        elif way == "LiteRT":
            path.write_bytes(converters.tflite(self.model, sources.input_specs(self.model), feeds))
        else:
            converters.save_keras(self.model, sources.input_specs(self.model), feeds, path)


def candidates(
    files: Files, feeds: list[Array], threads: int, ways: Sequence[str]
) -> list[Candidate | tuple[str, str]]:
    """Open every way; one that cannot be made is its name and the reason."""
    opened: list[Candidate | tuple[str, str]] = []
    for way in ways:
        if way == "by hand" and files.name not in handwritten.WRITERS:
            opened.append((way, ""))
            continue
        try:
            with converters.quiet():
                path = files.path(way, feeds)
        except Exception as error:  # noqa: BLE001  # a peer fails as it likes; its cell says how
            opened.append((way, f"{type(error).__name__}: {one_line(error)}"[:100]))
            continue
        opened.append(Candidate(way, ENGINES[way], path, feeds, threads))
    return opened


def check(candidate: Candidate, expected: Sequence[Array]) -> None:
    """Set the error of a candidate that does not answer as Keras does."""
    if candidate.error:
        return
    if len(candidate.outputs) != len(expected):
        candidate.error = f"{len(candidate.outputs)} outputs"
        return
    for got, wanted in zip(candidate.outputs, expected, strict=True):
        if got.shape != wanted.shape:
            candidate.error = f"shape {got.shape}"
        elif np.abs(got - wanted).max() > TOLERANCE * max(1e-3, float(np.abs(wanted).max())):
            candidate.error = f"wrong by {np.abs(got - wanted).max():.1e}"


def take_turns(running: Sequence[Candidate], rounds: int, clock: str) -> None:
    """Time every candidate once a round, in an order that changes."""
    order = random.Random(0)
    for candidate in running:
        candidate.time(3 * BLOCK_S, clock)  # warm up
    for _ in range(rounds):
        for candidate in order.sample(list(running), len(running)):
            time.sleep(PAUSE_S)
            candidate.blocks.append(candidate.time(BLOCK_S, clock))


def row(files: Files, network: Network, batch: int, threads: int, arguments: Any) -> list[str]:
    """Measure one network at one batch size and number of threads; give its cells."""
    feeds = network.feeds(files.model, batch)
    specs = sources.input_specs(files.model)
    by_name = dict(zip((s.name for s in specs), feeds, strict=True))
    expected = list(trace.predict(files.model, specs, by_name).values())
    opened = candidates(files, feeds, threads, arguments.ways)
    running = [c for c in opened if isinstance(c, Candidate)]
    try:
        for candidate in running:
            check(candidate, expected)
        take_turns([c for c in running if not c.error], arguments.rounds, arguments.clock)
    finally:
        for candidate in running:
            candidate.close()
    ours = np.array(running[0].blocks)
    return [files.name, str(threads), str(batch), *(cell(c, ours) for c in opened)]


def cell(candidate: Candidate | tuple[str, str], ours: Array) -> str:
    """Write a candidate's median and edgekit's ratio to it, or why there is none."""
    if isinstance(candidate, tuple):
        return candidate[1] or "-"
    if candidate.error:
        return candidate.error
    blocks = np.array(candidate.blocks)
    text = f"{1e6 * np.median(blocks):.0f}"
    if candidate.name == "edgekit":
        return text
    return f"{text} ({np.median(ours / blocks):.2f})"


def main(build: Callable[[], dict[str, Network]] = networks) -> None:
    """Print the table, a row at a time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", nargs="*", metavar="NAME")
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--batch", type=int, nargs="*", default=[1, 8])
    parser.add_argument("--ways", nargs="*", default=list(ENGINES), choices=list(ENGINES))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="wall")
    arguments = parser.parse_args()
    arguments.ways = ["edgekit", *(way for way in arguments.ways if way != "edgekit")]
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    frameworks.load("compare exported files")
    head = ["model", "threads", "batch", *arguments.ways]
    print("|", " | ".join(head), "|\n|", " | ".join("---" for _ in head), "|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, network in build().items():
            if arguments.models and name not in arguments.models:
                continue
            files = Files(name, network, Path(folder))
            for threads in arguments.threads:
                for batch in arguments.batch:
                    cells = row(files, network, batch, threads, arguments)
                    print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
