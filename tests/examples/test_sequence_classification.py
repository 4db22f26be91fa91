"""Speakers: a stream of series of any length, and a network trained for a moment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgekit.bundle import Bundle
from examples.sequence_classification import app
from tests.conftest import LABELS, write_bundle, write_model

APP = Path(app.__file__)
SPEC = {"kind": "series", "input": "series", "channels": 3}


@pytest.fixture
def loudest(tmp_path: Path) -> Bundle:
    """The class is the channel with the largest sum over time."""
    made = write_model(
        tmp_path / "loudest.onnx",
        [
            helper.make_node("ReduceSum", ["series", "time"], ["sums"], keepdims=0),
            helper.make_node("Softmax", ["sums"], ["probabilities"], axis=-1),
        ],
        [("series", TensorProto.FLOAT, ["batch", "time", 3])],
        [("probabilities", TensorProto.FLOAT, ["batch", 3])],
        time=np.array([1]),
    )
    return write_bundle(tmp_path / "bundle", made, labels=LABELS, preprocessing=SPEC)


def test_each_series_is_heard_at_its_own_length(loudest: Bundle) -> None:
    stream = [np.eye(3, dtype=np.float32)[[i] * (i + 1)] * 5 for i in range(3)]
    answers = app.Listener(loudest.path).listen(iter(stream))
    assert [speaker for speaker, _ in answers] == list(LABELS)


def test_the_app_answers_a_file_line_by_line(loudest: Bundle, tmp_path: Path) -> None:
    file = tmp_path / "utterances.jsonl"
    file.write_text("".join(json.dumps([[0, 9, 0]] * steps) + "\n" for steps in (1, 4)))
    command: list[str | Path] = [sys.executable, APP, loudest.path, file]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["  1 steps: one (100%)", "  4 steps: one (100%)"]


def test_a_series_of_other_channels_is_refused_with_its_line(
    loudest: Bundle, tmp_path: Path
) -> None:
    file = tmp_path / "utterances.jsonl"
    file.write_text("[[1, 2, 3]]\n[[1, 2]]\n")
    command: list[str | Path] = [sys.executable, APP, loudest.path, file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == "line 2: a series of 1 x 2; expected steps x 3 numbers"


@pytest.mark.keras
def test_a_network_trained_for_a_moment(tmp_path: Path) -> None:
    import edgekit
    from examples.measure import confusion_picture
    from examples.sequence_classification import build
    from model_defs.data import vowels
    from model_defs.training import train

    model, dataset = train("rnn", epochs=25, options={"cell": "gru"})
    edgekit.export(
        model, tmp_path / "b", labels=dataset.labels, preprocessing=dataset.preprocessing
    )
    assert len({len(series) for series in build.utterances(dataset)}) > 10
    accuracy, answers = build.evaluate(tmp_path / "b", dataset)
    assert accuracy > 0.75 > 3 * vowels.majority(dataset)
    confusion_picture(dataset.test_targets, answers, dataset.labels, tmp_path / "who.png")
    assert (tmp_path / "who.png").stat().st_size > 1000
    padded = np.asarray(model.predict(dataset.test_inputs, verbose=0)).argmax(axis=1)
    heard = app.Listener(tmp_path / "b").listen(build.utterances(dataset))
    assert [dataset.labels[best] for best in padded] == [speaker for speaker, _ in heard]
