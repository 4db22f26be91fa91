from __future__ import annotations

import numpy as np
import onnx
import pytest

from edgekit.errors import ProviderError
from edgekit.runtime import runner, trial
from edgekit.runtime.providers import PROVIDERS


def test_the_model_written_by_hand_is_a_valid_one() -> None:
    model = onnx.load_from_string(trial.model_bytes(trial._weights()))
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == [
        "Conv", "Relu", "MaxPool", "Reshape", "MatMul", "Add", "Softmax",
    ]  # fmt: skip


def test_the_expected_answer_tells_the_classes_apart() -> None:
    answer = trial.expected(trial._weights(), trial._image())
    assert answer.shape == (1, 5)
    assert answer.sum() == pytest.approx(1)
    assert np.ptp(answer) > 0.1


def test_the_cpu_passes() -> None:
    found = trial.run_trial(PROVIDERS["cpu"])
    assert found.passed
    assert found.detail is None
    assert found.max_abs_error is not None
    assert found.max_abs_error < 1e-6


def test_a_wrong_answer_fails_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    right = trial.expected
    monkeypatch.setattr(trial, "expected", lambda *args: np.roll(right(*args), 1, axis=-1))
    found = trial.run_trial(PROVIDERS["cpu"])
    assert not found.passed
    assert found.max_abs_error is not None
    assert found.max_abs_error > 0.1
    assert found.detail is not None


def test_a_provider_that_does_not_run_the_model_fails_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise ProviderError("The provider 'x' finds no device", "get one", step="device")

    monkeypatch.setattr(runner, "open_runner", refuse)
    found = trial.run_trial(PROVIDERS["cpu"])
    assert (found.passed, found.max_abs_error) == (False, None)
    assert found.detail == "The provider 'x' finds no device: get one"
