"""The commands that start from Keras: train, export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli import options


@click.command(
    epilog="Examples: edgekit train cnn | edgekit train rnn --set cell=gru --seed 1 --force"
)
@click.argument("source")
@click.option("--epochs", type=click.IntRange(min=1), help="Left out, the model's own number.")
@options.set_option
@options.seed_option
@options.out_option
@options.artifacts_option
@options.force_option
@options.json_option
def train(
    source: str,
    epochs: int | None,
    settings: tuple[str, ...],
    seed: int,
    out: Path | None,
    artifacts: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Train a named model on real data and save its weights.

    SOURCE is cnn, rnn, attention, transformer or seq2seq. The held-out metric is shown beside a
    simple baseline and the rate of the most frequent answer.
    """
    from edgekit.exporter import train as train_model

    with options.progress_bar() as progress:
        record = train_model(
            source,
            out,
            options=options.settings_of(settings),
            seed=seed,
            epochs=epochs,
            artifacts=artifacts,
            force=force,
            progress=progress,
        )
    from edgekit.report import text

    options.emit(lambda: record, lambda: text.training(record), as_json=as_json)


@click.command(
    epilog="Examples: edgekit export transformer | edgekit export my.keras --out my.onnx | "
    "edgekit export package.module:build --out artifacts/mine | "
    "edgekit export artifacts/cnn --with-preprocessing --variant int8"
)
@click.argument("source")
@options.out_option
@click.option("--opset", type=int, help="ONNX opset, 13 to 25.  [default: 18]")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="SPEC",
    help="An input of a model that does not say what it takes: 'image:float32[batch,28,28,1]'.",
)
@click.option(
    "--reference",
    type=click.Path(path_type=Path),
    help="An .npz of inputs by name to check with; left out, real or seeded samples.",
)
@click.option(
    "--about",
    type=click.Path(path_type=Path),
    help="A JSON object for the bundle of your own model: labels, task, metric, preprocessing.",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="An .npz of training inputs by name for the bundle, to quantise with.",
)
@click.option(
    "--evaluation",
    type=click.Path(path_type=Path),
    help="An .npz of held-out inputs by name and their 'targets' for the bundle's metric.",
)
@click.option(
    "--with-preprocessing",
    is_flag=True,
    help="Put pre- and post-processing into the graph: text or a picture in, label out. SOURCE may "
    "be a bundle then, or an .onnx file with --about.",
)
@click.option(
    "--encoded",
    is_flag=True,
    help="With it, the bytes of a PNG or JPEG file in: an app needs onnxruntime-extensions.",
)
@click.option("--variant", help="With it, the variant of a bundle.  [default: the float one]")
@options.set_option
@options.seed_option
@options.artifacts_option
@options.force_option
@options.json_option
def export(
    source: str,
    out: Path | None,
    opset: int | None,
    inputs: tuple[str, ...],
    reference: Path | None,
    about: Path | None,
    calibration: Path | None,
    evaluation: Path | None,
    with_preprocessing: bool,
    encoded: bool,
    variant: str | None,
    settings: tuple[str, ...],
    seed: int,
    artifacts: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Export a Keras model to ONNX and prove it against Keras.

    SOURCE is a named model (trained briefly first where it has no saved weights), a .keras or .h5
    file, a SavedModel folder, a .tflite file, or package.module:factory. It becomes a bundle in
    artifacts/NAME, or the folder or .onnx file that --out names. A file that onnxruntime cannot
    run, or that answers otherwise than its source, is not written.
    """
    raw: dict[str, Any] = {"encoded": encoded, "variant": variant}
    if any(raw.values()) and not with_preprocessing:
        given = next(f"--{name}" for name, value in raw.items() if value)
        raise click.UsageError(f"{given} goes with --with-preprocessing: give both.")
    from edgekit.exporter import companions, export_all
    from edgekit.exporter.sources import parse_input
    from edgekit.files import load_arrays
    from edgekit.report import json, text

    chosen: dict[str, Any] = {} if opset is None else {"opset": opset}
    chosen |= {
        "signature": [parse_input(spec) for spec in inputs] or None,
        "reference": load_arrays(reference) if reference else None,
        "options": options.settings_of(settings),
        "seed": seed,
        "artifacts": artifacts,
        "force": force,
        **companions.read(about, calibration, evaluation),
    }
    if with_preprocessing:
        from edgekit.ingraph.sources import export_raw

        with options.progress_bar() as progress:
            found = export_raw(source, out, progress=progress, **raw, **chosen)
        options.emit(lambda: json.raw(found), lambda: text.raw(found), as_json=as_json)
        return
    with options.progress_bar() as progress:
        made = export_all(source, out, progress=progress, **chosen)
    options.emit(
        lambda: json.exports(made),
        lambda: [line for one in made for line in text.exported(one)],
        as_json=as_json,
    )
