"""The command that compiles ahead of time: compile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import options

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    epilog="Examples: edgekit compile artifacts/cnn --provider qnn | "
    "edgekit compile artifacts/cnn --variant int8 --format ort | "
    "edgekit compile model.onnx --provider qnn --fix-axis time=64 --provider-option soc_model=69",
)
@options.model_argument
@options.variant_option
@click.option("--provider", help="The provider to compile for: qnn or openvino.")
@click.option("--format", "form", type=click.Choice(["ort"]), help="A .ort file for a phone's CPU.")
@options.fix_axis_option
@options.provider_options_option
@click.option(
    "--style",
    type=click.Choice(["fixed", "runtime"]),
    default="fixed",
    show_default=True,
    help="Of --format ort: all optimisations in the file, or those of nodes that NNAPI or CoreML "
    "may take kept back.",
)
@click.option(
    "--platform",
    type=click.Choice(["arm", "amd64"]),
    default="arm",
    show_default=True,
    help="Of --format ort: the processor that its optimisations are for.",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "bf16", "int8"]),
    help="Of a plain file: what counts as the same answer.",
)
@options.out_option
@options.force_option
@options.json_option
def compile(  # noqa: A001 - the command's name
    model: Path | None,
    variant: str | None,
    provider: str | None,
    form: str | None,
    style: str,
    platform: str,
    precision: str | None,
    out: Path | None,
    force: bool,
    as_json: bool,
    **run: Any,
) -> None:
    """Compile MODEL ahead of time, so that a device opens it at once.

    For an accelerator (--provider) the file holds what the provider's compiler made, for one batch
    and the reference's lengths unless --fix-axis says others. With --format ort it is onnxruntime's
    own format, with a list beside it of the operators that a small build of onnxruntime needs. The
    file is kept only if it answers as its source does.
    """
    if (provider is None) == (form is None):
        raise click.UsageError("Give one of --provider NAME and --format ort.")
    from edgekit.compiler import compile_model
    from edgekit.report import json
    from edgekit.report.text.compiled import compiled

    made = compile_model(
        options.model_path(model),
        style=style if form else None,
        platform=platform,
        variant=variant,
        out=out,
        precision=precision,
        force=force,
        provider=provider or "cpu",
        **run,
    )
    options.emit(lambda: json.plain(made), lambda: compiled(made), as_json=as_json)
