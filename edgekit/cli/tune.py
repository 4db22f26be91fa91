"""The command that searches for the best variant: tune."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import options
from edgekit.cli.bench import Counts

if TYPE_CHECKING:
    from pathlib import Path

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Duration(click.ParamType[float]):
    """A time such as `90s`, `5m` or `1h`."""

    name = "TIME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read it as seconds, more than 0."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", str(value).strip())
        if match is None or float(match[1]) == 0:
            self.fail(f"{value!r} is not a time such as 90s, 5m or 1h.", param, ctx)
        return float(match[1]) * _UNITS[match[2]]


@click.command(
    epilog="Examples: edgekit tune | edgekit tune artifacts/cnn --max-drop 0.01 --time-budget 2m | "
    "edgekit tune artifacts/cnn --objective size | "
    "edgekit tune model.onnx --calibration samples.npz --evaluate labelled.npz | "
    "edgekit tune model.onnx --calibration samples.npz --evaluate package.module:score"
)
@options.model_argument
@click.option(
    "--objective",
    type=click.Choice(["latency", "size"]),
    default="latency",
    show_default=True,
    help="What the winner has least of.",
)
@click.option(
    "--max-drop",
    type=click.FloatRange(min=0),
    default=0.005,
    show_default=True,
    help="What the metric may be below float's, in its own unit.",
)
@click.option(
    "--min-sqnr",
    type=float,
    help="The least SQNR of the outputs beside float, in dB; where there are no labels it is 20.",
)
@click.option(
    "--time-budget",
    type=Duration(),
    default="5m",
    show_default=True,
    help="When to end, such as 90s or 5m; a search that was ended goes on with what it measured.",
)
@click.option(
    "--evaluate",
    metavar="FILE.npz|MODULE:FUNCTION",
    help="Inputs by name with `targets`, or a function that takes a runner and gives a number, "
    "higher is better; left out, the bundle's held-out data.",
)
@click.option(
    "--calibration",
    metavar="SOURCE",
    help="Calibration data, as for quantize; left out, the model's training data.",
)
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    help="A recipe to try, may be repeated; left out, those that suit the provider.",
)
@click.option(
    "--threads",
    type=Counts(),
    help="Threads inside of a run to try, such as 1,2; left out, 1 and all cores.",
)
@options.run_options
@options.seed_option
@click.option(
    "--variant", default="tuned", show_default=True, help="What a bundle calls the winner."
)
@options.out_option
@options.force_option
@options.json_option
def tune(
    model: Path | None,
    min_sqnr: float | None,
    time_budget: float,
    recipes: tuple[str, ...],
    as_json: bool,
    **settings: Any,
) -> None:
    """Find the fastest or smallest variant of MODEL that keeps its accuracy, by measuring.

    MODEL is a bundle or an .onnx file. Recipes, layers left in float, graph optimisations and
    thread counts are tried; each is judged on held-out data and timed in a process of its own, in
    turns with float. The winner is written as a variant; float is kept where nothing beats it by
    the whole interval, which is no failure.
    """
    from edgekit.report import json
    from edgekit.report.text.tune import tuned
    from edgekit.tuner import tune as search

    path = options.model_path(model)
    with options.progress_bar() as progress:
        found = search(
            path,
            min_sqnr_db=min_sqnr,
            time_budget_s=time_budget,
            recipes=recipes or None,
            progress=progress,
            **settings,
        )
    options.emit(lambda: json.plain(found), lambda: tuned(found), as_json=as_json)
