"""The command that makes a smaller variant: quantize."""

from __future__ import annotations

from pathlib import Path

import click

from edgekit.cli import options


@click.command(
    epilog="Examples: edgekit quantize | edgekit quantize artifacts/cnn --recipe dynamic-int8 | "
    "edgekit quantize model.onnx --calibration samples.npz"
)
@options.model_argument
@click.option(
    "--recipe",
    default="static-int8",
    show_default=True,
    help="dynamic-int8, static-int8, npu-int8 or fp16.",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="An .npz of inputs by name, or a folder of them; left out, the model's training data.",
)
@click.option("--exclude", multiple=True, metavar="NODE", help="A node to leave in float.")
@click.option("--no-bench", is_flag=True, help="Do not time the result against float.")
@options.out_option
@options.force_option
@options.json_option
def quantize(
    model: Path | None,
    recipe: str,
    calibration: Path | None,
    exclude: tuple[str, ...],
    no_bench: bool,
    out: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Make a smaller variant of MODEL, and show what it costs and gains.

    MODEL is a bundle or an .onnx file. Parity, the task's metric and the latency of the new
    variant are shown beside float.
    """
    from edgekit.report import json
    from edgekit.report.text.comparison import comparison
    from edgekit.whole import quantize_and_compare

    path = options.model_path(model)
    with options.progress_bar() as progress:
        result = quantize_and_compare(
            path,
            recipe,
            out=out,
            calibration=calibration,
            exclude=exclude,
            bench=not no_bench,
            force=force,
            progress=progress,
        )
    options.emit(lambda: json.plain(result), lambda: comparison(result), as_json=as_json)
