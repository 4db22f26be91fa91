"""edgekit's int8 files against float and against the int8 of LiteRT and OpenVINO, in one run.

    python benchmarks/quantized_files.py [--models cnn transformer4] [--openvino-python PYTHON]

The same weights in every way: edgekit's float file and its int8 recipes; LiteRT in float, in
dynamic range int8 and in full integer int8 (float at its ends, as edgekit's); OpenVINO on edgekit's
float file, and on what NNCF makes of it. With `--openvino-python`, the interpreter of an
environment that has onnxruntime-openvino, edgekit's files on that provider as well. All calibrate
on the same samples. Each answer is compared with Keras first: `SQNR` is over a few inputs that are
not among the samples.

All ways of a model take turns. `us` is the median time of a run in microseconds; `speed` the
median, over rounds, of the float file's time over this way's in the same round: above 1 is faster
than float. The networks have random weights; batch normalisation has the statistics of the
pictures, whose spectrum is that of photographs. LiteRT, OpenVINO and NNCF come with the extra
`peers`. By default a time is what a process computes, to which other work on the machine adds
little.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from exported_files import take_turns
from networks import Network, networks
from peers import CLOCKS, Array, Candidate

import edgekit
from edgekit.errors import one_line
from edgekit.exporter import frameworks, sources, trace
from edgekit.exporter import peers as converters
from edgekit.filesize import model_bytes
from edgekit.parity import sqnr_db
from edgekit.quantizer import RECIPES

MODELS = ("cnn", "transformer4", "bert4", "MobileNetV2", "ResNet50")
SAMPLES, HELD_OUT = 8, 4


class Files:
    """One network and its files; each is made when it is first asked for, once."""

    def __init__(self, network: Network, folder: Path) -> None:
        self.folder = folder
        self.model = network.model()
        rows = feeds(network, self.model, SAMPLES + HELD_OUT)
        if network.pixels:
            settle(self.model, rows)
        self.specs = sources.input_specs(self.model)
        self.samples = [array[:SAMPLES] for array in rows]
        self.inputs = [array[SAMPLES:] for array in rows]
        self.transformer = any("attention" in layer.name for layer in self.model.layers)

    def first(self) -> list[Array]:
        """Give the inputs of the run that is timed."""
        return [array[:1] for array in self.inputs]

    def expected(self) -> Array:
        """Give Keras's answer for the held-out inputs."""
        named = dict(zip((s.name for s in self.specs), self.inputs, strict=True))
        return next(iter(trace.predict(self.model, self.specs, named).values()))

    def path(self, way: Way) -> Path:
        """Give a way's file; raises whatever making it raises."""
        path = self.folder / way.file
        if not path.exists():
            way.make(self, path)
        return path


@dataclass(frozen=True)
class Way:
    """A file, what writes it, and the engine that runs it."""

    file: str
    make: Callable[[Files, Path], object]
    engine: str = "onnxruntime"


def feeds(network: Network, model: Any, rows: int) -> list[Array]:
    """Make inputs, of pictures whose spectrum falls as that of photographs does."""
    arrays = network.feeds(model, rows)
    if not network.pixels:
        return arrays
    (noise,) = arrays
    rows, height, width, channels = noise.shape
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1 / height
    pictures = np.empty_like(noise)
    for row in range(rows):
        shared = rng.normal(size=(height, width, 1))
        mixed = shared + 0.5 * rng.normal(size=(height, width, channels))
        spectrum = np.fft.rfft2(mixed, axes=(0, 1)) / frequency[..., None]
        picture = np.fft.irfft2(spectrum, s=(height, width), axes=(0, 1))
        picture = (picture - picture.mean()) / picture.std() * rng.uniform(30, 70)
        pictures[row] = np.clip(picture + rng.uniform(90, 150), 0, 255)
    return [pictures]


def settle(model: Any, rows: Sequence[Array]) -> None:
    """Give batch normalisation the statistics of these inputs, as training leaves them."""
    kept = {}
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            kept[layer], layer.momentum = layer.momentum, 0.0
    model(*rows, training=True)
    for layer, momentum in kept.items():
        layer.momentum = momentum


def exported(files: Files, path: Path) -> None:
    """Write edgekit's float file."""
    edgekit.export(files.model, path)


def quantized(recipe: str, **options: Any) -> Callable[[Files, Path], None]:
    """Give what writes edgekit's int8 file of a recipe."""

    def make(files: Files, path: Path) -> None:
        names = (spec.name for spec in files.specs)
        samples = dict(zip(names, files.samples, strict=True))
        needed = RECIPES[recipe].needs_calibration
        given = options | ({"calibration": samples} if needed else {})
        edgekit.quantize(files.path(WAYS["edgekit float"]), recipe, out=path, **given)

    return make


def litert(*, optimise: bool, calibrate: bool) -> Callable[[Files, Path], None]:
    """Give what writes a TFLite file."""

    def make(files: Files, path: Path) -> None:
        import tensorflow as tf

        converter = converters.tflite_converter(files.model, files.specs, files.first())
        if optimise:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if calibrate:
            converter.representative_dataset = lambda: (
                [array[row : row + 1] for array in files.samples] for row in range(SAMPLES)
            )
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        path.write_bytes(converter.convert())

    return make


def nncf(files: Files, path: Path) -> None:
    """Write what NNCF makes of edgekit's float file."""
    import nncf
    import openvino as ov

    model = ov.Core().read_model(files.path(WAYS["edgekit float"]))
    # At the shapes that are timed: NNCF runs the samples one by one.
    model.reshape({i: list(array.shape) for i, array in enumerate(files.first())})
    rows = [[array[row : row + 1] for array in files.samples] for row in range(SAMPLES)]
    kind = nncf.ModelType.TRANSFORMER if files.transformer else None
    made = nncf.quantize(
        model,
        nncf.Dataset(rows, lambda row: dict(enumerate(row))),
        model_type=kind,
        subset_size=SAMPLES,
    )
    ov.save_model(made, path, compress_to_fp16=False)


FLOAT = Way("float.onnx", exported)
STATIC = Way("static.onnx", quantized("static-int8"))
DYNAMIC = Way("dynamic.onnx", quantized("dynamic-int8"))
WAYS: dict[str, Way] = {
    "edgekit float": FLOAT,
    "edgekit static-int8": STATIC,
    "edgekit dynamic-int8": DYNAMIC,
    "LiteRT float": Way("float.tflite", litert(optimise=False, calibrate=False), "litert"),
    "LiteRT dynamic range int8": Way(
        "dynamic.tflite", litert(optimise=True, calibrate=False), "litert"
    ),
    "LiteRT full integer int8": Way(
        "integer.tflite", litert(optimise=True, calibrate=True), "litert"
    ),
    "OpenVINO float": replace(FLOAT, engine="openvino"),
    "OpenVINO, NNCF int8": Way("nncf.xml", nncf, "openvino"),
}
#: Other forms of the same, with `--forms`.
FORMS = {
    "edgekit static-int8, s8s8": Way("s8s8.onnx", quantized("static-int8", form="s8s8")),
    "edgekit static-int8, qoperator": Way(
        "qoperator.onnx", quantized("static-int8", form="qoperator")
    ),
    "edgekit weight-int8": Way("weights.onnx", quantized("weight-int8")),
    "edgekit weight-int8, blockwise": Way(
        "blocks.onnx", quantized("weight-int8", form="blockwise")
    ),
}
#: Those that run in another environment.
PROVIDER = "openvino provider"
ON_PROVIDER = {
    "edgekit float on openvino": replace(FLOAT, engine=PROVIDER),
    "edgekit static-int8 on openvino": replace(STATIC, engine=PROVIDER),
    "edgekit dynamic-int8 on openvino": replace(DYNAMIC, engine=PROVIDER),
}


def opened(files: Files, way: Way, name: str, arguments: Any) -> Candidate | str:
    """Open a way; give the reason where it cannot be made or opened."""
    try:
        with converters.quiet():
            path = files.path(way)
    except Exception as error:  # noqa: BLE001  # a peer fails as it likes; its row says how
        return f"{type(error).__name__}: {one_line(error)}"[:100]
    python = arguments.openvino_python if way.engine == PROVIDER else sys.executable
    candidate = Candidate(
        name, way.engine, str(path), files.first(), arguments.threads, python=python
    )
    if candidate.error:
        candidate.close()
        return candidate.error
    return candidate


def size_bytes(path: Path) -> int:
    """Give the bytes of a file and of its weights."""
    if path.suffix == ".onnx":
        return model_bytes(path)
    weights = path.with_suffix(".bin")
    return path.stat().st_size + (weights.stat().st_size if path.suffix == ".xml" else 0)


def answers(candidate: Candidate, files: Files) -> Array:
    """Give the first output for every held-out input."""
    rows = range(HELD_OUT)
    found = [candidate.answer([a[row : row + 1] for a in files.inputs])[0] for row in rows]
    return np.concatenate(found)


def measure(name: str, files: Files, ways: Mapping[str, Way], arguments: Any) -> None:
    """Print the rows of one network."""
    running = {way: opened(files, ways[way], way, arguments) for way in ways}
    live = [candidate for candidate in running.values() if isinstance(candidate, Candidate)]
    try:
        expected = files.expected()
        sqnr = {each.name: sqnr_db(expected, answers(each, files)) for each in live}
        take_turns(live, arguments.rounds, arguments.clock)
    finally:
        for each in live:
            each.close()
    base = np.array(live[0].blocks)
    whole = size_bytes(files.path(FLOAT))
    for way, candidate in running.items():
        if isinstance(candidate, str):
            print(f"| {name} | {way} | {candidate} | | | | |", flush=True)
            continue
        blocks, size = np.array(candidate.blocks), size_bytes(files.path(ways[way]))
        cells = [
            f"{1e6 * np.median(blocks):.0f}",
            f"{np.median(base / blocks):.2f}",
            f"{sqnr[way]:.0f}",
            f"{size / 1000:.0f}",
            f"{whole / size:.2f}",
        ]
        print(f"| {name} | {way} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print the table, a network at a time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", nargs="+", metavar="NAME", default=list(MODELS))
    parser.add_argument("--ways", nargs="+", metavar="WAY", help="parts of their names")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="cpu")
    parser.add_argument("--forms", action="store_true", help="edgekit's other forms, too")
    parser.add_argument("--openvino-python", metavar="PYTHON")
    arguments = parser.parse_args()
    ways = WAYS | (FORMS if arguments.forms else {})
    ways |= ON_PROVIDER if arguments.openvino_python else {}
    if arguments.ways:
        kept = ("edgekit float", *arguments.ways)
        ways = {name: way for name, way in ways.items() if any(part in name for part in kept)}
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    frameworks.load("compare quantised files")
    head = ["model", "way", "us", "speed", "SQNR dB", "kB", "smaller"]
    print("|", " | ".join(head), "|\n|", " | ".join("---" for _ in head), "|", flush=True)
    made = networks()
    for name in arguments.models:
        with tempfile.TemporaryDirectory() as folder:
            measure(name, Files(made[name], Path(folder)), ways, arguments)


if __name__ == "__main__":
    main()
