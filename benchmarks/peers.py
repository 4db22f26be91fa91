"""edgekit's peers and bare onnxruntime, each in a process of its own.

A process opens one candidate, answers with its first outputs, and then runs as often as it is
told to. `threads` is the engine's own number of threads inside of an operator; nothing else of it
runs at the time. LiteRT and OpenVINO come with the extra `peers`.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgekit.latency import engines

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


ENGINES: dict[str, Callable[[str, Sequence[Array], int], Run]] = {
    "onnxruntime": onnxruntime,
    "litert": engines.litert,
    "openvino": engines.openvino,
    "keras": engines.keras,
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
