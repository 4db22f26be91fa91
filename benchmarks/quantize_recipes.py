"""Each recipe against float: SQNR, the task's metric, size and 1-thread latency, as one table.

::

    python -m benchmarks.quantize_recipes artifacts/cnn artifacts/rnn [--duration 4] [--rows 512]

The bundles are copied and left alone. The SQNR is of the first output over the held-out samples,
against the float file; `worst` is that of the worst sample. `ratio` is the paired ratio of p50
latencies with its 95% interval: below 1 is faster than float.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from edgekit import metrics
from edgekit.bundle import Bundle
from edgekit.errors import QuantizeError
from edgekit.latency import LatencyReport, benchmark
from edgekit.parity import sqnr_db
from edgekit.quantizer import RECIPES, Recipe, quantize
from edgekit.runtime.runner import open_runner

Array = np.ndarray[Any, np.dtype[Any]]
HEAD = "variant                  SQNR dB  worst dB  metric   size B    size   p50 us   ratio (95%)"


def answers(bundle: Bundle, variant: str, rows: int) -> Array:
    """Give the first output of a variant for held-out inputs."""
    data = bundle.data("evaluation")
    if data is None:
        raise SystemExit(f"{bundle.path} has no evaluation data")
    with open_runner(bundle, variant=variant) as runner:
        outputs = runner.run({name: array[:rows] for name, array in data["inputs"].items()})
    return next(iter(outputs.values()))


def table(bundle: Bundle, report: LatencyReport, rows: int) -> None:
    """Print a row a variant; the first is float."""
    variants = bundle.manifest.variants
    base = answers(bundle, variants[0].name, rows)
    for index, variant in enumerate(variants):
        got = answers(bundle, variant.name, rows)
        worst = min(sqnr_db(want, have) for want, have in zip(base, got, strict=True))
        with open_runner(bundle, variant=variant.name) as runner:
            metric = metrics.evaluate(bundle, runner)
        ratio = (
            "1"
            if not index
            else "{0.ratio:.2f} ({0.ci95[0]:.2f} to {0.ci95[1]:.2f})".format(
                report.ratios[index - 1]
            )
        )
        print(
            f"{variant.name:24} {sqnr_db(base, got):7.1f}  {worst:8.1f}  "
            f"{'-' if metric is None else format(metric, '.4f'):6} "
            f"{variant.file.size_bytes:8}  "
            f"{variant.file.size_bytes / variants[0].file.size_bytes:6.3f}  "
            f"{report.results[index].p50_ms * 1000:7.1f}   {ratio}"
        )


def candidates(names: list[str]) -> list[tuple[Recipe, str | None]]:
    """Give the recipes of these names, or all that need no choice of layers, in every form."""
    chosen = [recipe for recipe in RECIPES.values() if recipe.name in (names or RECIPES)]
    return [
        (recipe, form)
        for recipe in chosen
        if not recipe.needs_exclusions
        for form in (None, *recipe.forms[1:])
    ]


def main() -> None:
    """Copy each bundle, add every recipe's variant, and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--duration", type=float, default=4.0, help="seconds a variant is timed")
    parser.add_argument("--rows", type=int, default=512, help="held-out samples for the SQNR")
    parser.add_argument("--recipes", nargs="+", default=[], help="these only")
    given = parser.parse_args()
    for path in given.bundles:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(shutil.copytree(path, Path(folder) / path.name))
            print(f"\n{path.name}\n{HEAD}")
            for recipe, form in candidates(given.recipes):
                variant = f"{recipe.variant}-{form}" if form else None
                try:
                    made = quantize(copy, recipe.name, variant=variant, form=form, force=True)
                    for note in made.notes:
                        print(f"  {made.variant}: {note}")
                except QuantizeError as error:
                    print(f"  {recipe.name} {form or ''}: {error}")
            bundle = Bundle.open(copy)
            report = benchmark(
                bundle,
                variants=[variant.name for variant in bundle.manifest.variants],
                duration_s=given.duration,
            )
            table(bundle, report, given.rows)


if __name__ == "__main__":
    main()
