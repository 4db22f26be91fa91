"""One candidate in a process of its own, and both ends of the pipe to it.

The parent holds a `Worker`; the child runs `main`. They exchange one JSON object a line: a request
`{"do": ...}` down, a reply or `{"error": ...}` up. A crash, a hang or an error in the child is one
sentence in the parent. Standard library, numpy and the device side of edgekit only.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

import edgekit
from edgekit import errors
from edgekit.errors import EdgekitError, ModelError, ProviderError
from edgekit.feeds import make_feeds
from edgekit.latency import contention, engines, probes, timing
from edgekit.runtime import child

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from edgekit.runtime.placement import Placement
    from edgekit.runtime.runner import RunOptions
    from edgekit.signature import Feeds

Answer = TypeVar("Answer")

# -P and the appended path: the child finds this edgekit, and no module of the user's folder.
COMMAND = (
    sys.executable,
    "-P",
    "-c",
    "import sys; sys.path.append(sys.argv[1]); from edgekit.latency.worker import main; main()",
    str(Path(edgekit.__file__).parents[1]),
)
#: How long a child may take for one request, beyond the time that the request asks for.
PATIENCE_S = 600.0
WARM_BLOCK_NS = 20_000_000

DOING = {
    "open": "opening it",
    "open_peer": "opening it",
    "warm": "warming up",
    "run": "running it",
    "peak": "measuring it",
    "count": "reading a model",
}


class Worker:
    """The parent's end: a child process that answers requests about one candidate.

    Leaving the `with` block kills the child. `label` names the candidate in messages.
    """

    def __init__(
        self, label: str, *, command: Sequence[str] = COMMAND, patience_s: float = PATIENCE_S
    ) -> None:
        self.label = label
        self._patience_s = patience_s
        self._expired = False
        # A file, because a pipe that nobody reads would block a child that complains a lot.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the worker)
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr
        )

    def ask(self, do: str, *, seconds: float = 0.0, **request: Any) -> dict[str, Any]:
        """Send a request that should take `seconds` and give its reply.

        An `EdgekitError` of the child is raised here, with its class and message; a child that
        crashes or hangs is a `ModelError` that names the candidate.
        """
        within_s = seconds + self._patience_s
        timer = threading.Timer(within_s, self._expire)
        timer.daemon = True
        timer.start()
        try:
            line = self._exchange(json.dumps({"do": do} | request))
        finally:
            timer.cancel()
        if not line.endswith(b"\n"):
            raise self._ended(DOING.get(do, do), within_s)
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise revive(reply["error"])
        return reply

    def close(self) -> None:
        """End the child; a second call does nothing."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            # A line that the dead child never read makes the close fail, and is no loss.
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _exchange(self, line: str) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        return self._process.stdout.readline()

    def _expire(self) -> None:
        self._expired = True
        self._process.kill()

    def _ended(self, doing: str, within_s: float) -> ModelError:
        code = self._process.wait()
        if self._expired:
            return ModelError(
                f"The process that times {self.label} did not answer within {within_s:g} s while "
                f"{doing}: give a smaller batch or leave this candidate out."
            )
        self._stderr.seek(0)
        how, last = child.how_it_ended(code), child.last_words(self._stderr.read())
        return ModelError(
            f"The process that times {self.label} ended {how} while {doing}{last}: check free "
            "memory, and that `edgekit infer` runs this model on this provider."
        )


def revive(error: Mapping[str, Any]) -> EdgekitError:
    """Make the exception that `_describe` described: the same class and message."""
    kind = getattr(errors, error["type"])
    if kind is ProviderError:
        return ProviderError(error["reason"], error["fix"], step=error["step"])
    revived: EdgekitError = kind(error["message"])
    return revived


def _describe(error: EdgekitError) -> dict[str, str]:
    described = {"type": type(error).__name__, "message": str(error)}
    if isinstance(error, ProviderError):
        described |= {"reason": error.reason, "fix": error.fix, "step": error.step}
    return described


def timed_block(
    run: Callable[[], object],
    block_ns: int,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> list[int]:
    """Run until `block_ns` have passed, at least once; give each run's nanoseconds."""
    samples: list[int] = []
    start = before = clock()
    while True:
        run()
        after = clock()
        samples.append(after - before)
        if after - start >= block_ns:
            return samples
        before = clock()


def warm_up(
    run: Callable[[], object],
    limit_ns: int,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> dict[str, Any]:
    """Run until block medians are steady (`timing.steady`) or `limit_ns` have passed."""
    medians: list[float] = []
    runs = 0
    start = clock()
    while not timing.steady(medians) and clock() - start < limit_ns:
        block = timed_block(run, WARM_BLOCK_NS, clock)
        medians.append(statistics.median(block))
        runs += len(block)
    return {"steady": timing.steady(medians), "runs": runs, "p50_ns": medians[-1]}


class _Child:
    """The child's state between requests, one method a request."""

    def __init__(self) -> None:
        self._run: Callable[[], object] = lambda: None
        self._profile: Callable[[], Placement] | None = None
        self._replicas = 1
        self._threads: ThreadPoolExecutor | None = None

    def open(
        self,
        *,
        file: str,
        reference: str | None,
        options: RunOptions,
        batch: int,
        axes: dict[str, int],
        seed: int,
        replicas: int,
    ) -> dict[str, Any]:
        """Open the model, and run it once; both are timed apart, imports in neither."""
        from edgekit.reference import Reference
        from edgekit.runtime import providers
        from edgekit.runtime.explain import profiled_placement
        from edgekit.runtime.runner import open_runner
        from edgekit.runtime.session import declared_signature

        ort = errors.require("onnxruntime", "run models")
        known = Reference.load(Path(reference)).inputs if reference else None
        feed = functools.partial(make_feeds, reference=known, batch=batch, axes=axes, seed=seed)
        feeds: Feeds = {}
        fixed: dict[str, int] = {}
        if any(row.fixed_shapes for row in providers.rows_of(options["provider"])):
            declared = declared_signature(Path(file))
            if declared is not None:
                feeds = feed(declared)
                fixed = declared.lengths(feeds)
        given: RunOptions = {**options, "axes": fixed}
        start = time.perf_counter_ns()
        runner = open_runner(file, **given)
        load_ns = time.perf_counter_ns() - start
        feeds = feeds or feed(runner.signature)
        first_ns, outputs = self._keep(functools.partial(runner.run, feeds), replicas)
        if len(runner.placement.nodes) > 1:
            self._profile = functools.partial(profiled_placement, file, feeds, **given)
        return {
            "load_ms": load_ns / 1e6,
            "first_run_ms": first_ns / 1e6,
            "provider": runner.provider,
            "fallback": runner.placement.fallback,
            "shared": self._profile is not None,
            "feeds": "seeded samples" if known is None else "reference inputs",
            "onnxruntime": ort.__version__,
            "bytes": sum(array.nbytes for array in (*feeds.values(), *outputs.values())),
            "axes": runner.signature.lengths(feeds),
        }

    def open_peer(
        self, *, engine: str, file: str, feeds: str, answers: str, threads: int, replicas: int
    ) -> dict[str, Any]:
        """Open a peer's file on arrays of an `.npz`, and write what it answers to another."""
        from edgekit import files

        function = engines.load(engine)
        arrays = list(files.load_arrays(Path(feeds)).values())
        start = time.perf_counter_ns()
        try:
            run = function(file, arrays, threads)
            load_ns = time.perf_counter_ns() - start
            first_ns, outputs = self._keep(run, replicas)
        except EdgekitError:
            raise
        except Exception as error:  # a peer fails as it likes
            raise ModelError(f"{type(error).__name__}: {errors.one_line(error)}") from error
        named = {str(i): np.asarray(array) for i, array in enumerate(outputs)}
        files.save_arrays(Path(answers), {"outputs": named})
        return {"load_ms": load_ns / 1e6, "first_run_ms": first_ns / 1e6}

    def _keep(self, run: Callable[[], Answer], replicas: int) -> tuple[int, Answer]:
        """Run once, and remember what to run; give the nanoseconds of that run, and its answer."""
        begun = time.perf_counter_ns()
        answer = run()
        first_ns = time.perf_counter_ns() - begun
        self._run, self._replicas = run, replicas
        if replicas > 1:
            # Threads that stay: the system says of each how long it waited.
            self._threads = ThreadPoolExecutor(replicas)
        # As timeit does: a collection in the middle of a run is not the model's latency.
        gc.disable()
        return first_ns, answer

    def warm(self, *, limit_ms: float) -> dict[str, Any]:
        """Run until steady, at most `limit_ms`."""
        return warm_up(self._run, int(limit_ms * 1e6))

    def run(self, *, settle_ms: float, block_ms: float) -> dict[str, Any]:
        """Time one block, after untimed runs that bring the caches back.

        `cpu_ns` is the CPU time of the timed threads in their `thread_ns`; `wall_ns` is the time
        that the runs took with all replicas at work, `waited_ns` the longest wait of a thread for
        a core, `process_ns` the CPU time of the process so far.
        """
        if settle_ms:
            self._blocks(int(settle_ms * 1e6))
        before = contention.waited_ns()
        blocks = self._blocks(int(block_ms * 1e6))
        waited = contention.longest_wait_ns(before, contention.waited_ns())
        samples = [ns for block, _, _ in blocks for ns in block]
        rate = sum(len(block) / wall for block, wall, _ in blocks)
        return {
            "ns": samples,
            "wall_ns": len(samples) / rate,
            "thread_ns": sum(wall for _, wall, _ in blocks),
            "cpu_ns": sum(cpu for _, _, cpu in blocks),
            "waited_ns": waited,
            "process_ns": time.process_time_ns(),
            "peak_bytes": peak_memory_bytes(),
        }

    def _blocks(self, block_ns: int) -> list[tuple[list[int], int, int]]:
        """Time one block in each replica at once: its runs, wall time and CPU time."""

        def one(_: int) -> tuple[list[int], int, int]:
            cpu, wall = time.thread_time_ns(), time.perf_counter_ns()
            samples = timed_block(self._run, block_ns)
            return samples, time.perf_counter_ns() - wall, time.thread_time_ns() - cpu

        if self._threads is None:
            return [one(0)]
        return list(self._threads.map(one, range(self._replicas)))

    def shares(self) -> dict[str, Any]:
        """Give the part of each provider: its nodes, and its share of the time in nodes, 0..1."""
        assert self._profile is not None
        found = self._profile()
        return {"nodes": found.nodes, "time": found.time}

    def peak(self, *, threads: int, sizes: list[int]) -> dict[str, Any]:
        """Measure this machine: the rate of a product, and of a copy of each size."""
        return probes.measure(threads, sizes)

    def count(self, *, file: str, axes: dict[str, int]) -> dict[str, Any]:
        """Count a model's multiply-accumulates; this process may load onnx, the parent not."""
        return probes.count(Path(file), axes)


def peak_memory_bytes() -> int | None:
    """Give the peak resident memory of this process; None where the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: on Linux its peak survives exec and would be the parent's, if larger.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None


def main() -> None:
    """Answer requests on stdin until it ends: the parent is gone or has enough."""
    # Ctrl-C reaches the whole group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Provider libraries print to stdout: send that to stderr and keep the pipe for replies.
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    served = _Child()
    with pipe:
        for line in sys.stdin:
            request = json.loads(line)
            try:
                reply = getattr(served, request.pop("do"))(**request)
            except EdgekitError as error:
                reply = {"error": _describe(error)}
            pipe.write(json.dumps(reply) + "\n")
            pipe.flush()
