"""Models that Keras does not load: SavedModel folders and `.tflite` files.

Both are given the little that the exporter asks of a Keras model.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from edgekit.errors import SourceError, one_line
from edgekit.signature import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgekit.signature import Feeds, Outputs

#: The signature of a SavedModel that is exported, where it has several.
SERVING = "serving_default"


@dataclass(frozen=True)
class SavedModel:
    """A signature of a SavedModel, called as a Keras model is."""

    name: str
    inputs: tuple[TensorSpec, ...]
    function: Any
    #: Its variables live as long as this.
    owner: Any
    layers: ClassVar[tuple[Any, ...]] = ()

    def __call__(self, inputs: Any, training: bool = False) -> dict[str, Any]:
        """Give the outputs by name."""
        feeds = inputs if isinstance(inputs, dict) else {self.inputs[0].name: inputs}
        outputs: dict[str, Any] = self.function(**feeds)
        return outputs


@dataclass(frozen=True)
class LiteModel:
    """A `.tflite` file: its specs, and the names of its tensors in the file."""

    name: str
    path: Path
    inputs: tuple[TensorSpec, ...]
    tensors: tuple[str, ...]
    outputs: dict[str, str]
    quantized: bool
    layers: ClassVar[tuple[Any, ...]] = ()

    def predict(self, feeds: Feeds) -> Outputs:
        """Run TensorFlow Lite itself on a feed."""
        interpreter = _interpreter(self.path)
        places = {
            details["index"]: feeds[spec.name]
            for spec, details in zip(self.inputs, interpreter.get_input_details(), strict=True)
        }
        for index, array in places.items():
            interpreter.resize_tensor_input(index, array.shape)
        interpreter.allocate_tensors()
        for index, array in places.items():
            interpreter.set_tensor(index, array)
        interpreter.invoke()
        found = {
            details["name"]: interpreter.get_tensor(details["index"])
            for details in interpreter.get_output_details()
        }
        return {name: found[tensor] for name, tensor in self.outputs.items()}


def is_saved_model(path: Path) -> bool:
    """Whether a folder holds a SavedModel."""
    return (path / "saved_model.pb").is_file()


def load_saved_model(path: Path, axis_names: Callable[..., tuple[int | str, ...]]) -> SavedModel:
    """Open a SavedModel's serving signature; raises `SourceError` where there is none to export."""
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(path)
    except Exception as error:  # TensorFlow raises whatever a damaged folder provokes
        raise SourceError(
            f"The SavedModel {str(path)!r} cannot be loaded ({one_line(error)}): write it again."
        ) from error
    signatures = loaded.signatures
    if SERVING not in signatures and len(signatures) != 1:
        found = ", ".join(map(repr, signatures)) or "none"
        raise SourceError(
            f"The SavedModel {str(path)!r} has the signatures {found}: save it with one, or with "
            f"one that is called {SERVING!r}."
        )
    function = signatures[SERVING] if SERVING in signatures else next(iter(signatures.values()))
    wanted = function.structured_input_signature[1]
    specs = []
    for name, spec in wanted.items():
        if spec.shape.rank is None or spec.dtype == tf.string:
            raise SourceError(
                f"The input {name!r} of the SavedModel {str(path)!r} is {spec.dtype.name} of shape "
                f"{spec.shape}: save it with numbers of a known rank."
            )
        axes = axis_names(name, spec.shape.as_list(), single=len(wanted) == 1)
        specs.append(TensorSpec(name, spec.dtype.name, axes))
    return SavedModel(path.name, tuple(specs), function, loaded)


def load_lite(path: Path, axis_names: Callable[..., tuple[int | str, ...]]) -> LiteModel:
    """Open a `.tflite` file; raises `SourceError` where TensorFlow Lite cannot."""
    try:
        interpreter = _interpreter(path)
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        known = _signature_names(interpreter)
        tensors = interpreter.get_tensor_details()
    except (ValueError, RuntimeError) as error:
        raise SourceError(
            f"The file {str(path)!r} cannot be loaded by TensorFlow Lite ({one_line(error)}): "
            "give a whole .tflite model."
        ) from error
    specs = []
    for details in inputs:
        name = known.get(details["name"], details["name"].partition(":")[0])
        shape = [None if size < 0 else int(size) for size in details["shape_signature"]]
        axes = axis_names(name, shape, single=len(inputs) == 1)
        specs.append(TensorSpec(name, np.dtype(details["dtype"]).name, axes))
    return LiteModel(
        name=path.stem,
        path=path,
        inputs=tuple(specs),
        tensors=tuple(details["name"] for details in inputs),
        outputs={known.get(d["name"], d["name"].partition(":")[0]): d["name"] for d in outputs},
        quantized=any(len(d["quantization_parameters"]["scales"]) for d in tensors),
    )


def _signature_names(interpreter: Any) -> dict[str, str]:
    """Give the names that a file's first signature has for its tensors."""
    for key in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(key)
        both = {**runner.get_input_details(), **runner.get_output_details()}
        return {details["name"]: name for name, details in both.items()}
    return {}


def _interpreter(path: Path) -> Any:
    import tensorflow as tf

    with warnings.catch_warnings():
        # It announces a package of its own that is to follow.
        warnings.simplefilter("ignore")
        return tf.lite.Interpreter(
            str(path),
            experimental_op_resolver_type=(
                tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            ),
        )
