"""edgekit's peers and bare onnxruntime, each in a process of its own.

A process opens one candidate, answers with its first outputs, and then runs as often as it is
told to. `threads` is the engine's own number of threads inside of an operator; nothing else of it
runs at the time. LiteRT and OpenVINO come with the extra `peers`; onnxruntime's own OpenVINO
provider is another onnxruntime, in the environment of another interpreter.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.latency import engines
from edgekit.runtime.session import open_session, plan_session

Array = np.ndarray[Any, Any]
Run = Callable[[], list[Array]]
#: A process that takes longer over an answer is given up.
PATIENCE_S = 180.0
#: Time that passes, or that the process computes: other work on the machine adds little to that.
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def onnxruntime(file: str, feeds: Sequence[Array], threads: int) -> Run:
    """Open an ONNX file as edgekit does on the CPU."""
    return _session(file, feeds, threads, "cpu")


def openvino_provider(file: str, feeds: Sequence[Array], threads: int) -> Run:
    """Open an ONNX file on onnxruntime's OpenVINO provider as edgekit does: all of it, or none."""
    return _session(file, feeds, threads, "openvino")


def _session(file: str, feeds: Sequence[Array], threads: int, provider: str) -> Run:
    """Open the session that edgekit's runner has, and run it without the runner."""
    plan = plan_session(
        Path(file), provider, threads=threads, allow_fallback=False, provider_options=None
    )
    session = open_session(plan).session
    named = {spec.name: array for spec, array in zip(session.get_inputs(), feeds, strict=True)}
    return lambda: list(session.run(None, named))


ENGINES: dict[str, Callable[[str, Sequence[Array], int], Run]] = {
    "onnxruntime": onnxruntime,
    "litert": engines.litert,
    "openvino": engines.openvino,
    "openvino provider": openvino_provider,
    "keras": engines.keras,
}


class Candidate:
    """A file that is open in a process of its own; `error` says why not, in few words."""

    def __init__(
        self,
        name: str,
        engine: str,
        file: str,
        feeds: list[Array],
        threads: int,
        python: str = sys.executable,
    ) -> None:
        self.name = name
        self.error = ""
        self.outputs: list[Array] = []
        self.blocks: list[float] = []
        self._pipe, other = multiprocessing.Pipe()
        self._process = subprocess.Popen(
            [python, __file__, str(other.fileno())],
            pass_fds=[other.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Another interpreter's environment need not have edgekit.
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        )
        other.close()
        self._pipe.send((engine, file, feeds, threads))
        answer = self._answer()
        if isinstance(answer, list):
            self.outputs = answer

    def answer(self, feeds: list[Array]) -> list[Array]:
        """Give the outputs for other feeds of the same shapes (none after an error)."""
        self._pipe.send(feeds)
        answer = self._answer()
        return answer if isinstance(answer, list) else []

    def time(self, seconds: float, clock: str) -> float:
        """Run for about so long; give the median of one run in seconds (nan after an error)."""
        self._pipe.send((seconds, clock))
        answer = self._answer()
        return answer if isinstance(answer, float) else float("nan")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def _answer(self) -> Any:
        answer: Any = "no answer in time"
        with contextlib.suppress(EOFError, OSError):
            answer = "crashed"
            if self._pipe.poll(PATIENCE_S):
                answer = self._pipe.recv()
        if isinstance(answer, str):
            self.error = answer
        return answer


def _serve(pipe: Connection) -> None:
    """Open what is sent first, answer with its outputs, then time whatever is asked for."""
    engine, file, feeds, threads = pipe.recv()
    try:
        run = ENGINES[engine](file, feeds, threads)
        pipe.send(run())
    except Exception as error:  # noqa: BLE001  # a peer fails as it likes; its cell says how
        pipe.send(f"{type(error).__name__}: {error}".splitlines()[0][:100])
        return
    with contextlib.suppress(EOFError):
        while True:
            told = pipe.recv()
            if isinstance(told, list):
                # An engine keeps the inputs that it was opened with.
                pipe.send(ENGINES[engine](file, told, threads)())
            else:
                pipe.send(_median(run, *told))


def _median(run: Run, seconds: float, clock: str) -> float:
    now = CLOCKS[clock]
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = now()
        run()
        times.append(now() - start)
    return float(np.median(times))


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
