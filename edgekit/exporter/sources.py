"""What a user hands to `export`, turned into a Keras model with a signature and its data.

A source is a named model, a `.keras` or `.h5` file, a SavedModel folder, a `.tflite` file,
`package.module:factory`, or a Keras model object. Keras's files are loaded with its safe mode on:
they may not bring code of their own.
"""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit import files
from edgekit.errors import SourceError, one_line
from edgekit.exporter import foreign, frameworks, zoo
from edgekit.signature import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgekit.signature import Feeds

FILES = (".keras", ".h5")
LITE = ".tflite"


@dataclass(frozen=True)
class Source:
    """A Keras model that is ready to be traced, and whatever else is known of it.

    `reference` are inputs to check it with, None where they have to be made; `calibration` and
    `evaluation` are groups of arrays for the bundle.
    """

    name: str
    model: Any
    inputs: tuple[TensorSpec, ...]
    origin: dict[str, Any]
    reference: Feeds | None = None
    calibration: Feeds | None = None
    evaluation: dict[str, dict[str, np.ndarray[Any, Any]]] | None = None
    about: dict[str, Any] = field(default_factory=dict)


def expand(source: str) -> list[str]:
    """Give the parts of a named source, each of which becomes a bundle; else the source itself."""
    name, _, part = source.partition("/")
    parts = zoo.PARTS.get(name, ())
    return [f"{name}/{known}" for known in parts] if parts and not part else [source]


def load(
    source: Any,
    *,
    inputs: Sequence[TensorSpec] | None = None,
    options: dict[str, Any] | None = None,
    seed: int = 0,
    artifacts: Path = Path("artifacts"),
    progress: Callable[[float, str], None] | None = None,
) -> Source:
    """Turn a source into a model; a named one is trained first where it has no saved weights.

    Raises `SourceError` for what cannot be used, `MissingExtraError` for a missing package.
    """
    if not isinstance(source, (str, Path)):
        return _from_model(source, inputs, {"kind": "object"}, getattr(source, "name", "model"))
    text = str(source)
    if text.partition("/")[0] in zoo.names():
        return _from_zoo(text, options or {}, seed, artifacts, progress)
    if text.endswith(FILES):
        return _from_file(Path(text), inputs)
    if text.endswith(LITE) or foreign.is_saved_model(Path(text)):
        return _from_foreign(Path(text))
    if ":" in text and not Path(text).exists():
        return _from_factory(text, inputs)
    raise SourceError(unknown(text))


def _from_zoo(
    text: str,
    options: dict[str, Any],
    seed: int,
    artifacts: Path,
    progress: Callable[[float, str], None] | None,
) -> Source:
    trained = zoo.load_or_train(
        text.partition("/")[0], options=options, seed=seed, artifacts=artifacts, progress=progress
    )
    part = zoo.select(trained, text.partition("/")[2])
    origin = {
        "kind": "named",
        "name": text,
        "options": options,
        "seed": seed,
        "sha256": files.digest(trained.record.path),
    }
    return Source(
        name=text.replace("/", "-"),
        model=part.model,
        inputs=input_specs(part.model),
        origin=origin,
        reference=part.reference,
        calibration=part.calibration,
        evaluation=part.evaluation,
        about=part.about,
    )


def _from_file(path: Path, inputs: Sequence[TensorSpec] | None) -> Source:
    if not path.is_file():
        raise SourceError(f"The file {str(path)!r} does not exist: check the path.")
    frameworks.load("load a Keras model")
    import keras

    zoo.register()
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever a damaged file provokes
        raise SourceError(_cannot_load(path, error)) from error
    origin = {"kind": "file", "name": path.name, "sha256": files.digest(path)}
    return _from_model(model, inputs, origin, path.stem)


def _from_foreign(path: Path) -> Source:
    if not path.exists():
        raise SourceError(f"The file {str(path)!r} does not exist: check the path.")
    frameworks.load("load a model of TensorFlow's")
    if path.is_dir():
        saved = foreign.load_saved_model(path, axis_names)
        digest = files.digest(path / "saved_model.pb")
        origin = {"kind": "saved_model", "name": path.name, "sha256": digest}
        return Source(saved.name, saved, saved.inputs, origin)
    lite = foreign.load_lite(path, axis_names)
    origin = {"kind": "tflite", "name": path.name, "sha256": files.digest(path)}
    return Source(lite.name, lite, lite.inputs, origin)


def _cannot_load(path: Path, error: Exception) -> str:
    text = str(error)
    if "safe_mode" in text or "unsafe" in text.lower() or "Lambda" in text:
        return (
            f"The file {str(path)!r} holds a layer with Python code of its own, which is not "
            "loaded from a file: load it in Python where you trust it, and call "
            "edgekit.export(model, path)."
        )
    return (
        f"The file {str(path)!r} cannot be loaded by Keras ({one_line(error)}): give a whole "
        ".keras or .h5 model, and import its custom layers by exporting package.module:factory."
    )


def _from_factory(text: str, inputs: Sequence[TensorSpec] | None) -> Source:
    frameworks.load("export a Keras model")
    module_name, _, attribute = text.partition(":")
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise SourceError(
            f"The factory {text!r} cannot be imported ({one_line(error)}): give "
            "package.module:function, importable from here."
        ) from error
    model = factory() if not hasattr(factory, "layers") else factory
    return _from_model(model, inputs, {"kind": "factory", "name": text}, attribute)


def _from_model(
    model: Any, inputs: Sequence[TensorSpec] | None, origin: dict[str, Any], name: str
) -> Source:
    frameworks.load("export a Keras model")
    import keras

    if not isinstance(model, keras.Layer):
        raise SourceError(
            f"The source is a {type(model).__name__}: give a Keras 3 model, a named model "
            f"({', '.join(zoo.names())}), a .keras or .h5 file, or package.module:factory."
        )
    return Source(name, model, tuple(inputs) if inputs else input_specs(model), origin)


def input_specs(model: Any) -> tuple[TensorSpec, ...]:
    """Give a built model's inputs by Keras's own names, with readable names for free axes.

    Raises `SourceError` for a model that has no symbolic inputs and so needs a signature.
    """
    try:
        tensors = model.inputs
    except (AttributeError, ValueError):
        tensors = None
    if not tensors:
        raise SourceError(
            f"The model {model.name!r} does not say what it takes (it is subclassed, or not built "
            "yet): give signature=[TensorSpec(...)], or --input 'name:dtype[batch,28,28,1]'."
        )
    names = [tensor.name.partition(":")[0] for tensor in tensors]
    return tuple(
        TensorSpec(name, _dtype(tensor), axis_names(name, tensor.shape, single=len(names) == 1))
        for name, tensor in zip(names, tensors, strict=True)
    )


def _dtype(tensor: Any) -> str:
    """Name an input's dtype; numpy has no bfloat16, whose place float32 takes."""
    name = str(tensor.dtype)
    return {"bfloat16": "float32", "string": "str"}.get(name, name)


def axis_names(
    name: str, shape: Sequence[int | None], *, single: bool = True
) -> tuple[int | str, ...]:
    """Name the free axes of an input: `batch`, then `time`, or `height` and `width` of an image.

    Where a model has several inputs, an axis other than the batch carries the input's name, since
    nothing says that two of them have one length.
    """
    readable = ("batch", "height", "width", "channels") if len(shape) == 4 else ("batch", "time")
    axes: list[int | str] = []
    for i, size in enumerate(shape):
        word = readable[i] if i < len(readable) else f"axis{i}"
        axes.append(size if size is not None else word if single or i == 0 else f"{name}_{word}")
    return tuple(axes)


def unknown(text: str) -> str:
    """Say that there is no such source, and which is nearest."""
    path = Path(text)
    if path.exists():
        return (
            f"The source {text!r} is not something edgekit exports: give a .keras or .h5 file, "
            "a SavedModel folder, a .tflite file, package.module:factory, or one of "
            f"{', '.join(zoo.names())}."
        )
    near = difflib.get_close_matches(text, zoo.names(), n=1)
    hint = f"did you mean {near[0]!r}?" if near else "give a .keras or .h5 file, or a named model."
    return f"There is no model {text!r} among {', '.join(zoo.names())}: {hint}"


def parse_input(text: str) -> TensorSpec:
    """Read `name:dtype[batch,28,28,1]` as a spec; a number is a fixed axis, a name a free one."""
    name, _, rest = text.partition(":")
    dtype, bracket, axes = rest.partition("[")
    try:
        np.dtype(dtype)
    except TypeError:
        bracket = ""
    if not name or not dtype or not bracket or not axes.endswith("]"):
        raise SourceError(
            f"The input {text!r} is not understood: write name:dtype[axes], such as "
            "'image:float32[batch,28,28,1]'."
        )
    words = [axis.strip() for axis in axes[:-1].split(",") if axis.strip()]
    return TensorSpec(name, dtype, tuple(int(w) if w.isdigit() else w for w in words))
