"""The commands that run on a device: infer, validate, bench, inspect, providers."""

from __future__ import annotations

from pathlib import Path

import click

from edgekit.cli import options


@click.command(
    epilog="Examples: edgekit infer --input 'Müller' | edgekit infer artifacts/cnn --input 7.png | "
    "edgekit infer model.onnx --input feed.npz --provider cuda"
)
@options.model_argument
@click.option(
    "--input",
    "given",
    help="An .npz, .npy, .json, .csv, .txt or image file, a line of text for a text model, or - "
    "for stdin; left out, a sample of the reference.",
)
@options.variant_option
@options.provider_options
@options.threads_option
@click.option("--top", type=click.IntRange(min=1), default=3, show_default=True, help="Labels.")
@click.option("--out", type=click.Path(path_type=Path), help="An .npz or .json for the outputs.")
@options.force_option
@options.json_option
def infer(
    model: Path | None,
    given: str | None,
    variant: str | None,
    provider: str,
    allow_fallback: bool,
    threads: int | None,
    top: int,
    out: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Run MODEL on an input and print what it answers.

    The provider that is asked for runs all of the model, or the command fails and says why.
    """
    from edgekit.infer import infer as run_inference
    from edgekit.infer import save
    from edgekit.report import json, text

    result = run_inference(
        options.model_path(model),
        given,
        provider=provider,
        variant=variant,
        threads=threads,
        allow_fallback=allow_fallback,
        top=top,
    )
    if out is not None:
        save(result, out, force=force)
    options.emit(lambda: json.inference(result), lambda: text.inference(result), as_json=as_json)


@click.command(
    epilog="Examples: edgekit validate | edgekit validate artifacts/cnn --variant int8 | "
    "edgekit validate small.onnx --against model.onnx"
)
@options.model_argument
@options.variant_option
@options.provider_options
@options.threads_option
@click.option(
    "--reference", type=click.Path(path_type=Path), help="An .npz with inputs/NAME, outputs/NAME."
)
@click.option(
    "--against", type=click.Path(path_type=Path), help="Another model to compare with, on the CPU."
)
@click.option("--atol", type=float, help="Absolute tolerance instead of the precision's own.")
@click.option("--rtol", type=float, help="Relative tolerance instead of the precision's own.")
@options.json_option
@click.pass_context
def validate(
    ctx: click.Context,
    model: Path | None,
    variant: str | None,
    provider: str,
    allow_fallback: bool,
    threads: int | None,
    reference: Path | None,
    against: Path | None,
    atol: float | None,
    rtol: float | None,
    as_json: bool,
) -> None:
    """Compare MODEL's variants with the outputs that Keras gave.

    Exit code 1 where a variant is outside of its tolerance.
    """
    from edgekit.parity import Tolerance
    from edgekit.report import json, text
    from edgekit.validation import validate as compare

    given = atol is not None or rtol is not None
    report = compare(
        options.model_path(model),
        provider=provider,
        variant=variant,
        reference=reference,
        against=against,
        tolerance=Tolerance(atol or 0.0, rtol or 0.0) if given else None,
        threads=threads,
        allow_fallback=allow_fallback,
    )
    options.emit(lambda: json.parity(report), lambda: text.parity(report), as_json=as_json)
    ctx.exit(0 if report.passed else 1)


@click.command(
    epilog="Examples: edgekit bench | edgekit bench artifacts/cnn artifacts/rnn --duration 5 | "
    "edgekit bench artifacts/cnn --variant int8 --threads 2 --batch 8"
)
@click.argument("models", nargs=-1, type=click.Path(path_type=Path))
@click.option("--variant", "variants", multiple=True, help="Variants; left out, all of a bundle.")
@options.provider_options
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True)
@click.option(
    "--duration",
    type=click.FloatRange(min=0, min_open=True),
    default=2.0,
    show_default=True,
    help="Seconds of measuring for each candidate.",
)
@click.option("--axis", "axes", multiple=True, metavar="NAME=LENGTH", help="Fix a free axis.")
@options.seed_option
@options.json_option
def bench(
    models: tuple[Path, ...],
    variants: tuple[str, ...],
    provider: str,
    allow_fallback: bool,
    threads: int,
    batch: int,
    duration: float,
    axes: tuple[str, ...],
    seed: int,
    as_json: bool,
) -> None:
    """Time MODELS: each in a process of its own, interleaved, with intervals.

    Several models, or the variants of one, are compared by paired ratios with the first. Load time
    and first run are told apart from the steady state.
    """
    from edgekit.latency import benchmark
    from edgekit.report import text
    from edgekit.whole import record_latencies

    with options.progress_bar() as progress:
        report = benchmark(
            list(models) or [options.model_path(None)],
            variants=variants or "all",
            provider=provider,
            threads=threads,
            batch=batch,
            duration_s=duration,
            axes=options.lengths_of(axes),
            allow_fallback=allow_fallback,
            seed=seed,
            on_progress=lambda done: progress(done, "measuring"),
        )
    record_latencies(report)
    options.emit(lambda: report, lambda: text.latency(report), as_json=as_json)


@click.command(epilog="Examples: edgekit inspect | edgekit inspect model.onnx --axis time=64")
@options.model_argument
@options.variant_option
@click.option("--axis", "axes", multiple=True, metavar="NAME=LENGTH", help="Fix a free axis.")
@options.json_option
def inspect(model: Path | None, variant: str | None, axes: tuple[str, ...], as_json: bool) -> None:
    """Show what is inside MODEL: inputs, outputs, operators, parameters, MACs, metadata."""
    from edgekit.graph import inspect as look
    from edgekit.report import text
    from edgekit.runtime.session import model_file

    found = look(model_file(options.model_path(model), variant), options.lengths_of(axes))
    options.emit(lambda: found, lambda: text.inspection(found), as_json=as_json)


@click.command(epilog="Example: edgekit providers --json")
@options.json_option
def providers(as_json: bool) -> None:
    """List the execution providers: which can run here, and what mends the others."""
    from edgekit.report import text
    from edgekit.runtime.providers import statuses

    found = statuses()
    options.emit(lambda: {"providers": found}, lambda: text.providers(found), as_json=as_json)
