"""The commands that look at a model and a device: infer, inspect, providers."""

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
    from edgekit.report.text.providers import providers as table
    from edgekit.runtime.providers import statuses

    found = statuses()
    options.emit(lambda: {"providers": found}, lambda: table(found), as_json=as_json)
