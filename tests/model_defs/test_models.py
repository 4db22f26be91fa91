"""The reference models: built, saved, padded, and trained twice."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from model_defs import MODELS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.keras

TINY_TRANSFORMER = {"depth": 8, "heads": 2, "feed_forward": 8, "blocks": 1}
TINY: dict[str, tuple[str, dict[str, Any]]] = {
    "cnn": ("cnn", {"filters": (2, 2), "units": 4}),
    "rnn-simple": ("rnn", {"units": 4}),
    "rnn-lstm": ("rnn", {"units": 4, "cell": "lstm"}),
    "rnn-gru": ("rnn", {"units": 4, "cell": "gru"}),
    "attention": ("attention", {"units": 4}),
    "transformer": ("transformer", TINY_TRANSFORMER),
    "seq2seq": ("seq2seq", TINY_TRANSFORMER),
}
tiny = pytest.mark.parametrize(("name", "options"), TINY.values(), ids=TINY)


@tiny
def test_keras_file_round_trip_in_safe_mode(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    import keras

    model = _module(name).build(**options)
    inputs = _head(_module(name).data().test_inputs, 4)
    expected = _run(model, inputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(_run(loaded, inputs), expected)
    assert [tensor.name for tensor in loaded.inputs] == list(inputs)


@tiny
def test_default_sizes_fit_the_data(name: str, options: dict[str, Any]) -> None:
    module = _module(name)
    dataset = module.data()
    outputs = _run(module.build(**options), _head(dataset.test_inputs, 4))
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs.sum(axis=-1), 1.0, rtol=1e-5)
    assert 0.0 <= module.score(outputs, dataset.test_targets[:4]) <= 1.0


@tiny
def test_training_lowers_the_loss_to_the_same_weights_for_a_seed(
    name: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    from model_defs.training import train

    _shorten_training(name, monkeypatch)
    history = keras.callbacks.History()
    first, _ = train(name, seed=3, epochs=2, callbacks=[history], options=options)
    second, _ = train(name, seed=3, epochs=2, options=options)
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(history.history["loss"]) == 2
    assert history.history["loss"][1] < history.history["loss"][0]


@pytest.mark.parametrize("name", [name for name in TINY if name.startswith(("rnn", "transformer"))])
def test_padding_does_not_change_the_answer(name: str) -> None:
    model_name, options = TINY[name]
    model = _module(model_name).build(**options)
    inputs = _head(_module(model_name).data().test_inputs, 16)
    ((key, array),) = inputs.items()
    padded = np.pad(array, [(0, 0), (0, 9)] + [(0, 0)] * (array.ndim - 2))
    np.testing.assert_allclose(
        _run(model, {key: padded}), _run(model, {key: array}), atol=1e-6, rtol=0
    )


def test_transformer_on_padding_alone_is_finite() -> None:
    model = _module("transformer").build(**TINY_TRANSFORMER)
    assert np.isfinite(_run(model, {"tokens": np.zeros((2, 5), np.int32)})).all()


def test_seq2seq_ignores_source_padding_and_later_target_tokens() -> None:
    model = _module("seq2seq").build(**TINY_TRANSFORMER)
    inputs = _head(_module("seq2seq").data().test_inputs, 8)
    expected = _run(model, inputs)
    padded = {**inputs, "source": np.pad(inputs["source"], ((0, 0), (0, 7)))}
    np.testing.assert_allclose(_run(model, padded), expected, atol=1e-6, rtol=0)
    cut = {**inputs, "target": inputs["target"][:, :5]}
    np.testing.assert_allclose(_run(model, cut), expected[:, :5], atol=1e-6, rtol=0)


def test_seq2seq_parts_compute_what_the_whole_does() -> None:
    module = _module("seq2seq")
    model = module.build(**TINY_TRANSFORMER)
    inputs = _head(module.data().test_inputs, 8)
    parts = module.parts(model)
    memory = _run(parts["encoder"], {"source": inputs["source"]})
    logits = _run(parts["decoder"], {**inputs, "memory": memory})
    whole = _run(model, inputs)
    np.testing.assert_array_equal(logits.argmax(axis=-1), whole.argmax(axis=-1))
    first = module.translate(model, inputs["source"], max_length=3)[:, 0]
    np.testing.assert_array_equal(first, whole[:, 0].argmax(axis=-1))


def test_attention_takes_any_number_of_candidates() -> None:
    module = _module("attention")
    model = module.build(units=4)
    inputs = _head(module.data().test_inputs, 4)
    fewer = {**inputs, "key": inputs["key"][:, :3], "value": inputs["value"][:, :3]}
    assert _run(model, fewer).shape == _run(model, inputs).shape


def test_positional_encoding_is_the_published_table() -> None:
    from model_defs.transformer import PositionalEncoding

    length, depth = 50, 6
    expected = np.empty((length, depth))
    for position in range(length):
        for pair in range(depth // 2):
            angle = position / 10000 ** (2 * pair / depth)
            expected[position, 2 * pair : 2 * pair + 2] = np.sin(angle), np.cos(angle)
    encoding = PositionalEncoding()(np.zeros((1, length, depth), np.float32))
    np.testing.assert_allclose(np.asarray(encoding)[0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("rnn", {"cell": "elman"}, "expected one of simple, lstm, gru"),
        ("transformer", {"depth": 10, "heads": 4}, "not a multiple of 4 heads"),
    ],
)
def test_impossible_hyperparameters_are_refused(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        _module(name).build(**options)


def test_positional_encoding_refuses_a_longer_sequence() -> None:
    from model_defs.transformer import PositionalEncoding

    with pytest.raises(ValueError, match="expected at most 4"):
        PositionalEncoding(max_length=4)(np.zeros((1, 5, 8), np.float32))


def _module(name: str) -> Any:
    return import_module(MODELS[name])


def _shorten_training(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = _module(name)
    dataset = module.data()
    few = replace(
        dataset,
        train_inputs=_head(dataset.train_inputs, 128),
        train_targets=dataset.train_targets[:128],
    )
    monkeypatch.setattr(module, "data", lambda seed: few)


def _head(inputs: dict[str, np.ndarray], samples: int) -> dict[str, np.ndarray]:
    return {key: array[:samples] for key, array in inputs.items()}


def _run(model: Any, inputs: dict[str, np.ndarray]) -> np.ndarray:
    outputs = model([inputs[tensor.name] for tensor in model.inputs], training=False)
    return np.asarray(outputs)
