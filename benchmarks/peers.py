"""Engines that run a model beside onnxruntime, each in a process of its own.

A process opens one candidate, answers with its first outputs, and then runs as often as it is
told to. `threads` is the engine's own number of threads inside of an operator; nothing else of it
runs at the time. LiteRT and OpenVINO come with the extra `peers`.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Run = Callable[[], list[Array]]
#: A process that takes longer over an answer is given up.
PATIENCE_S = 180.0
#: Time that passes, or that the process computes: other work on the machine adds little to that.
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def onnxruntime(file: str, feeds: Sequence[Array], threads: int) -> Run:
    """Open an ONNX file as edgekit does on the CPU."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    named = {spec.name: array for spec, array in zip(session.get_inputs(), feeds, strict=True)}
    return lambda: list(session.run(None, named))


def litert(file: str, feeds: Sequence[Array], threads: int) -> Run:
    """Open a TFLite file, whose shapes are fixed, with the XNNPACK delegate (its default)."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=file, num_threads=threads)
    interpreter.allocate_tensors()
    # The inputs are named after the signature: `x0`, `x1`, ...
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


def keras(file: str, feeds: Sequence[Array], threads: int) -> Run:
    """Open a `.keras` file as one `tf.function`."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf
    from keras.saving import load_model

    import model_defs.attention  # noqa: F401  # registers the layer in its file

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = load_model(file, compile=False, safe_mode=False)
    function = tf.function(lambda *tensors: model(_packed(model, tensors), training=False))
    tensors = [tf.constant(array) for array in feeds]
    return lambda: [np.asarray(t) for t in tf.nest.flatten(function(*tensors))]


def _packed(model: Any, tensors: Sequence[Any]) -> Any:
    from keras.tree import pack_sequence_as

    return pack_sequence_as(model.input, list(tensors))


ENGINES = {
    "onnxruntime": onnxruntime,
    "litert": litert,
    "openvino": openvino,
    "keras": keras,
}


class Candidate:
    """A file that is open in a process of its own; `error` says why not, in few words."""

    def __init__(self, name: str, engine: str, file: str, feeds: list[Array], threads: int) -> None:
        self.name = name
        self.error = ""
        self.outputs: list[Array] = []
        self.blocks: list[float] = []
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(other, engine, file, feeds, threads), daemon=True
        )
        self._process.start()
        other.close()
        answer = self._answer()
        if isinstance(answer, list):
            self.outputs = answer

    def time(self, seconds: float, clock: str) -> float:
        """Run for about so long; give the median of one run in seconds (nan after an error)."""
        self._pipe.send((seconds, clock))
        answer = self._answer()
        return answer if isinstance(answer, float) else float("nan")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()

    def _answer(self) -> Any:
        answer: Any = "no answer in time"
        with contextlib.suppress(EOFError, OSError):
            answer = "crashed"
            if self._pipe.poll(PATIENCE_S):
                answer = self._pipe.recv()
        if isinstance(answer, str):
            self.error = answer
        return answer


def _serve(pipe: Any, engine: str, file: str, feeds: list[Array], threads: int) -> None:
    """Open, answer with the first outputs, then time whatever is asked for."""
    try:
        run = ENGINES[engine](file, feeds, threads)
        pipe.send(run())
    except Exception as error:  # noqa: BLE001  # a peer fails as it likes; its cell says how
        pipe.send(f"{type(error).__name__}: {error}".splitlines()[0][:100])
        return
    while True:
        seconds, clock = pipe.recv()
        now = CLOCKS[clock]
        times: list[float] = []
        end = time.perf_counter() + seconds
        while not times or time.perf_counter() < end:
            start = now()
            run()
            times.append(now() - start)
        pipe.send(float(np.median(times)))
