"""The command that judges: validate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli import options

if TYPE_CHECKING:
    from typing import Unpack

    from edgekit.runtime.runner import RunOptions


@click.command(
    epilog="Examples: edgekit validate | edgekit validate artifacts/cnn --variant int8 | "
    "edgekit validate --provider all | edgekit validate small.onnx --against model.onnx | "
    "edgekit validate --worst-case | edgekit validate artifacts/cnn --provider webgpu --debug"
)
@options.model_argument
@options.variant_option
@options.run_options
@options.threads_option
@click.option(
    "--reference", type=click.Path(path_type=Path), help="An .npz with inputs/NAME, outputs/NAME."
)
@click.option(
    "--against", type=click.Path(path_type=Path), help="Another model to compare with, on the CPU."
)
@click.option("--atol", type=float, help="Absolute tolerance instead of the precision's own.")
@click.option("--rtol", type=float, help="Relative tolerance instead of the precision's own.")
@click.option(
    "--worst-case",
    is_flag=True,
    help="Try edge inputs too: zeros, large, denormal, repeated, shortest, longest, ...",
)
@click.option(
    "--debug",
    is_flag=True,
    help="Find the node and layer that a failure comes from, by bisection (needs onnx-ir).",
)
@options.seed_option
@options.json_option
@click.pass_context
def validate(
    ctx: click.Context,
    model: Path | None,
    variant: str | None,
    reference: Path | None,
    against: Path | None,
    atol: float | None,
    rtol: float | None,
    worst_case: bool,
    debug: bool,
    seed: int,
    as_json: bool,
    **run: Unpack[RunOptions],
) -> None:
    """Compare MODEL's variants with the outputs that Keras gave.

    At several batch sizes, and at other lengths of free axes, where the float variant on the CPU
    says what is expected. `--provider all` takes every provider that is ready here. Exit code 1
    where a variant is outside of its tolerance.
    """
    from edgekit.parity import Tolerance
    from edgekit.report import json
    from edgekit.report.text.parity import parity
    from edgekit.validation import validate as compare

    given = atol is not None or rtol is not None
    report = compare(
        options.model_path(model),
        variant=variant,
        reference=reference,
        against=against,
        tolerance=Tolerance(atol or 0.0, rtol or 0.0) if given else None,
        worst_case=worst_case,
        debug=debug,
        seed=seed,
        **run,
    )
    options.emit(lambda: json.parity(report), lambda: parity(report), as_json=as_json)
    ctx.exit(0 if report.passed else 1)
