"""What the peers of a benchmark run: a source's own weights, in the form that each engine takes.

The source is found again by what a bundle's manifest says of it, and has to give the answers of the
bundle's reference: only then does a peer run the same weights.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit import files, parity
from edgekit.errors import SourceError
from edgekit.exporter import frameworks, sources, trace, zoo
from edgekit.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edgekit.bundle import Bundle
    from edgekit.exporter.sources import Source
    from edgekit.signature import TensorSpec

    Array = np.ndarray[Any, Any]

OPSET = 18


def load(bundle: Bundle, source: str | Path | None, artifacts: Path) -> Source:
    """Load the Keras model that a bundle was exported from; `source` says where it is.

    Raises `SourceError` where it is not to be found again, or has other weights.
    """
    origin = bundle.manifest.source
    options = origin.get("options") or {}
    seed = origin.get("seed") or 0
    given = _find(bundle, artifacts) if source is None else source
    loaded = sources.load(
        given,
        inputs=bundle.manifest.signature.inputs,
        options=options,
        seed=seed,
        artifacts=artifacts,
    )
    entry = bundle.manifest.data.get("reference")
    if entry is not None:
        reference = Reference.load(bundle.file(entry))
        answers = trace.predict(loaded.model, loaded.inputs, reference.inputs)
        limit = parity.TOLERANCES[bundle.manifest.variants[0].precision]
        for output in parity.compare(reference.outputs, answers, limit):
            if not output.passed:
                raise SourceError(
                    f"The source {str(given)!r} does not give the answers in the reference of "
                    f"{str(bundle.path)!r} ({output.name!r}: {output.detail}): give the model that "
                    "it was exported from with --source, or export it again."
                )
    return loaded


def _find(bundle: Bundle, artifacts: Path) -> str | Path:
    """Give the source that a manifest names, once it is known to be there and unchanged."""
    origin = bundle.manifest.source
    kind, name = origin.get("kind"), str(origin.get("name", ""))
    wanted = origin.get("sha256")
    if kind == "factory":
        return name
    if kind == "named":
        options, seed = origin.get("options") or {}, origin.get("seed") or 0
        places = [zoo.weights_path(name.partition("/")[0], options, seed, artifacts)]
    elif kind == "file":
        places = [Path(name), bundle.path.parent / name, bundle.path / name]
    else:
        what = {"object": "a model object in Python"}.get(str(kind), f"a source of kind {kind!r}")
        raise SourceError(
            f"The bundle {str(bundle.path)!r} was exported from {what}, which cannot be loaded "
            "again: save the Keras model as a .keras file and give it with --source."
        )
    for place in places:
        if place.is_file() and files.digest(place) == wanted:
            return name if kind == "named" else place
    raise SourceError(
        f"The source of the bundle {str(bundle.path)!r} with sha256 {str(wanted)[:12]} is not at "
        f"{' or '.join(repr(str(place)) for place in places)}: give it with --source, or export "
        "the bundle again."
    )


def write_tf2onnx(source: Source, feeds: Sequence[Array], folder: Path) -> Path:
    """Convert with tf2onnx alone, without anything of edgekit's."""
    path = folder / "tf2onnx.onnx"
    plain(source.model, source.inputs, path)
    return path


def plain(model: Any, specs: Sequence[TensorSpec], path: Path) -> None:
    """Write a model as tf2onnx's `from_function` does."""
    import tensorflow as tf
    import tf2onnx

    signature = [
        tf.TensorSpec([a if isinstance(a, int) else None for a in s.shape], s.dtype, name=s.name)
        for s in specs
    ]
    function = tf.function(lambda *tensors: trace.call(model, specs, tensors))
    tf2onnx.convert.from_function(function, signature, opset=OPSET, output_path=str(path))


def write_litert(source: Source, feeds: Sequence[Array], folder: Path) -> Path:
    """Convert to TFLite at the shapes of the feeds; XNNPACK takes fixed ones."""
    path = folder / "litert.tflite"
    path.write_bytes(tflite(source.model, source.inputs, feeds))
    return path


def tflite(model: Any, specs: Sequence[TensorSpec], feeds: Sequence[Array]) -> Any:
    """Give the bytes of a TFLite model whose inputs are named by their place: `x00`, `x01`, ..."""
    return tflite_converter(model, specs, feeds).convert()


def tflite_converter(model: Any, specs: Sequence[TensorSpec], feeds: Sequence[Array]) -> Any:
    """Give TensorFlow's converter for a model at the shapes of the feeds."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    function = tf.function(lambda *tensors: trace.call(model, specs, tensors))
    signature = [tf.TensorSpec(a.shape, a.dtype, name=f"x{i:02}") for i, a in enumerate(feeds)]
    frozen = convert_variables_to_constants_v2(
        function.get_concrete_function(*signature), lower_control_flow=False
    )
    return tf.lite.TFLiteConverter.from_concrete_functions([frozen], model)


def write_keras(source: Source, feeds: Sequence[Array], folder: Path) -> Path:
    """Save Keras's own `tf.function` at inference, which another process runs without its code."""
    path = folder / "keras"
    save_keras(source.model, source.inputs, feeds, path)
    return path


def save_keras(model: Any, specs: Sequence[TensorSpec], feeds: Sequence[Array], path: Path) -> None:
    """Write a model's `tf.function` at the shapes of the feeds as a SavedModel."""
    import tensorflow as tf

    module = tf.Module()
    module.model = model  # its variables are saved with it
    signature = [tf.TensorSpec(array.shape, array.dtype) for array in feeds]
    module.infer = tf.function(
        lambda *tensors: trace.call(model, specs, tensors), input_signature=signature
    )
    tf.saved_model.save(module, str(path))


def open_keras(folder: str, feeds: Sequence[Array], threads: int) -> Callable[[], list[Array]]:
    """Open what `save_keras` wrote, and give a function that runs it."""
    frameworks.load("run Keras as a peer")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    module = tf.saved_model.load(folder)
    tensors = [tf.constant(array) for array in feeds]

    def run() -> list[Array]:
        # Named here: the functions live as long as the module does.
        return [np.asarray(tensor) for tensor in tf.nest.flatten(module.infer(*tensors))]

    return run


#: Peer -> what writes its file; the peers that run edgekit's own are not here.
WRITERS: dict[str, Callable[[Source, Sequence[Array], Path], Path]] = {
    "tf2onnx": write_tf2onnx,
    "litert": write_litert,
    "keras": write_keras,
}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep converters off the terminal."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        frameworks.stderr_closed(),
    ):
        yield
