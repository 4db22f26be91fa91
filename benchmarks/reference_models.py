"""Train every reference model over several seeds and print what it reaches on held-out data.

    python benchmarks/reference_models.py --seeds 0 1 2 --models rnn rnn:lstm

A model's name may carry a recurrent cell after a colon.
"""

from __future__ import annotations

import argparse
import time
from importlib import import_module
from typing import Any

import numpy as np

from model_defs import MODELS

CANDIDATES = ("cnn", "rnn", "rnn:lstm", "rnn:gru", "attention", "transformer", "seq2seq")


def main() -> None:
    """Parse the command line, train, and print the table as Markdown, row by row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", default=CANDIDATES, metavar="NAME[:CELL]")
    arguments = parser.parse_args()
    _row("model", "metric", *(f"seed {seed}" for seed in arguments.seeds), "floor", "majority",
         "baseline", "train s")  # fmt: skip
    _row(*["---"] * (len(arguments.seeds) + 6))
    for candidate in arguments.models:
        measure(candidate, arguments.seeds)


def measure(candidate: str, seeds: list[int]) -> None:
    """Train `candidate` with each of `seeds` and print its row."""
    from model_defs.training import train

    name, _, cell = candidate.partition(":")
    module: Any = import_module(MODELS[name])
    metrics, seconds, baselines, majorities, exact = [], [], [], [], []
    for seed in seeds:
        start = time.perf_counter()
        model, dataset = train(name, seed=seed, options={"cell": cell} if cell else {})
        seconds.append(time.perf_counter() - start)
        outputs = model.predict(dataset.test_inputs, batch_size=256, verbose=0)
        metrics.append(module.score(outputs, dataset.test_targets))
        baselines.append(module.baseline(dataset))
        majorities.append(module.majority(dataset))
        if name == "seq2seq":
            exact.append(exact_match(module, model, dataset))
    values = " / ".join(f"{value:.3f}" for _, value in baselines)
    _row(
        candidate,
        module.METRIC,
        *(f"{metric:.4f}" for metric in metrics),
        f"{module.FLOOR:.2f}",
        f"{np.mean(majorities):.3f}",
        f"{baselines[0][0]}: {values}",
        " / ".join(f"{second:.0f}" for second in seconds),
    )
    if exact:
        print("\ngreedy exact match per seed:", " / ".join(f"{share:.3f}" for share in exact))


def exact_match(module: Any, model: Any, dataset: Any) -> float:
    """Share of the held-out names that greedy decoding gets right to the last letter."""
    source, targets = dataset.test_inputs["source"], dataset.test_targets
    translated = module.translate(model, source, max_length=targets.shape[1])
    return float((translated == targets).all(axis=1).mean())


def _row(*cells: str) -> None:
    print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
