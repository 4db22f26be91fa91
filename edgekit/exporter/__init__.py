"""Keras -> a verified ONNX bundle. The only code that may touch keras, tensorflow and tf2onnx.

`export` never reports success for a file that onnxruntime cannot open and run: the file is opened
before it is moved into place, run at two batch sizes, and compared with Keras.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from edgekit import files, metrics, parity
from edgekit.bundle import EXTERNAL, Bundle, FileEntry, Manifest, Variant
from edgekit.errors import ExportError, ModelError, SourceError
from edgekit.exporter import (
    axes,
    blame,
    companions,
    convert,
    evidence,
    frameworks,
    ids,
    lowering,
    passes,
    refusals,
    sources,
    trace,
    writer,
    zoo,
)
from edgekit.exporter.foreign import LiteModel
from edgekit.exporter.passes import tidy
from edgekit.filesize import model_bytes
from edgekit.runtime.runner import Runner, open_runner
from edgekit.runtime.session import engine_reason
from edgekit.signature import Signature

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgekit.exporter.companions import Companions
    from edgekit.exporter.sources import Source
    from edgekit.parity import OutputParity
    from edgekit.reference import Reference
    from edgekit.signature import Feeds, TensorSpec

TOOLS = ("keras", "tensorflow", "tf2onnx", "onnx", "onnx-ir", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Exported:
    """One exported `.onnx` file, with the evidence of its parity by batch size."""

    path: Path
    signature: Signature
    opset: int
    parity: dict[int, tuple[OutputParity, ...]]
    size_bytes: int


def export(
    source: Any,
    out: str | Path | None = None,
    *,
    signature: Sequence[TensorSpec] | None = None,
    reference: Feeds | None = None,
    opset: int = convert.OPSET,
    options: dict[str, Any] | None = None,
    seed: int = 0,
    artifacts: str | Path = "artifacts",
    force: bool = False,
    progress: Callable[[float, str], None] | None = None,
    **beside: Unpack[Companions],
) -> Bundle | Exported:
    """Export a source and prove the result against Keras.

    `source` is a named model, a `.keras` or `.h5` file, a SavedModel folder, a `.tflite` file,
    `package.module:factory` or a Keras model;
    `out` a folder for a bundle (left out: `artifacts/NAME`) or a path ending in `.onnx` for that
    one file. `signature` tells the inputs of a model that does not say them; `reference` are the
    inputs to check with, made from a seed where there are none. `options` and `seed` go to a named
    model's `build` and training. `Companions` says what else a bundle may hold: labels,
    preprocessing, calibration and evaluation data of a model of your own.

    Raises `SourceError`, `ExportError` (nothing is written), `OutputError` for an existing output.
    """
    if isinstance(source, str) and len(sources.expand(source)) > 1:
        raise SourceError(
            f"The model {source!r} is exported in parts: give one of "
            f"{', '.join(sources.expand(source))}."
        )
    target = Path(out) if out is not None else default_out(source, options or {}, Path(artifacts))
    if not convert.MIN_OPSET <= opset <= convert.MAX_OPSET:
        raise ExportError(
            f"The opset {opset} is not supported: give one from {convert.MIN_OPSET} to "
            f"{convert.MAX_OPSET}."
        )
    files.check_free(target, force=force)
    loaded = sources.load(
        source,
        inputs=signature,
        options=options,
        seed=seed,
        artifacts=Path(artifacts),
        progress=progress,
    )
    if progress:
        progress(0.0, f"exporting {loaded.name}")
    if reference is not None:
        checked = Signature(loaded.inputs, ()).check(reference)
        loaded = dataclasses.replace(loaded, reference=checked)
    loaded = companions.attach(loaded, beside)
    refusals.check(loaded.model, loaded.inputs)
    if target.suffix == ".onnx":
        with files.new_file(target, force=force) as made:
            result = _write_file(loaded, made, opset, seed)
            return dataclasses.replace(result[0], path=target)
    with files.new_folder(target, force=force) as folder:
        _write_bundle(loaded, folder, opset, seed)
    return Bundle.open(target)


def export_all(source: Any, out: str | Path | None = None, **options: Any) -> list[Any]:
    """Export a source, or each part of one that has parts into a folder of its own under `out`.

    The options are those of `export`.
    """
    parts = sources.expand(source) if isinstance(source, str) else [source]
    if len(parts) == 1:
        return [export(source, out, **options)]
    if out is not None and Path(out).suffix == ".onnx":
        raise SourceError(
            f"The model {source!r} is exported in {len(parts)} parts: give a folder, or one of "
            f"{', '.join(parts)}."
        )
    folders = [None if out is None else Path(out) / part.rpartition("/")[2] for part in parts]
    return [export(part, folder, **options) for part, folder in zip(parts, folders, strict=True)]


def train(
    source: str,
    out: str | Path | None = None,
    *,
    options: dict[str, Any] | None = None,
    seed: int = 0,
    epochs: int | None = None,
    artifacts: str | Path = "artifacts",
    force: bool = False,
    progress: Callable[[float, str], None] | None = None,
) -> zoo.TrainRecord:
    """Train a named model and save its weights; `out` left out, where `export` finds them.

    Raises `SourceError` for an unknown name, `OutputError` for weights that exist.
    """
    if source not in zoo.names():
        raise SourceError(sources.unknown(source))
    options = options or {}
    path = Path(out) if out else zoo.weights_path(source, options, seed, Path(artifacts))
    if path.suffix != ".keras":
        raise SourceError(f"The output {str(path)!r} is not a .keras file: give one.")
    files.check_free(path, force=force)
    return zoo.train(source, path, options=options, seed=seed, epochs=epochs, progress=progress)


def default_out(source: Any, options: dict[str, Any], artifacts: Path) -> Path:
    """Where a source's bundle goes: `artifacts/NAME`, named as its weights are."""
    if not isinstance(source, (str, Path)):
        return artifacts / str(getattr(source, "name", "model"))
    text = str(source)
    name, _, part = text.partition("/")
    if name in zoo.names():
        return zoo.weights_path(name, options, 0, artifacts).with_suffix("") / part
    return artifacts / (text.rpartition(":")[2] if ":" in text else Path(text).stem)


def _write_file(
    source: Source, path: Path, opset: int, seed: int
) -> tuple[Exported, Reference, Runner]:
    """Convert, write, open, and compare with Keras; the open runner comes back for the metric."""
    model = _converted(source, opset)
    settled = axes.settle(
        source.model,
        source.inputs,
        source.reference,
        ids.limits(model, source.inputs),
        batch=companions.SAMPLES,
        seed=seed,
    )
    frameworks.give_back_memory()
    source = dataclasses.replace(source, inputs=settled.inputs)
    known = [value.shape for value in model.graph.outputs]
    tidy.name_interface(model, settled.inputs, axes.output_shapes(settled, known))
    tidy.describe(model, source.name, source.about)
    writer.save(model, path)
    tidy.release(model)
    frameworks.give_back_memory()
    try:
        runner = open_runner(path)
        companions.check_labels(source.about.get("labels") or (), runner.signature)
        reference, proof = evidence.verify(
            runner,
            trace.predictor(source.model, source.inputs),
            *settled.references,
            parity.TOLERANCES[precision(source.model)],
        )
    except ModelError as error:
        reason = engine_reason(error.__cause__ or error)
        layer = blame.layer_in_text(source.model, reason)
        raise ExportError(
            f"The converted model {source.name!r} does not run"
            f"{f' at the layer {layer!r}' if layer else ''} ({reason}): this is a defect of the "
            "conversion, please report it with the model."
        ) from error
    exported = Exported(path, runner.signature, opset, proof, model_bytes(path))
    return exported, reference, runner


def _converted(source: Source, opset: int) -> Any:
    """Convert a model, without the names and shapes of its interface."""
    markers: list[Any] = []
    if isinstance(source.model, LiteModel):
        model = convert.convert_lite(source.model, opset)
    else:
        with lowering.marking(opset) as markers:
            graph = trace.trace(source.model, source.inputs)
        model = convert.convert(graph, source.model, source.name, opset)
        lowering.lower(model, markers)
    write_late = functools.partial(lowering.lower, markers=markers, late=True)
    passes.optimise(model, source.inputs, write_late)
    return model


def _write_bundle(source: Source, folder: Path, opset: int, seed: int) -> None:
    exported, reference, runner = _write_file(source, folder / "model.onnx", opset, seed)
    reference.save(folder / "reference.npz")
    if source.calibration is not None:
        files.save_arrays(folder / "calibration.npz", {"inputs": source.calibration})
    if source.evaluation is not None:
        files.save_arrays(folder / "evaluation.npz", source.evaluation)
    coarsest = precision(source.model)
    variant = Variant(
        name=coarsest,
        file=FileEntry.of(exported.path),
        precision=coarsest,
        recipe="float",
        opset=opset,
        measured={"parity": {"cpu": summary(exported.parity)}},
    )
    manifest = Manifest(
        name=source.name,
        signature=exported.signature,
        variants=(variant,),
        data={path.stem: FileEntry.of(path) for path in sorted(folder.glob("*.npz"))}
        | {path.name: FileEntry.of(path) for path in folder.glob(f"*{EXTERNAL}")},
        task=source.about.get("task"),
        metric=source.about.get("metric"),
        labels=tuple(source.about.get("labels") or ()),
        preprocessing=source.about.get("preprocessing"),
        source=source.origin,
        training=source.about.get("training") or {},
        tools=tool_versions(),
    )
    (folder / files.MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    with runner:
        value = metrics.evaluate(Bundle(folder, manifest), runner)
    if value is not None:
        Bundle(folder, manifest).record(coarsest, "metric", "cpu", value)


def summary(evidence: dict[int, tuple[OutputParity, ...]]) -> list[dict[str, Any]]:
    """Give the numbers of a parity check that a manifest keeps, a row an output and batch size."""
    keys = ("name", "max_abs_error", "max_rel_error", "cosine", "sqnr_db", "passed")
    return [
        {"batch": batch} | {key: getattr(output, key) for key in keys}
        for batch, outputs in evidence.items()
        for output in outputs
    ]


def tool_versions() -> dict[str, str]:
    """Versions of the packages that made a file, as far as they are installed."""
    import edgekit

    versions = {"edgekit": edgekit.__version__}
    for package in TOOLS:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def precision(model: Any) -> str:
    """Name the coarsest precision that a layer computes in: it decides what counts as equal."""
    if isinstance(model, LiteModel) and model.quantized:
        return "int8"
    layers = model._flatten_layers() if hasattr(model, "_flatten_layers") else ()
    dtypes = {layer.compute_dtype for layer in layers}
    return "bf16" if "bfloat16" in dtypes else "fp16" if "float16" in dtypes else "fp32"
