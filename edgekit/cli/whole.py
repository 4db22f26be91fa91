"""The command that goes the whole way: run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgekit.cli import options

if TYPE_CHECKING:
    from pathlib import Path


@click.command(epilog="Examples: edgekit run transformer | edgekit run rnn --set cell=gru --force")
@click.argument("source")
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    help="A recipe to quantize with; left out, static-int8, dynamic-int8 and fp16.",
)
@click.option("--duration", type=click.FloatRange(min=0, min_open=True), default=2.0)
@options.set_option
@options.seed_option
@options.out_option
@options.artifacts_option
@options.force_option
@options.json_option
@click.pass_context
def run(
    ctx: click.Context,
    source: str,
    recipes: tuple[str, ...],
    duration: float,
    settings: tuple[str, ...],
    seed: int,
    out: Path | None,
    artifacts: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Take SOURCE the whole way: train, export, quantize, validate, bench, report.

    One table at the end: size, parity, the task's metric and latency of every variant. Exit code 1
    where a variant is outside of its tolerance.
    """
    from edgekit.report import json
    from edgekit.report.text.comparison import comparison
    from edgekit.whole import RECIPES
    from edgekit.whole import run as run_all

    with options.progress_bar() as progress:
        results = run_all(
            source,
            out=out,
            recipes=recipes or RECIPES,
            options=options.settings_of(settings),
            seed=seed,
            artifacts=artifacts,
            duration_s=duration,
            force=force,
            progress=progress,
        )
    options.emit(lambda: json.comparison(results), lambda: comparison(results), as_json=as_json)
    ctx.exit(0 if results.passed else 1)
