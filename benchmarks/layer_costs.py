"""Where the time of a network goes, layer by layer, in edgekit's file and in another engine.

    python benchmarks/layer_costs.py --models cnn transformer4 [--ways LiteRT] [--batch 1]

A network is cut after each layer through which all that follows has to pass. The model up to each
cut is made into a file for each engine, all are timed in turns, and a row is the difference between
two cuts, in microseconds: what the layers between them take. Engines fuse across a cut, so small
differences are noise. LiteRT and OpenVINO need the extra `peers`.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from exported_files import Files, candidates, take_turns
from networks import Network, networks
from peers import CLOCKS, Candidate

from edgekit.exporter import frameworks


def cuts(model: Any) -> list[Any]:
    """Give the layers whose output is all that later ones read, in order."""
    order = [op for op in model.operations if type(op).__name__ != "InputLayer"]
    place = {id(op): i for i, op in enumerate(order)}
    found, reach = [], 0
    for i, op in enumerate(order):
        if reach <= i:
            found.append(op)
        readers = [place[id(node.operation)] for node in op._outbound_nodes]
        later = [reader for reader in readers if reader > i]
        # What is read from here on by anything but the next operation keeps the network open.
        reach = max([reach, *later])
    return found


def parts(network: Network) -> Iterator[tuple[str, Network]]:
    """Give the network up to each cut, by the name of its last layer."""
    import keras

    model = network.build()
    for op in cuts(model):
        part = keras.Model(model.inputs, op.output)
        yield op.name, dataclasses.replace(network, build=functools.partial(_same, part))


def _same(model: Any) -> Any:
    return model


def measure(name: str, network: Network, folder: Path, arguments: Any) -> None:
    """Print the rows of one network."""
    running: list[tuple[str, list[Candidate]]] = []
    try:
        for layer, part in parts(network):
            files = Files(f"{name}-{len(running)}", part, folder)
            feeds = part.feeds(files.model, arguments.batch)
            opened = candidates(files, feeds, 1, ["edgekit", *arguments.ways])
            running.append((layer, [c for c in opened if isinstance(c, Candidate)]))
        take_turns([c for _, each in running for c in each], arguments.rounds, arguments.clock)
        before = np.zeros(1 + len(arguments.ways))
        for layer, each in running:
            now = np.array([1e6 * np.median(c.blocks) for c in each])
            cells = " | ".join(f"{value:.0f}" for value in (*(now - before), *now))
            print(f"| {name} | {layer} | {cells} |", flush=True)
            before = now
    finally:
        for _, each in running:
            for candidate in each:
                candidate.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", nargs="+", metavar="NAME", default=["cnn", "transformer4"])
    parser.add_argument("--ways", nargs="+", default=["LiteRT"], choices=["LiteRT", "OpenVINO"])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="cpu")
    given = parser.parse_args(arguments)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    frameworks.load("compare exported files")
    ways = ["edgekit", *given.ways]
    head = ["network", "up to", *(f"{way} us" for way in ways), *(f"{way} so far" for way in ways)]
    print("|", " | ".join(head), "|\n|", " | ".join("---" for _ in head), "|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in given.models:
            measure(name, networks()[name], Path(folder), given)


if __name__ == "__main__":
    main()
