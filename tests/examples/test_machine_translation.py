"""The translator: its search, and its cached decoder beside Keras's own, uncached one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from examples.machine_translation.app import Translator, log_softmax
from tests.conftest import write_model

#: Ids: 0 padding, 1 unknown, 2 start, 3 end, then the alphabet.
SPEC = {"alphabet": "abc", "offset": 4, "start": 2, "end": 3, "unknown": 1, "max_length": 4}
#: After the start `a` is likelier than `b`, but what follows `a` is uncertain and `b` is sure.
FOLLOWERS = {2: {4: 0.6, 5: 0.4}, 4: {3: 0.3, 4: 0.3, 6: 0.4}, 5: {6: 1.0}, 6: {3: 1.0}}


@pytest.fixture
def bigrams(tmp_path: Path) -> Path:
    """A translator whose next letter depends on the last; `past` has a row for each letter."""
    table = np.full((7, 7), 1e-9, np.float32)
    for token, row in FOLLOWERS.items():
        for follower, share in row.items():
            table[token, follower] = share
    source = ("source", TensorProto.INT32, ["batch", "time"])
    floats = TensorProto.FLOAT
    write_model(
        tmp_path / "encoder.onnx",
        [
            helper.make_node("Cast", ["source"], ["number"], to=floats),
            helper.make_node("Unsqueeze", ["number", "last"], ["cross"]),
        ],
        [source],
        [("cross", floats, ["batch", "time", 1])],
        last=np.array([2]),
    )
    write_model(
        tmp_path / "decoder.onnx",
        [
            helper.make_node("Gather", ["table", "token"], ["rows"]),
            helper.make_node("Squeeze", ["rows", "middle"], ["logits"]),
            helper.make_node("Cast", ["token"], ["number"], to=floats),
            helper.make_node("Unsqueeze", ["number", "last"], ["new"]),
            helper.make_node("Concat", ["past", "new"], ["present"], axis=1),
        ],
        [
            ("token", TensorProto.INT32, ["batch", 1]),
            ("past", floats, ["batch", "past_time", 1]),
            ("cross", floats, ["batch", "time", 1]),
            source,
        ],
        [("logits", floats, ["batch", 7]), ("present", floats, ["batch", "present_time", 1])],
        table=np.log(table),
        middle=np.array([1]),
        last=np.array([2]),
    )
    (tmp_path / "text.json").write_text(json.dumps(SPEC))
    return tmp_path


@pytest.mark.parametrize(
    ("width", "expected"),
    [pytest.param(1, "ac", id="greedy"), pytest.param(3, "bc", id="beam")],
)
def test_a_beam_finds_what_greedy_search_misses(bigrams: Path, width: int, expected: str) -> None:
    assert Translator(bigrams).translate(["abc"], width) == [expected]


def test_letters_become_ids_and_back(bigrams: Path) -> None:
    translator = Translator(bigrams)
    np.testing.assert_array_equal(translator.encode("Cab?ab"), [[6, 4, 5, 1]])
    assert translator.decode([2, 6, 4, 5, 3]) == "cab"


def test_log_probabilities_sum_to_one() -> None:
    logits = np.array([[1e4, 1e4, -1e4], [0.0, 1.0, 2.0]])
    np.testing.assert_allclose(np.exp(log_softmax(logits)).sum(axis=1), 1)


@pytest.mark.keras
def test_the_cached_decoder_answers_as_the_uncached_one(tmp_path: Path) -> None:
    from examples.machine_translation import build
    from model_defs import seq2seq
    from model_defs.data import emoji_names
    from model_defs.data.text import decode
    from model_defs.training import train

    model, dataset = train("seq2seq", epochs=1, options={"depth": 32, "heads": 4})
    build.export(model, tmp_path)
    translator = Translator(tmp_path)
    inputs = {name: values[:8] for name, values in dataset.test_inputs.items()}

    expected = np.asarray(model.predict(inputs, verbose=0))
    (cross,) = translator.encoder.run(["cross"], {"source": inputs["source"]})
    past = np.zeros((8, 0, translator.depth), np.float32)
    for step, token in enumerate(inputs["target"].T):
        feeds = {"token": token[:, None], "past": past, "cross": cross, "source": inputs["source"]}
        logits, past = translator.decoder.run(["logits", "present"], feeds)
        np.testing.assert_allclose(np.exp(log_softmax(logits)), expected[:, step], atol=1e-5)

    longest = emoji_names.MAX_LENGTH + 1
    rows = seq2seq.translate(model, inputs["source"], max_length=longest)
    assert translator.translate(build.texts("test")[0][:8], width=1) == [
        decode(row, emoji_names.ALPHABET, offset=emoji_names.OFFSET) for row in rows
    ]


@pytest.mark.keras
def test_chrf_and_the_dictionary() -> None:
    from examples.machine_translation.build import chrf, dictionary

    assert chrf(["rotes auto"], ["rotes auto"]) == 100
    assert chrf(["xyz"], ["rotes auto"]) == 0
    assert 0 < chrf(["rote autos"], ["rotes auto"]) < 100
    look_up = dictionary(["red car", "red cat", "car"], ["rotes auto", "rote katze", "auto"])
    assert look_up("car taxi") == "auto taxi"
