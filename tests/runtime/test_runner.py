from __future__ import annotations

import dataclasses
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

import edgekit
from edgekit.errors import FeedError, ModelError
from edgekit.runtime import providers
from edgekit.runtime.pool import AHEAD, MOST_ITEMS
from edgekit.runtime.runner import Runner
from edgekit.runtime.turns import InTurns
from edgekit.signature import Feeds
from tests.conftest import write_classifier, write_model

REPLICAS = pytest.mark.parametrize("replicas", [1, 2, 3])


def feed(*rows: float) -> Feeds:
    """One item of the classifier's stream, a sample for each number."""
    return {"x": np.array([[row, 1, 2, 3] for row in rows], np.float32).reshape(-1, 4)}


def on_threads(work: Callable[[int], object], count: int) -> None:
    """Run `work(i)` on many threads at once, and raise what one of them raises."""
    with ThreadPoolExecutor(count) as pool:
        for future in [pool.submit(work, i) for i in range(count)]:
            future.result(60)


# Threads.


def test_many_threads_get_each_their_own_answer(classifier: Path) -> None:
    with edgekit.open(classifier, threads=1) as runner:
        feeds = [feed(*range(i + 1)) for i in range(8)]
        expected = [runner.run(each)["probabilities"] for each in feeds]

        def work(index: int) -> None:
            for _ in range(200):
                answer = runner.run(feeds[index % 8])["probabilities"]
                assert np.array_equal(answer, expected[index % 8])

        on_threads(work, 16)


@REPLICAS
def test_closing_while_others_run_ends_their_runs_well(classifier: Path, replicas: int) -> None:
    for _ in range(5):
        runner = edgekit.open(classifier, replicas=replicas)
        answered = threading.Barrier(9)
        closed = threading.Event()

        def work(_: int) -> None:
            runner.run(feed(1))  # noqa: B023 - the threads end in this round
            answered.wait(60)  # noqa: B023
            with pytest.raises(ModelError, match="closed: open it again"):
                while True:
                    late = closed.is_set()  # noqa: B023
                    answer = runner.run(feed(1))["probabilities"]  # noqa: B023
                    assert answer.sum() == pytest.approx(1)
                    assert not late

        def close() -> None:
            answered.wait(60)  # noqa: B023
            time.sleep(0.005)
            runner.close()  # noqa: B023
            closed.set()  # noqa: B023

        closer = threading.Thread(target=close)
        closer.start()
        on_threads(work, 8)
        closer.join(60)


def test_a_provider_of_one_run_at_a_time_gets_its_turns(
    classifier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = dataclasses.replace(providers.PROVIDERS["cpu"], one_run=True)
    monkeypatch.setitem(providers.PROVIDERS, "cpu", row)
    inside = 0

    class Session(onnxruntime.InferenceSession):  # type: ignore[misc] # it has no types
        def run(self, *arguments: Any) -> Any:
            nonlocal inside
            inside += 1
            assert inside == 1
            time.sleep(0.001)
            inside -= 1
            return super().run(*arguments)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    with edgekit.open(classifier) as runner, edgekit.open(classifier) as other:
        assert isinstance(runner._session, InTurns)
        on_threads(lambda i: [(runner, other)[i % 2].run(feed(1)) for _ in range(5)], 4)
        out = np.empty((1, 3), np.float32)
        assert runner.run(feed(1), out={"probabilities": out})["probabilities"] is out


def test_the_providers_of_one_run_at_a_time() -> None:
    rows = providers.PROVIDERS.values()
    assert [row.alias for row in rows if row.one_run] == ["webgpu", "directml"]


# Closed.


def test_answers_outlive_their_runner(classifier: Path) -> None:
    with edgekit.open(classifier) as runner:
        answers = [runner.run(feed(i))["probabilities"] for i in range(50)]
        copies = [answer.copy() for answer in answers]
    del runner
    gc.collect()
    with edgekit.open(classifier) as other:  # whose answers would take their memory
        for i in range(50):
            other.run(feed(-i))
    assert all(np.array_equal(a, b) for a, b in zip(answers, copies, strict=True))


def test_answers_are_the_callers_to_change(classifier: Path) -> None:
    with edgekit.open(classifier) as runner:
        first = runner.run(feed(1))["probabilities"]
        kept = first.copy()
        first[:] = -1
        assert np.array_equal(runner.run(feed(1))["probabilities"], kept)


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda runner: runner.run(feed(1)), id="run"),
        pytest.param(lambda runner: runner.run_batches([feed(1)]), id="run_batches"),
        pytest.param(lambda runner: runner.warmup(), id="warmup"),
        pytest.param(lambda runner: runner.__enter__(), id="with"),
    ],
)
def test_a_closed_runner_names_its_file(classifier: Path, use: Callable[[Runner], Any]) -> None:
    runner = edgekit.open(classifier)
    assert "on cpu: (x: float32 (batch, 4))" in repr(runner)
    runner.close()
    with pytest.raises(ModelError, match=r"classifier\.onnx' is closed: open it again"):
        use(runner)
    assert "closed" in repr(runner)


def test_a_stream_ends_with_an_error_where_its_runner_is_closed(classifier: Path) -> None:
    runner = edgekit.open(classifier, replicas=2)
    stream = runner.run_batches(feed(i) for i in range(99))
    next(stream)
    runner.close()
    with pytest.raises(ModelError, match="closed"):
        list(stream)


# Streams.


@REPLICAS
@pytest.mark.parametrize("batch", [None, 1, 3, 4, 100])
def test_a_stream_gives_each_item_its_own_outputs_in_order(
    classifier: Path, replicas: int, batch: int | None
) -> None:
    items = [feed(*range(size)) for size in (1, 5, 2, 0, 1, 9, 3, 1)]
    with edgekit.open(classifier, replicas=replicas) as runner:
        expected = [runner.run(item)["probabilities"] for item in items]
        answers = [answer["probabilities"] for answer in runner.run_batches(items, batch=batch)]
    assert [len(answer) for answer in answers] == [len(item["x"]) for item in items]
    for answer, want in zip(answers, expected, strict=True):
        np.testing.assert_allclose(answer, want, rtol=1e-6)


@REPLICAS
@pytest.mark.parametrize("batch", [None, 2])
def test_a_stream_holds_a_few_items_however_long_it_is(
    classifier: Path, replicas: int, batch: int | None
) -> None:
    alive: list[weakref.ref[Any]] = []
    taken = 0

    def items() -> Iterator[Feeds]:
        nonlocal taken
        for i in range(1000):
            item = feed(i)
            alive.append(weakref.ref(item["x"]))
            taken += 1
            yield item
            del item

    with edgekit.open(classifier, replicas=replicas) as runner:
        stream = runner.run_batches(items(), batch=batch)
        assert taken == 0
        # The runs are short, so that several make a task; each thread has its last task as well.
        runs = 1 if replicas == 1 else (AHEAD + 1) * replicas * MOST_ITEMS
        most = 2 + runs * (batch or 1)
        for given, _ in enumerate(stream):
            assert taken - given <= most
            if given % 50 == 0:
                assert sum(ref() is not None for ref in alive) <= most
        assert given == 999
        assert taken == 1000


@REPLICAS
def test_an_endless_stream_can_be_left(classifier: Path, replicas: int) -> None:
    before = threading.active_count()
    with edgekit.open(classifier, replicas=replicas) as runner:
        stream = runner.run_batches(feed(1) for _ in iter(int, 1))
        for answer, _ in zip(stream, range(20), strict=False):
            assert answer["probabilities"].shape == (1, 3)
        stream.close()  # type: ignore[attr-defined] # what `del` and `break` come to
    assert threading.active_count() == before


@REPLICAS
def test_an_empty_stream_gives_nothing(classifier: Path, replicas: int) -> None:
    with edgekit.open(classifier, replicas=replicas) as runner:
        assert list(runner.run_batches([])) == []
        assert list(runner.run_batches([], batch=4)) == []


@REPLICAS
@pytest.mark.parametrize("batch", [None, 2, 4])
def test_an_item_that_does_not_fit_is_named_after_the_answers_before_it(
    classifier: Path, replicas: int, batch: int | None
) -> None:
    items: list[Any] = [feed(1), feed(2), {"x": [[1, 2, 3, 2**24 + 1]]}, feed(4)]
    answers = []
    with (
        edgekit.open(classifier, replicas=replicas) as runner,
        pytest.raises(FeedError, match=r"Item 2 of the stream \(from 0\): .* 16777217 at \(0, 3\)"),
    ):
        for answer in runner.run_batches(items, batch=batch):
            answers.append(answer)
    assert len(answers) == 2


@REPLICAS
def test_an_error_of_the_source_comes_after_the_answers_before_it(
    classifier: Path, replicas: int
) -> None:
    def items() -> Iterator[Feeds]:
        yield from (feed(i) for i in range(3))
        raise OSError("the disk is gone")

    answers = []
    with (
        edgekit.open(classifier, replicas=replicas) as runner,
        pytest.raises(OSError, match="the disk is gone"),
    ):
        for answer in runner.run_batches(items()):
            answers.append(answer)
    assert len(answers) == 3


@REPLICAS
def test_an_error_of_the_engine_is_raised_in_its_place(tmp_path: Path, replicas: int) -> None:
    path = write_model(
        tmp_path / "halves.onnx",
        [helper.make_node("Reshape", ["x", "shape"], ["y"])],
        [("x", TensorProto.FLOAT, ["length"])],
        [("y", TensorProto.FLOAT, [2, "half"])],
        shape=np.array([2, -1]),
    )
    sizes = [2, 4, 6, 3, 8]
    answers = []
    with (
        edgekit.open(path, replicas=replicas) as runner,
        pytest.raises(ModelError, match="cannot run"),
    ):
        for answer in runner.run_batches({"x": np.ones(n, np.float32)} for n in sizes):
            answers.append(answer["y"].shape)
    assert answers == [(2, 1), (2, 2), (2, 3)]


def test_items_of_other_lengths_are_run_apart(tmp_path: Path) -> None:
    path = write_model(
        tmp_path / "double.onnx",
        [helper.make_node("Add", ["x", "x"], ["y"])],
        [("x", TensorProto.FLOAT, ["batch", "time"])],
        [("y", TensorProto.FLOAT, ["batch", "time"])],
    )
    items = [{"x": np.full((1, time), time, np.float32)} for time in (3, 3, 5, 5, 3)]
    with edgekit.open(path) as runner:
        answers = list(runner.run_batches(items, batch=8))
    assert [answer["y"].shape for answer in answers] == [item["x"].shape for item in items]
    assert all(
        (answer["y"] == 2 * item["x"]).all() for answer, item in zip(answers, items, strict=True)
    )


def test_a_model_of_one_sample_is_not_run_in_batches(tmp_path: Path) -> None:
    path = write_model(
        tmp_path / "one.onnx",
        [helper.make_node("Relu", ["x"], ["y"])],
        [("x", TensorProto.FLOAT, [4])],
        [("y", TensorProto.FLOAT, [4])],
    )
    with edgekit.open(path) as runner:
        with pytest.raises(FeedError, match="leave `batch` out"):
            runner.run_batches([], batch=2)
        assert len(list(runner.run_batches([{"x": [1.0, 2, 3, 4]}] * 3))) == 3


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_has_samples(classifier: Path, batch: int) -> None:
    with edgekit.open(classifier) as runner, pytest.raises(ValueError, match="1 or more"):
        runner.run_batches([], batch=batch)


@pytest.mark.parametrize(("replicas", "threads"), [(0, None), (-1, None), (2, 2), (2, 0)])
def test_replicas_have_one_thread_each(
    classifier: Path, replicas: int, threads: int | None
) -> None:
    with pytest.raises(ValueError, match="replicas"):
        edgekit.open(classifier, replicas=replicas, threads=threads)


# Warm-up.


def test_warmup_runs_samples_of_the_lengths_that_are_coming(
    classifier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with edgekit.open(classifier) as runner:
        seen: list[Any] = []
        monkeypatch.setattr(runner, "run", lambda feeds: seen.append(feeds["x"].shape))
        runner.warmup()
        runner.warmup(batch=5, runs=1)
        runner.warmup(feed(1, 2, 3), runs=1)
        assert seen == [(1, 4), (1, 4), (5, 4), (3, 4)]
        with pytest.raises(FeedError, match="no free axis 'time'"):
            runner.warmup(axes={"time": 3})


# Outputs of the caller.


@pytest.fixture
def two_outputs(tmp_path: Path) -> Path:
    """`x` float32 (batch, 4) -> `y` the same, `nonzero` int64 (2, found)."""
    return write_model(
        tmp_path / "two.onnx",
        [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("NonZero", ["x"], ["nonzero"])],
        [("x", TensorProto.FLOAT, ["batch", 4])],
        [("y", TensorProto.FLOAT, ["batch", 4]), ("nonzero", TensorProto.INT64, [2, "found"])],
    )


def test_outputs_are_written_into_the_arrays_of_the_caller(two_outputs: Path) -> None:
    whole = np.zeros((6, 4), np.float32)
    x = np.arange(8, dtype=np.float32).reshape(4, 2).T  # not in C order
    with edgekit.open(two_outputs) as runner:
        expected = runner.run({"x": x})
        outputs = runner.run({"x": x}, out={"y": whole[2:4]})
    assert list(outputs) == ["y", "nonzero"]
    assert np.shares_memory(outputs["y"], whole)
    assert np.array_equal(whole[2:4], expected["y"])
    assert not whole[:2].any()
    assert not whole[4:].any()
    assert np.array_equal(outputs["nonzero"], expected["nonzero"])


READ_ONLY = np.zeros((2, 4), np.float32)
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("out", "message"),
    [
        pytest.param({"z": np.zeros((2, 4), np.float32)}, "`out` has 'z'", id="unknown name"),
        pytest.param(
            {"y": np.zeros((3, 4), np.float32)}, r"float32 \(3, 4\): .*\(2, 4\)", id="batch"
        ),
        pytest.param({"y": np.zeros((2, 5), np.float32)}, r"float32 \(2, 5\)", id="fixed axis"),
        pytest.param({"y": np.zeros((2, 4))}, "into float64", id="dtype"),
        pytest.param({"y": [[0.0] * 4] * 2}, "of the type list", id="no array"),
        pytest.param({"y": np.zeros((4, 2), np.float32).T}, "not in C order", id="order"),
        pytest.param({"y": READ_ONLY}, "read-only", id="read-only"),
        pytest.param({"nonzero": np.zeros((2, 9), np.int64)}, "another shape", id="known when run"),
    ],
)
def test_an_array_that_an_output_does_not_fit_is_refused(
    two_outputs: Path, out: dict[str, Any], message: str
) -> None:
    with edgekit.open(two_outputs) as runner, pytest.raises(FeedError, match=message):
        runner.run({"x": np.ones((2, 4), np.float32)}, out=out)


def test_strings_are_not_bound(tmp_path: Path) -> None:
    path = write_model(
        tmp_path / "text.onnx",
        [helper.make_node("Identity", ["x"], ["y"])],
        [("x", TensorProto.STRING, ["batch"])],
        [("y", TensorProto.STRING, ["batch"])],
    )
    with edgekit.open(path) as runner:
        assert runner.run({"x": ["a", "b"]})["y"].tolist() == ["a", "b"]
        with pytest.raises(FeedError, match="without `out`"):
            runner.run({"x": ["a", "b"]}, out={"y": np.empty(2, object)})


def test_outputs_are_written_in_the_session_of_the_lengths(
    tmp_path: Path, monkeypatch: Any
) -> None:
    row = dataclasses.replace(providers.PROVIDERS["cpu"], fixed_shapes=True)
    monkeypatch.setitem(providers.PROVIDERS, "cpu", row)
    with edgekit.open(write_classifier(tmp_path / "c.onnx")) as runner:
        for size in (1, 3):
            out = np.empty((size, 3), np.float32)
            runner.run(feed(*range(size)), out={"probabilities": out})
            assert out.sum(axis=1) == pytest.approx(np.ones(size))
        assert runner.placement.fixed == ({"batch": 1}, {"batch": 3})
