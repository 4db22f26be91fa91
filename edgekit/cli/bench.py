"""The command that times: bench."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli import options

if TYPE_CHECKING:
    from typing import Unpack

    from edgekit.runtime.runner import ProviderOptions


@click.command(
    epilog="Examples: edgekit bench | edgekit bench artifacts/cnn artifacts/rnn --duration 5 | "
    "edgekit bench artifacts/cnn --variant int8 --threads 2 --batch 8"
)
@click.argument("models", nargs=-1, type=click.Path(path_type=Path))
@click.option("--variant", "variants", multiple=True, help="Variants; left out, all of a bundle.")
@options.run_options
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True)
@click.option(
    "--duration",
    type=click.FloatRange(min=0, min_open=True),
    default=2.0,
    show_default=True,
    help="Seconds of measuring for each candidate.",
)
@options.seed_option
@options.json_option
def bench(
    models: tuple[Path, ...],
    variants: tuple[str, ...],
    threads: int,
    batch: int,
    duration: float,
    seed: int,
    as_json: bool,
    **run: Unpack[ProviderOptions],
) -> None:
    """Time MODELS: each in a process of its own, interleaved, with intervals.

    Several models, or the variants of one, are compared by paired ratios with the first. Load time
    and first run are told apart from the steady state.
    """
    from edgekit.latency import benchmark
    from edgekit.report.text.latency import latency
    from edgekit.whole import record_latencies

    with options.progress_bar() as progress:
        report = benchmark(
            list(models) or [options.model_path(None)],
            variants=variants or "all",
            threads=threads,
            batch=batch,
            duration_s=duration,
            seed=seed,
            on_progress=lambda done: progress(done, "measuring"),
            **run,
        )
    record_latencies(report)
    options.emit(lambda: report, lambda: latency(report), as_json=as_json)
