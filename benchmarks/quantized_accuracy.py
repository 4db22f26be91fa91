"""What each int8 recipe costs of the metric, on held-out data, beside float.

    python benchmarks/quantized_accuracy.py artifacts/cnn artifacts/transformer [--photographs]

Bundles are read, and left alone: each recipe calibrates on the bundle's own calibration data, and
the metric is that of its evaluation data. `--photographs` adds a network of MobileNet's kind, that
is trained here in about 90 seconds of one core to tell patches of photographs apart (it needs
scikit-image for the photographs), with what equalisation, bias correction and a scale for each
channel do: the last against onnxruntime's `quantize_static` with its defaults, which has one scale
a tensor. A row has the metric, its difference to float in points, and how many times smaller the
file is.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import photographs
from photographs import Array

import edgekit
from edgekit import metrics
from edgekit.bundle import Bundle
from edgekit.errors import EdgekitError, QuantizeError
from edgekit.exporter import frameworks
from edgekit.filesize import model_bytes
from edgekit.quantizer import quantize
from edgekit.runtime.runner import open_runner

#: Row -> recipe and options.
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "static-int8": ("static-int8", {}),
    "dynamic-int8": ("dynamic-int8", {}),
    "weight-int8": ("weight-int8", {}),
}
MORE: dict[str, tuple[str, dict[str, Any]]] = {
    "static-int8, percentile": ("static-int8", {"method": "percentile"}),
    "static-int8, entropy": ("static-int8", {"method": "entropy"}),
    "static-int8, equalised": ("static-int8", {"equalize": True}),
    "static-int8, biases corrected": ("static-int8", {"correct_bias": True}),
    "static-int8, both": ("static-int8", {"equalize": True, "correct_bias": True}),
}
CALIBRATION = 256


def made(
    source: Path, folder: Path, rows: Mapping[str, tuple[str, dict[str, Any]]], given: Any
) -> Iterator[tuple[str, Path | str]]:
    """Give each row's file, or why there is none."""
    for index, (name, (recipe, options)) in enumerate(rows.items()):
        out = folder / f"{index}.onnx"
        try:
            quantize(source, recipe, out=out, calibration=given, **options)
        except QuantizeError as error:
            yield name, str(error)
        else:
            yield name, out


def show(model: str, metric: str, values: Mapping[str, tuple[float, Path] | str]) -> None:
    """Print the rows of one model; the first is float."""
    (base, whole), *_ = (value for value in values.values() if not isinstance(value, str))
    for name, value in values.items():
        if isinstance(value, str):
            print(f"| {model} | {name} | {value} | | |", flush=True)
            continue
        found, path = value
        smaller = model_bytes(whole) / model_bytes(path)
        print(
            f"| {model} | {name} | {metric} {found:.4f} | {100 * (found - base):+.2f} "
            f"| {smaller:.2f} |",
            flush=True,
        )


def of_bundle(path: Path, folder: Path) -> None:
    """Measure the recipes on a bundle."""
    bundle = Bundle.open(path)
    source = bundle.file(bundle.manifest.variants[0].file)
    calibration = bundle.data("calibration")
    values: dict[str, tuple[float, Path] | str] = {}
    files = made(source, folder, ROWS, calibration["inputs"] if calibration else None)
    for name, file in (("float", source), *files):
        if isinstance(file, str):
            values[name] = file
            continue
        with open_runner(file) as runner:
            found = metrics.evaluate(bundle, runner)
        if found is None:
            raise SystemExit(f"{path} has no evaluation data")
        values[name] = (found, file)
    show(path.name, "metric", values)


def of_photographs(folder: Path) -> None:
    """Train the network on photographs, and measure the recipes on it."""
    frameworks.load("train a network")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    data = photographs.patches()
    source = folder / "patches.onnx"
    edgekit.export(photographs.trained(data), source)
    samples = {"image": data["train"][0][:CALIBRATION]}
    files = [("float", source), *made(source, folder, ROWS | MORE, samples)]
    files.append(
        ("quantize_static's defaults", defaults(source, folder / "defaults.onnx", samples))
    )
    values = {n: f if isinstance(f, str) else (accuracy(f, *data["test"]), f) for n, f in files}
    show("patches", "accuracy", values)


def accuracy(path: Path, images: Array, labels: Array) -> float:
    """Give the share of held-out patches that a file puts where they belong."""
    with open_runner(path) as runner:
        (answers,) = runner.run({"image": images}).values()
    return float((answers.argmax(1) == labels).mean())


def defaults(source: Path, target: Path, samples: Mapping[str, Array]) -> Path:
    """Quantise with onnxruntime's tool as it comes: int8 activations, one scale a tensor."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # it has no types
        def __init__(self) -> None:
            rows = len(next(iter(samples.values())))
            parts = [{n: a[i : i + 16] for n, a in samples.items()} for i in range(0, rows, 16)]
            self._parts = iter(parts)

        def get_next(self) -> dict[str, Array] | None:
            return next(self._parts, None)

    prepared = target.with_name("prepared.onnx")
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    quantize_static(prepared, target, Reader())
    return target


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bundles", nargs="*", type=Path)
    parser.add_argument("--photographs", action="store_true")
    given = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    print("| model | file | metric | points | smaller |\n| --- | --- | --- | --- | --- |")
    for path in given.bundles:
        with tempfile.TemporaryDirectory() as folder:
            try:
                of_bundle(path, Path(folder))
            except EdgekitError as error:
                print(f"| {path.name} | {error} | | | |", flush=True)
    if given.photographs:
        with tempfile.TemporaryDirectory() as folder:
            of_photographs(Path(folder))


if __name__ == "__main__":
    main()
