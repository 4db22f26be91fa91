"""The command that makes a smaller variant: quantize."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click

from edgekit.cli import options

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.quantizer import QuantizeOptions

    class QuantizeArguments(QuantizeOptions):
        """The recipe by name, and how it is applied."""

        recipe: str


@click.command(
    epilog="Examples: edgekit quantize | edgekit quantize artifacts/cnn --recipe dynamic-int8 | "
    "edgekit quantize artifacts/cnn --calibration photos/ --method entropy | "
    "edgekit quantize model.onnx --calibration feeds.py:samples --samples 512 --equalize | "
    "edgekit quantize artifacts/cnn --explain"
)
@options.model_argument
@click.option(
    "--recipe",
    default="static-int8",
    show_default=True,
    help="static-int8, dynamic-int8, mixed, npu-int8, a16w8, weight-int8, weight-int4 or fp16.",
)
@click.option("--form", help="How the recipe is written: u8s8, s8s8 or qoperator of static-int8.")
@click.option(
    "--calibration",
    metavar="SOURCE",
    help="Inputs of the model: an .npz by name, an .npy for one input, or a folder of these; a "
    "picture or a folder of them, for a bundle with image preprocessing; module:function or "
    "file.py:function, which gives a dict of inputs at a time. Left out, the bundle's own sample "
    "of its training data.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    help="How many samples of it are used at most.",
)
@click.option(
    "--method",
    type=click.Choice(["minmax", "entropy", "percentile"]),
    default="minmax",
    show_default=True,
    help="How the range of an activation is chosen from them.",
)
@click.option(
    "--equalize",
    is_flag=True,
    help="Scale channels of very different size to one first; float answers stay the same.",
)
@click.option(
    "--correct-bias",
    is_flag=True,
    help="Take from every bias what rounding adds to its channel on average.",
)
@click.option("--exclude", multiple=True, metavar="NODE", help="A node to leave in float.")
@click.option("--no-bench", is_flag=True, help="Do not time the result against float.")
@click.option(
    "--explain",
    is_flag=True,
    help="Write nothing: rank the layers by the damage that each does when it alone is quantised.",
)
@options.out_option
@options.force_option
@options.json_option
@click.pass_context
def quantize(
    ctx: click.Context,
    model: Path | None,
    out: Path | None,
    no_bench: bool,
    explain: bool,
    force: bool,
    as_json: bool,
    **how: Unpack[QuantizeArguments],
) -> None:
    """Make a smaller variant of MODEL, and show what it costs and gains.

    MODEL is a bundle or an .onnx file. Parity, the task's metric and the latency of the new
    variant are shown beside float. Exit code 1 where it is outside of its tolerance, or loses
    channels or values to its ranges.
    """
    from edgekit.report import json
    from edgekit.report.text.comparison import comparison
    from edgekit.whole import quantize_and_compare

    path = options.model_path(model)
    if explain:
        _explain(path, as_json=as_json, **how)
        return
    with options.progress_bar() as progress:
        result = quantize_and_compare(
            path, out=out, bench=not no_bench, force=force, progress=progress, **how
        )
    options.emit(lambda: json.comparison(result), lambda: comparison(result), as_json=as_json)
    ctx.exit(0 if result.passed else 1)


def _explain(path: Path, *, as_json: bool, **how: Unpack[QuantizeArguments]) -> None:
    from edgekit.quantizer.sensitivity import rank
    from edgekit.report import json
    from edgekit.report.text.sensitivity import ranking

    with options.progress_bar() as progress:
        found = rank(path, progress=progress, **how)
    options.emit(lambda: json.plain(found), lambda: ranking(found), as_json=as_json)
