"""The commands that look at a model and a device: infer, inspect, providers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli import options

if TYPE_CHECKING:
    from typing import Unpack

    from edgekit.runtime.runner import RunOptions


@click.command(
    epilog="Examples: edgekit infer --input 'Müller' | edgekit infer artifacts/cnn --input 7.png | "
    "edgekit infer model.onnx --input feed.npz --provider cuda | "
    "edgekit infer model.onnx --provider qnn --provider-option soc_model=69 --fix-axis batch=1"
)
@options.model_argument
@click.option(
    "--input",
    "given",
    help="An .npz, .npy, .json, .csv, .txt or image file, a line of text for a text model, or - "
    "for stdin; left out, a sample of the reference.",
)
@options.variant_option
@options.run_options
@options.threads_option
@click.option(
    "--profile", is_flag=True, help="Add each provider's share of the time, from more runs."
)
@click.option("--top", type=click.IntRange(min=1), default=3, show_default=True, help="Labels.")
@click.option("--out", type=click.Path(path_type=Path), help="An .npz or .json for the outputs.")
@options.force_option
@options.json_option
def infer(
    model: Path | None,
    given: str | None,
    variant: str | None,
    profile: bool,
    top: int,
    out: Path | None,
    force: bool,
    as_json: bool,
    **run: Unpack[RunOptions],
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
        variant=variant,
        top=top,
        profile=profile,
        **run,
    )
    if out is not None:
        save(result, out, force=force)
    options.emit(lambda: json.inference(result), lambda: text.inference(result), as_json=as_json)


@click.command(
    epilog="Examples: edgekit inspect | edgekit inspect model.onnx --fix-axis time=64 | "
    "edgekit inspect artifacts/cnn --mobile"
)
@options.model_argument
@options.variant_option
@options.fix_axis_option
@click.option(
    "--mobile", is_flag=True, help="Show what NNAPI and CoreML would take of it, and what to do."
)
@options.json_option
def inspect(
    model: Path | None, variant: str | None, axes: dict[str, int], mobile: bool, as_json: bool
) -> None:
    """Show what is inside MODEL: inputs, outputs, operators, parameters, MACs, metadata."""
    from edgekit.graph import inspect as look
    from edgekit.report import text
    from edgekit.runtime.session import model_file

    path = model_file(options.model_path(model), variant)
    if mobile:
        from edgekit.mobile import readiness
        from edgekit.report.text.mobile import mobile as table

        report = readiness(path, axes)
        options.emit(lambda: report, lambda: table(report), as_json=as_json)
        return
    found = look(path, axes)
    options.emit(lambda: found, lambda: text.inspection(found), as_json=as_json)


@click.command(epilog="Examples: edgekit providers | edgekit providers --check --json")
@click.option(
    "--check", is_flag=True, help="Run a small model strictly on each ready one, against numpy."
)
@options.json_option
@click.pass_context
def providers(ctx: click.Context, check: bool, as_json: bool) -> None:
    """List the execution providers: which can run here, and what mends the others.

    What may crash is asked in a process of its own. Exit code 1 where --check finds a provider
    that is ready and does not run the model, or answers wrong.
    """
    from edgekit.report import json
    from edgekit.report.text.providers import providers as table
    from edgekit.runtime.survey import survey

    found = survey(trials=check)
    options.emit(lambda: json.survey(found), lambda: table(found), as_json=as_json)
    ctx.exit(0 if found.passed else 1)
