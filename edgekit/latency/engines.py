"""Engines that run a model beside edgekit, on inputs that are given once. numpy only.

Each opens a file for feeds in the model's own order, and gives a function that runs it and returns
the outputs in order. `threads` is the engine's own number inside of an operator; what else it could
run at once is one. LiteRT and OpenVINO come with the extra `peers`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import needs_extra

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Array = np.ndarray[Any, Any]
    Run = Callable[[], list[Array]]
    Open = Callable[[str, Sequence[Array], int], Run]


def tf2onnx(file: str, feeds: Sequence[Array], threads: int) -> Run:
    """Open tf2onnx's ONNX file as edgekit opens its own."""
    from edgekit.runtime.runner import open_runner

    runner = open_runner(file, threads=threads)
    named = {s.name: array for s, array in zip(runner.signature.inputs, feeds, strict=True)}
    return lambda: list(runner.run(named).values())


def litert(file: str, feeds: Sequence[Array], threads: int) -> Run:
    """Open a TFLite file, whose shapes are fixed, with the XNNPACK delegate (its default)."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=file, num_threads=threads)
    interpreter.allocate_tensors()
    # The inputs are named by their place: `x00`, `x01`, ...
    inputs = sorted(interpreter.get_input_details(), key=lambda detail: str(detail["name"]))
    outputs = [detail["index"] for detail in interpreter.get_output_details()]

    def run() -> list[Array]:
        for detail, array in zip(inputs, feeds, strict=True):
            interpreter.set_tensor(detail["index"], array)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in outputs]

    return run


def openvino(file: str, feeds: Sequence[Array], threads: int) -> Run:
    """Open an ONNX file at the shapes of the feeds, in float32 whatever the processor offers."""
    import openvino as ov

    core = ov.Core()
    model = core.read_model(file)
    model.reshape({i: list(array.shape) for i, array in enumerate(feeds)})
    options = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = core.compile_model(model, "CPU", options)
    request = compiled.create_infer_request()
    given = dict(enumerate(feeds))

    def run() -> list[Array]:
        request.infer(given, share_inputs=True)
        return [np.array(request.get_output_tensor(i).data) for i in range(len(compiled.outputs))]

    return run


def keras(folder: str, feeds: Sequence[Array], threads: int) -> Run:
    """Open the `tf.function` of a Keras model that `exporter.peers` saved."""
    from edgekit.exporter.peers import open_keras

    return open_keras(folder, feeds, threads)


#: Peer -> how it opens a file, and the package that is loaded before the clock starts.
ENGINES: dict[str, tuple[Open, str]] = {
    "tf2onnx": (tf2onnx, "onnxruntime"),
    "litert": (litert, "ai_edge_litert.interpreter"),
    "openvino": (openvino, "openvino"),
    "keras": (keras, "tensorflow"),
}


def load(peer: str) -> Open:
    """Import a peer's package and give its function; raises `MissingExtraError` without it."""
    function, package = ENGINES[peer]
    with needs_extra(f"run the peer {peer!r}"):
        importlib.import_module(package)
    return function
