"""The command that times: bench."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli import options

PEERS = ("tf2onnx", "litert", "openvino", "keras")


class Counts(click.ParamType[tuple[int, ...]]):
    """Counts with commas between them: `1,2`."""

    name = "N[,N...]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Read the numbers, each at least 1."""
        words = str(value).split(",")
        if not all(word.strip().isdecimal() and int(word) > 0 for word in words):
            self.fail(f"{value!r} is not a count of threads, or several such as 1,2.", param, ctx)
        return tuple(dict.fromkeys(int(word) for word in words))


class Peers(click.ParamType[tuple[str, ...]]):
    """Names of peers with commas between them."""

    name = "PEER[,PEER...]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Read the names."""
        if isinstance(value, tuple):  # the default
            return value
        words = [word.strip() for word in str(value).split(",")]
        unknown = [word for word in words if word not in PEERS]
        if unknown:
            self.fail(f"{unknown[0]!r} is not one of {', '.join(PEERS)}.", param, ctx)
        return tuple(words)


@click.command(
    epilog="Examples: edgekit bench | edgekit bench artifacts/cnn artifacts/rnn --duration 5 | "
    "edgekit bench artifacts/cnn --threads 1,2 --compare tf2onnx,keras | "
    "edgekit bench artifacts/cnn --variant int8 --scenario offline --batch 8 --replicas 2 | "
    "edgekit bench artifacts/cnn --budget p99=5ms --baseline baseline.json | "
    "edgekit bench artifacts/cnn --history"
)
@click.argument("models", nargs=-1, type=click.Path(path_type=Path))
@click.option("--variant", "variants", multiple=True, help="Variants; left out, all of a bundle.")
@options.run_options
@click.option(
    "--threads",
    type=Counts(),
    default="1",
    show_default=True,
    help="Threads inside of a run; several, such as 1,2, are a candidate each.",
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Samples in a run.",
)
@click.option(
    "--replicas",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Runs that are under way at once, for throughput.",
)
@click.option(
    "--scenario",
    type=click.Choice(["single-stream", "offline"]),
    help="MLPerf's: single-stream is one sample at a time, stated as the p90 latency; offline has "
    "all samples at hand, in batches and replicas as given, stated in samples a second.",
)
@click.option(
    "--duration",
    type=click.FloatRange(min=0, min_open=True),
    default=2.0,
    show_default=True,
    help="Seconds of measuring for each candidate; up to ten times that where a p99 (662 runs) or "
    "a p90 (64 runs) needs them.",
)
@click.option(
    "--compare",
    type=Peers(),
    default=(),
    help="Time peers on the weights of the first bundle as well: tf2onnx (its file), litert, "
    "openvino (edgekit's file), keras. Those with wrong answers are named and not ranked.",
)
@click.option(
    "--source", help="The Keras model of the bundle, for --compare; left out, as its manifest says."
)
@options.artifacts_option
@click.option(
    "--budget",
    "budgets",
    multiple=True,
    metavar="WHAT=TIME",
    help="A limit of p50, p90, p99 or mean, such as p99=5ms (us, ms, s): exit code 1 where the "
    "whole 95% interval is over it, or where the runs are too few to say.",
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    help="An earlier result (--out, --json) of this machine: exit code 1 where a p50 is slower.",
)
@click.option(
    "--max-slowdown",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Percent by which a p50 may be above the baseline's.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the result as JSON, for a later --baseline.",
)
@click.option(
    "--roofline/--no-roofline",
    "with_roofline",
    default=True,
    help="Measure this machine's matrix product and copy too, and say how far it is to them.",
)
@click.option(
    "--history", "show_history", is_flag=True, help="Show earlier results, and measure nothing."
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --history: draw it into a .png, .svg or .pdf file.",
)
@click.option("--no-history", is_flag=True, help="Do not add the result to the history.")
@options.force_option
@options.seed_option
@options.json_option
@click.pass_context
def bench(
    ctx: click.Context,
    /,
    models: tuple[Path, ...],
    budgets: tuple[str, ...],
    max_slowdown: float,
    duration: float,
    variants: tuple[str, ...],
    out: Path | None,
    show_history: bool,
    plot: Path | None,
    no_history: bool,
    force: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Time MODELS: each in a process of its own, interleaved, with intervals.

    Several models, the variants of one, numbers of threads and peers are compared by paired ratios
    with the first. Load time, first run and peak memory are told apart from the steady state. Every
    result is added to a local history: edgekit/history.sqlite3 under XDG_DATA_HOME, or what
    EDGEKIT_HISTORY names. A budget that noise leaves undecided is said and does not fail.
    """
    from edgekit.latency import benchmark
    from edgekit.report.text.latency import latency
    from edgekit.whole import record_latencies

    if show_history or plot:
        _show_history(models, plot, force=force, as_json=as_json)
        return
    if settings["scenario"] == "single-stream" and (settings["batch"], settings["replicas"]) != (
        1,
        1,
    ):
        raise click.UsageError("single-stream is one sample at a time: give --scenario offline.")
    if out is not None:
        _check_out(out, force=force)
    limits = _budgets(budgets)
    with options.progress_bar() as progress:
        report = benchmark(
            list(models) or [options.model_path(None)],
            variants=variants or "all",
            duration_s=duration,
            budgets=limits,
            max_slowdown=max_slowdown / 100,
            on_progress=lambda done: progress(done, "measuring"),
            **settings,
        )
    record_latencies(report)
    if not no_history:
        _remember(report)
    if out is not None:
        _write(report, out, force=force)
    options.emit(lambda: report, lambda: latency(report), as_json=as_json)
    ctx.exit(0 if report.passed else 1)


def _budgets(pairs: tuple[str, ...]) -> dict[str, float]:
    from edgekit.latency.gate import parse_budget

    try:
        return dict(parse_budget(pair) for pair in pairs)
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint="--budget") from error


def _show_history(
    models: tuple[Path, ...], plot: Path | None, *, force: bool, as_json: bool
) -> None:
    from edgekit.latency import history
    from edgekit.report.text.history import history as text

    entries = history.read(models)
    if plot is not None:
        from edgekit.report import plots

        plots.history(entries, plot, force=force)
        click.echo(f"Wrote {plot}.", err=True)
    options.emit(
        lambda: {"entries": entries},
        lambda: text(entries, where=history.path()),
        as_json=as_json,
    )


def _remember(report: Any) -> None:
    from edgekit.errors import OutputError
    from edgekit.latency import history

    try:
        history.append(report)
    except OutputError as error:
        # What was measured is worth more than its place in the history.
        click.echo(f"Not added to the history: {error}", err=True)


def _check_out(out: Path, *, force: bool) -> None:
    from edgekit.files import check_free

    check_free(out, force=force)


def _write(report: Any, out: Path, *, force: bool) -> None:
    from edgekit import files
    from edgekit.report import json

    with files.new_file(out, force=force) as made:
        made.write_text(json.dumps(report) + "\n", encoding="utf-8")
    click.echo(f"Wrote {out}.", err=True)
