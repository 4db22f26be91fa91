from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

import edgekit
from edgekit.bundle import Bundle
from edgekit.errors import FeedError, ModelError, ProviderError
from edgekit.runtime.session import OPTIMIZATIONS
from tests.conftest import write_model


def test_a_runner_answers_by_name_and_reads_its_signature_back(classifier: Path) -> None:
    with edgekit.open(classifier) as runner:
        outputs = runner.run({"x": np.ones((2, 4), np.float32)})
        assert str(runner.signature) == (
            "(x: float32 (batch, 4)) -> (probabilities: float32 (batch, 3))"
        )
    assert list(outputs) == ["probabilities"]
    assert outputs["probabilities"].sum(axis=1) == pytest.approx([1.0, 1.0])


def test_a_bundle_opens_by_variant(bundle: Bundle) -> None:
    with edgekit.open(bundle.path) as by_path, edgekit.open(bundle, variant="fp32") as by_object:
        assert by_path.signature == by_object.signature


def test_a_closed_runner_says_so(classifier: Path) -> None:
    runner = edgekit.open(classifier)
    runner.close()
    runner.close()
    with pytest.raises(ModelError, match="closed"):
        runner.run({"x": np.ones((1, 4), np.float32)})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "cannot open", id="empty"),
        pytest.param(b"random bytes" * 99, "cannot open", id="random"),
        pytest.param(None, "does not exist", id="missing"),
    ],
)
def test_a_file_that_is_no_model(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "bad.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        edgekit.open(path)


def test_a_truncated_model(classifier: Path) -> None:
    content = classifier.read_bytes()
    classifier.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="cannot open"):
        edgekit.open(classifier)


def test_a_feed_that_does_not_fit(classifier: Path) -> None:
    with edgekit.open(classifier) as runner, pytest.raises(FeedError, match="x: float32"):
        runner.run({"x": np.ones((1, 5), np.float32)})


def test_a_failure_inside_the_engine_is_translated(tmp_path: Path) -> None:
    path = write_model(
        tmp_path / "reshape.onnx",
        [helper.make_node("Reshape", ["x", "shape"], ["y"])],
        [("x", TensorProto.FLOAT, ["batch"])],
        [("y", TensorProto.FLOAT, [2, "half"])],
        shape=np.array([2, -1]),
    )
    with edgekit.open(path) as runner, pytest.raises(ModelError, match="cannot run") as caught:
        runner.run({"x": np.ones(3, np.float32)})
    assert caught.value.__cause__ is not None


def test_anonymous_axes_get_names(tmp_path: Path) -> None:
    path = write_model(
        tmp_path / "anonymous.onnx",
        [helper.make_node("Relu", ["x"], ["y"])],
        [("x", TensorProto.FLOAT, [None, None])],
        [("y", TensorProto.FLOAT, [None, None])],
    )
    with edgekit.open(path) as runner:
        assert runner.signature.inputs[0].shape == ("batch", "x_axis1")
        assert runner.signature.batched


def test_threads_and_axes_are_set(classifier: Path) -> None:
    with edgekit.open(classifier, threads=1, axes={"batch": 2}) as runner:
        assert runner.run({"x": np.ones((2, 4), np.float32)})["probabilities"].shape == (2, 3)


@pytest.mark.parametrize("name", OPTIMIZATIONS)
def test_the_optimisation_of_the_graph_is_set(
    classifier: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    seen: list[str] = []
    make = onnxruntime.InferenceSession

    def session(path: str, options: onnxruntime.SessionOptions, **rest: Any) -> Any:
        seen.append(options.graph_optimization_level.name)
        return make(path, options, **rest)

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    with edgekit.open(classifier, optimization=name) as runner:
        assert runner.run({"x": np.ones((2, 4), np.float32)})
    assert seen == [OPTIMIZATIONS[name]]


def test_an_optimisation_that_there_is_none_of(classifier: Path) -> None:
    with pytest.raises(ValueError, match="all, extended, basic, none"):
        edgekit.open(classifier, optimization="most")


def test_a_provider_that_is_not_there_is_an_error(classifier: Path) -> None:
    with pytest.raises(ProviderError, match="onnxruntime wheel") as caught:
        edgekit.open(classifier, provider="cuda")
    assert caught.value.step == "wheel"


def test_a_fallback_is_explicit_and_recorded(classifier: Path) -> None:
    with edgekit.open(classifier, provider="cuda", allow_fallback=True) as runner:
        assert runner.provider == "cpu"
        assert "cuda" in str(runner.placement.fallback)


def test_run_from_several_threads(classifier: Path) -> None:
    feeds = {"x": np.ones((1, 4), np.float32)}
    results: list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = []
    with edgekit.open(classifier) as runner:
        threads = [
            threading.Thread(target=lambda: results.append(runner.run(feeds)["probabilities"]))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(results) == 8
    assert all(np.array_equal(result, results[0]) for result in results)
