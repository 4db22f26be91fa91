"""The benchmark: its arithmetic as tables, its processes with stand-ins, and two real models."""

from __future__ import annotations

import dataclasses
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from edgekit import filesize, latency
from edgekit.errors import BundleError, FeedError, ModelError, ProviderError
from edgekit.feeds import make_feeds
from edgekit.latency import Candidate, benchmark, lanes, timing
from edgekit.latency.worker import Worker, timed_block, warm_up
from edgekit.signature import Signature, TensorSpec
from tests.conftest import write_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from edgekit.bundle import Bundle

MS = 1_000_000


def block(*milliseconds: float) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([round(ms * MS) for ms in milliseconds], np.int64)


# The arithmetic.


@pytest.mark.parametrize(
    ("medians", "expected"),
    [
        ([], False),
        ([1.0, 1.0], False),
        ([1.0, 1.0, 1.0], True),
        ([9.0, 1.0, 1.04, 1.02], True),
        ([1.0, 1.0, 1.06], False),
        ([1.06, 1.0, 1.0], False),
    ],
)
def test_steady_means_three_block_medians_within_five_percent(
    medians: list[float], expected: bool
) -> None:
    assert timing.steady(medians) is expected


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ((0.5, 0.9), "faster"),
        ((0.9, 1.0), "no difference"),
        ((0.9, 1.1), "no difference"),
        ((0.96, 0.969), "faster"),
        ((0.96, 0.971), "no difference"),
        ((1.02, 1.1), "no difference"),  # two processes of one file differ by as much
        ((1.04, 1.1), "slower"),
    ],
)
def test_a_verdict_needs_an_interval_clear_of_one(
    interval: tuple[float, float], expected: str
) -> None:
    assert timing.verdict(interval) == expected


@pytest.mark.parametrize(("factor", "expected"), [(2.0, "slower"), (0.5, "faster")])
def test_a_paired_ratio_sees_through_drift(factor: float, expected: str) -> None:
    rng = np.random.default_rng(0)
    mood = np.linspace(1, 3, 20)  # the machine gets three times slower
    baseline = mood * rng.normal(1, 0.02, 20)
    ratio, interval = timing.paired_ratio(list(factor * mood), list(baseline), seed=0)
    assert ratio == pytest.approx(factor, rel=0.03)
    assert interval[0] <= ratio <= interval[1]
    assert timing.verdict(interval) == expected


def test_equal_candidates_make_no_difference() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(1, 0.05, (2, 20))
    _, interval = timing.paired_ratio(list(a), list(b), seed=0)
    assert timing.verdict(interval) == "no difference"


@pytest.mark.parametrize(
    ("p50s", "expected"),
    [([1.0], 0.0), ([1.0, 1.0, 1.0], 0.0), ([1, 1, 5, 5, 2, 2], 1.0), ([2.0, 9.0, 1.0], -0.5)],
)
def test_drift_compares_the_first_and_the_last_third(p50s: list[float], expected: float) -> None:
    assert timing.drift(p50s) == pytest.approx(expected)


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(0, 9))
def test_every_candidate_has_the_same_mean_place_over_two_rounds(count: int, seed: int) -> None:
    rounds = list(itertools.islice(timing.orders(count, seed), 6))
    assert rounds == list(itertools.islice(timing.orders(count, seed), 6))
    assert all(sorted(order) == list(range(count)) for order in rounds)
    assert all(rounds[i + 1] == rounds[i][::-1] for i in (0, 2, 4))


@pytest.mark.parametrize(
    ("rounds", "runs", "timed_s", "done"),
    [
        (19, [1000, 1000], [1.9, 1.9], False),  # the duration is not filled
        (20, [1000, 1000], [2.0, 2.0], True),
        (20, [1000, 661], [2.0, 2.0], False),  # one lacks runs for its p99
        (40, [2000, 662], [4.0, 4.0], True),
        (20, [2000, 63], [2.0, 10.0], False),  # too slow for a p99, it lacks runs for its p90
        (20, [2000, 64], [2.0, 10.0], True),
        (20, [2000, 20], [2.0, 11.0], True),  # too slow for a p90
        (10, [90, 10], [2.0, 20.0], True),  # slow: ten times the duration is the end
        (4, [90, 4], [0.8, 40.0], False),  # very slow: ten runs all the same
    ],
)
def test_when_a_benchmark_of_two_seconds_ends(
    rounds: int, runs: list[int], timed_s: list[float], done: bool
) -> None:
    part = timing.Plan(2.0).progress(rounds, runs, timed_s)
    assert 0 < part <= 1
    assert (part == 1) is done


def test_long_benchmarks_get_more_rounds_not_longer_blocks() -> None:
    assert (timing.Plan(2.0).rounds, timing.Plan(2.0).block_ms) == (20, 100)
    assert (timing.Plan(60.0).rounds, timing.Plan(60.0).block_ms) == (240, 250)


# The child's work, with a clock that stands still between runs.


class FakeClock:
    """Time passes only while `run` runs: each run takes the next of `costs`, the last for ever."""

    def __init__(self, *costs: int) -> None:
        self.now = 0
        self._costs = itertools.chain(costs, itertools.repeat(costs[-1]))

    def __call__(self) -> int:
        return self.now

    def run(self) -> None:
        self.now += next(self._costs)


@pytest.mark.parametrize(
    ("costs", "expected"),
    [((3, 4), [3, 4, 4]), ((50,), [50]), ((5, 5), [5, 5]), ((1, 20), [1, 20])],
)
def test_a_block_times_each_run_until_its_length_is_reached(
    costs: tuple[int, ...], expected: list[int]
) -> None:
    clock = FakeClock(*costs)
    assert timed_block(clock.run, 10, clock) == expected


def test_warming_up_ends_when_steady() -> None:
    clock = FakeClock(90 * MS, 40 * MS, 20 * MS)
    warm = warm_up(clock.run, 3000 * MS, clock)
    assert warm == {"steady": True, "runs": 5, "p50_ns": 20 * MS}


def test_warming_up_ends_at_its_limit_and_says_so() -> None:
    clock = FakeClock(*(ms * MS for ms in itertools.islice(itertools.cycle((20, 40)), 100)))
    warm = warm_up(clock.run, 300 * MS, clock)
    assert not warm["steady"]
    assert clock.now <= 340 * MS


SEQUENCES = Signature(
    (TensorSpec("tokens", "int32", ("batch", "time")), TensorSpec("mask", "bool", ("batch", 2))),
    (TensorSpec("y", "float32", ("batch", 3)),),
)
FIXED = Signature((TensorSpec("x", "float32", (4, 2)),), (TensorSpec("y", "float32", (4, 2)),))
UNBATCHED = Signature((TensorSpec("x", "float32", (4, 2)),), (TensorSpec("y", "float32", (3,)),))


@pytest.mark.parametrize(
    ("batch", "axes", "tokens"),
    [
        (1, {}, [[0, 1, 2]]),
        (2, {"time": 2}, [[0, 1], [3, 4]]),
        (3, {"time": 4}, [[0, 1, 2, 0], [3, 4, 5, 3], [0, 1, 2, 0]]),
    ],
)
def test_reference_inputs_are_cut_or_tiled(
    batch: int, axes: dict[str, int], tokens: list[list[int]]
) -> None:
    reference = {"tokens": np.arange(6).reshape(2, 3), "mask": np.ones((2, 2), bool)}
    feeds = make_feeds(SEQUENCES, reference=reference, batch=batch, axes=axes, seed=0)
    assert feeds["tokens"].tolist() == tokens
    assert feeds["tokens"].dtype == np.int32
    assert feeds["mask"].shape == (batch, 2)


@pytest.mark.parametrize("signature", [FIXED, UNBATCHED, SEQUENCES], ids=["fixed", "one", "free"])
def test_without_a_reference_samples_are_seeded(signature: Signature) -> None:
    batch = 4 if signature is FIXED else 1

    def once(seed: int) -> dict[str, Any]:
        feeds = make_feeds(signature, reference=None, batch=batch, axes={}, seed=seed)
        return {name: array.tolist() for name, array in feeds.items()}

    assert once(0) == once(0) != once(1)


@pytest.mark.parametrize(
    ("signature", "batch", "axes", "message"),
    [
        (FIXED, 1, {}, "The batch 1 was asked for and the model's is fixed to 4"),
        (UNBATCHED, 2, {}, "fixed to 1"),
        (SEQUENCES, 1, {"tiem": 5}, "no free axis 'tiem': give the length of 'batch' or 'time'"),
        (FIXED, 4, {"time": 5}, "no free axis 'time': give none"),
        (SEQUENCES, 1, {"batch": 5}, "The batch is 1 and its axis 'batch' has length 5"),
    ],
)
def test_a_batch_or_an_axis_that_does_not_fit(
    signature: Signature, batch: int, axes: Mapping[str, int], message: str
) -> None:
    with pytest.raises(FeedError, match=message):
        make_feeds(signature, reference=None, batch=batch, axes=axes, seed=0)


# The pipe: what a child can do to its parent.


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", f"import os, signal, sys, time; {code}")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("input(); sys.exit(3)", "ended with exit code 3 while warming up: check free memory"),
        ("input(); os.kill(os.getpid(), 9)", "ended by signal SIGKILL while warming up"),
        ("input(); os.abort()", "ended by signal SIGABRT while warming up"),
        ("raise ValueError('why')", r"exit code 1 while warming up \(ValueError: why\): check"),
        ("print('half', end='')", "ended with exit code 0"),
    ],
)
def test_a_crash_is_one_sentence_that_names_the_candidate(code: str, message: str) -> None:
    with (
        Worker("'m.onnx' (cpu)", command=python(code)) as worker,
        pytest.raises(ModelError, match=message) as caught,
    ):
        worker.ask("warm")
    assert str(caught.value).startswith("The process that times 'm.onnx' (cpu) ended")
    assert "\n" not in str(caught.value)


def test_a_child_that_hangs_is_ended() -> None:
    with Worker("'m.onnx'", command=python("time.sleep(60)"), patience_s=0.1) as worker:
        with pytest.raises(ModelError, match=r"did not answer within 0\.3 s while running it"):
            worker.ask("run", seconds=0.2)
        assert worker._process.poll() is not None


def test_a_library_that_prints_does_not_break_the_pipe() -> None:
    code = (
        "from edgekit.latency import worker as w; "
        "w._Child.warm = lambda self: (os.write(1, b'noise'), {'steady': True})[1]; w.main()"
    )
    with Worker("'m.onnx'", command=python(code)) as worker:
        assert worker.ask("warm") == {"steady": True}


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Worker]]:
    """Every worker that a benchmark starts; none may outlive it."""
    started: list[Worker] = []

    class Recorded(Worker):
        def __init__(self, label: str) -> None:
            super().__init__(label)
            started.append(self)

    monkeypatch.setattr(lanes, "Worker", Recorded)
    yield started
    assert started
    assert all(worker._process.poll() is not None for worker in started)


def test_ctrl_c_leaves_no_process(classifier: Path, workers: list[Worker]) -> None:
    def interrupt(part: float) -> None:
        if part > 0.2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        benchmark(classifier, duration_s=0.05, on_progress=interrupt)
    assert len(workers) == 1


def test_a_crash_in_the_middle_leaves_no_process(classifier: Path, workers: list[Worker]) -> None:
    def murder(part: float) -> None:
        if part > 0.2:
            workers[0]._process.kill()

    with pytest.raises(ModelError, match=r"classifier\.onnx' \(cpu\) ended by signal SIGKILL"):
        benchmark([classifier, classifier], duration_s=0.05, on_progress=murder)
    assert len(workers) == 2


@pytest.mark.usefixtures("workers")
def test_an_error_in_the_child_is_the_runners_own(classifier: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(classifier.read_bytes()[:60])
    with pytest.raises(ModelError, match=r"onnxruntime cannot open .*broken\.onnx"):
        benchmark(broken, duration_s=0.05)
    with pytest.raises(ProviderError, match="'nnapi' does not exist on") as caught:
        benchmark(classifier, provider="nnapi", duration_s=0.05)
    assert (caught.value.step, caught.value.fix) == ("platform", "use it on android")


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [("absent.onnx", ModelError, "does not exist"), ("", BundleError, r"no manifest\.json")],
)
def test_a_path_that_is_no_model(tmp_path: Path, name: str, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        benchmark(tmp_path / name)


@pytest.mark.parametrize(
    "call",
    [
        lambda: Candidate("m.onnx", threads=0),
        lambda: Candidate("m.onnx", batch=0),
        lambda: Candidate("m.onnx", axes={"time": 0}),
        lambda: Candidate("m.onnx", replicas=0),
        lambda: benchmark("m.onnx", scenario="single-stream", batch=2),
        lambda: benchmark("m.onnx", duration_s=0),
        lambda: benchmark([]),
    ],
)
def test_a_mistake_in_the_program_is_a_value_error(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"at least|more than 0|at most one"):
        call()


# The whole, on real models.


def write_products(path: Path, width: int, count: int) -> Path:
    """A chain of `count` matrix products of `width`: `x` (batch, width) -> `y`."""
    names = ["x", *(f"h{i}" for i in range(count - 1)), "y"]
    return write_model(
        path,
        [helper.make_node("MatMul", [a, "w"], [b]) for a, b in itertools.pairwise(names)],
        [("x", TensorProto.FLOAT, ["batch", width])],
        [("y", TensorProto.FLOAT, ["batch", width])],
        w=np.eye(width, dtype=np.float32),
    )


@pytest.mark.usefixtures("workers")
def test_a_slower_model_is_told_from_a_faster_one(tmp_path: Path) -> None:
    quick = write_products(tmp_path / "quick.onnx", 8, 1)
    slow = write_products(tmp_path / "slow.onnx", 256, 40)
    parts: list[float] = []
    report = benchmark([quick, slow], duration_s=0.3, batch=2, on_progress=parts.append)
    assert parts == sorted(parts)
    assert (parts[0], parts[-1]) == (0.0, 1.0)
    first, second = report.results
    assert (first.model, second.model) == (str(quick), str(slow))
    for result in report.results:
        assert (result.provider, result.threads, result.batch) == ("cpu", 1, 2)
        assert result.runs >= 662
        assert result.p90_ms is not None
        assert result.p99_ms is not None
        assert 0 < result.p50_ms <= result.p90_ms <= result.p99_ms
        assert result.ci95_ms[0] <= result.p50_ms <= result.ci95_ms[1]
        assert result.load_ms > 0 < result.first_run_ms
        assert (result.variant, result.fallback) == (None, None)
        assert result.size_bytes == Path(result.model).stat().st_size
        assert (result.peak_memory_bytes or 2**25) > 2**24
    (ratio,) = report.ratios
    assert ratio.verdict == "slower"
    assert 2 < ratio.ci95[0] <= ratio.ratio <= ratio.ci95[1]
    assert (ratio.model, ratio.baseline_model) == (str(slow), str(quick))
    assert report.conditions["feeds"] == "seeded samples"
    assert report.conditions["rounds"] >= 20


def test_a_bundle_is_timed_on_its_reference_and_the_report_is_json(bundle: Bundle) -> None:
    report = benchmark(bundle, variants="all", duration_s=0.1, batch=3, seed=7)
    written = json.loads(json.dumps(dataclasses.asdict(report)))
    (result,) = written["results"]
    contract = "model variant provider threads batch p50_ms p90_ms p99_ms mean_ms ci95_ms runs "
    contract += "load_ms first_run_ms size_bytes"
    assert set(contract.split()) <= set(result)
    assert (result["variant"], result["batch"]) == ("fp32", 3)
    assert written["ratios"] == []
    conditions = written["conditions"]
    assert conditions["feeds"] == "reference inputs"
    assert (conditions["seed"], conditions["duration_s"]) == (7, 0.1)
    told = {"machine", "cpu", "cores", "onnxruntime", "python", "included", "load_average"}
    assert told | {"contended", "drifted"} <= set(conditions)


def test_a_fallback_that_was_allowed_is_told(classifier: Path) -> None:
    report = benchmark(classifier, provider="nnapi", allow_fallback=True, duration_s=0.05)
    (result,) = report.results
    assert result.provider == "cpu"
    assert "'nnapi' does not exist on" in str(result.fallback)


def test_few_runs_have_no_p90_and_no_p99(monkeypatch: pytest.MonkeyPatch, classifier: Path) -> None:
    class Slow:
        """A stand-in for the process: every run takes a second, by its own account."""

        def __init__(self, label: str) -> None:
            self.label = label

        def __enter__(self) -> Slow:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def ask(self, do: str, **request: Any) -> dict[str, Any]:
            opened = {"load_ms": 1.0, "first_run_ms": 1.0, "fallback": None, "feeds": "samples"}
            replies: dict[str, dict[str, Any]] = {
                "open": {**opened, "provider": "cpu", "onnxruntime": "1"},
                "warm": {"steady": False, "runs": 1, "p50_ns": 1000 * MS},
                "run": {
                    "ns": [10**9], "wall_ns": 10**9, "thread_ns": 10**9, "cpu_ns": 10**9,
                    "waited_ns": 0, "process_ns": 10**9, "peak_bytes": None,
                },
            }  # fmt: skip
            return replies[do]

    monkeypatch.setattr(lanes, "Worker", Slow)
    report = benchmark([classifier, classifier], duration_s=1.0)
    result = report.results[0]
    assert (result.runs, result.warmup_runs, result.steady) == (10, 2, False)
    assert (result.p50_ms, result.p90_ms, result.p99_ms) == (1000.0, None, None)
    assert report.ratios[0].verdict == "no difference"
    assert not report.conditions["contended"]
    assert not report.conditions["drifted"]


def test_variants_are_written_out(bundle: Bundle, classifier: Path) -> None:
    template = Candidate("", threads=2, axes={"time": 3})

    def written(model: Any, variants: Any) -> list[tuple[str, str | None, int]]:
        found = latency.candidates_of(model, variants, template)
        return [(c.model, c.variant, c.threads) for c in found]

    assert written(bundle, "all") == [(str(bundle.path), "fp32", 2)]
    assert written(classifier, "all") == [(str(classifier), None, 2)]
    assert written(Candidate("kept.onnx"), "all") == [("kept.onnx", None, 1)]
    assert written("b", ["fp32", "int8"]) == [("b", "fp32", 2), ("b", "int8", 2)]
    assert written("b", "int8") == [("b", "int8", 2)]


def test_threads_are_swept_and_compared_with_the_first(classifier: Path) -> None:
    report = benchmark(classifier, threads=(1, 2), duration_s=0.05)
    assert [result.threads for result in report.results] == [1, 2]
    (ratio,) = report.ratios
    assert (ratio.threads, ratio.baseline_threads) == (2, 1)


def test_offline_counts_samples_of_all_replicas(tmp_path: Path) -> None:
    model = write_products(tmp_path / "model.onnx", 64, 4)
    report = benchmark(model, scenario="offline", batch=8, replicas=2, duration_s=0.2)
    (result,) = report.results
    assert (result.replicas, result.batch, report.conditions["scenario"]) == (2, 8, "offline")
    low, high = result.samples_per_second_ci95
    assert low <= result.samples_per_second <= high
    # Two runs at once: the samples of both count, while each takes its own time.
    alone = 1e3 * result.batch / result.mean_ms
    assert alone < result.samples_per_second <= 3 * alone


def test_external_data_counts_as_size(tmp_path: Path) -> None:
    path = write_products(tmp_path / "model.onnx", 64, 2)
    whole = filesize.model_bytes(path)
    assert whole == path.stat().st_size
    onnx.save_model(
        onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    assert path.stat().st_size < 1000
    assert filesize.model_bytes(path) == path.stat().st_size + 64 * 64 * 4


@settings(deadline=None, max_examples=50)
@given(st.binary(min_size=1, max_size=200))
def test_the_size_of_any_file_is_at_least_its_own(content: bytes) -> None:
    path = Path(tempfile.mkdtemp()) / "any.onnx"
    try:
        path.write_bytes(content)
        assert filesize.model_bytes(path) == len(content)
    finally:
        path.unlink()
        path.parent.rmdir()


def test_importing_it_loads_no_engine() -> None:
    code = (
        "import sys, edgekit.latency, edgekit.latency.worker; "
        "print([m for m in ('onnxruntime', 'onnx', 'keras', 'tensorflow') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# What the runner adds to each run: the check of the feed, and its short cut.

arrays = st.builds(
    lambda dtype, shape, extra: np.ones(shape, dtype)[extra:],
    st.sampled_from(["int32", "int64", "bool", "float32", ">i4"]),
    st.lists(st.integers(0, 3), min_size=1, max_size=3).map(tuple),
    st.integers(0, 1),
)
values = arrays | arrays.map(lambda array: array.tolist())


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(st.sampled_from(["tokens", "mask", "other"]), values, min_size=1))
def test_the_short_cut_of_the_check_agrees_with_the_check(feeds: dict[str, Any]) -> None:
    short = SEQUENCES._as_they_are(feeds)
    try:
        SEQUENCES._check_names(feeds)
        full = {spec.name: SEQUENCES._array(spec, feeds[spec.name]) for spec in SEQUENCES.inputs}
        SEQUENCES._check_axes(full)
    except FeedError:
        assert short is None
    else:
        assert short is None or all(short[name] is feeds[name] is full[name] for name in full)


def test_the_short_cut_takes_what_needs_no_conversion() -> None:
    feeds = SEQUENCES.sample(batch=2)
    assert SEQUENCES._as_they_are(feeds) is not None
    assert SEQUENCES._as_they_are({**feeds, "other": feeds["mask"]}) is None
    assert SEQUENCES._as_they_are({**feeds, "mask": feeds["mask"][:1]}) is None  # another batch
    again = Signature(SEQUENCES.inputs, SEQUENCES.outputs)
    assert again == SEQUENCES
    assert hash(again) == hash(SEQUENCES)
