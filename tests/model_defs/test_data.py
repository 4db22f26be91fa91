"""The reference data and metrics: real, split without leakage, free of keras."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from model_defs import DATA, Dataset
from model_defs.data import countries, digits, emoji_names, surnames, text, vowels

INPUTS: dict[str, dict[str, tuple[tuple[int, ...], Any]]] = {
    "cnn": {"image": ((28, 28, 1), np.float32)},
    "rnn": {"series": ((29, 12), np.float32)},
    "attention": {
        "query": ((1, countries.QUERY_FEATURES), np.float32),
        "key": ((countries.CANDIDATES, countries.KEY_FEATURES), np.float32),
        "value": ((countries.CANDIDATES, 10 * countries.DIGITS), np.float32),
    },
    "transformer": {"tokens": ((surnames.MAX_LENGTH,), np.int32)},
    "seq2seq": {
        "source": ((emoji_names.MAX_LENGTH,), np.int32),
        "target": ((emoji_names.MAX_LENGTH + 1,), np.int32),
    },
}
# The shape of one prediction; the last axis is the class.
OUTPUTS: dict[str, tuple[int, ...]] = {
    "cnn": (10,),
    "rnn": (9,),
    "attention": (3, 10),
    "transformer": (12,),
    "seq2seq": (emoji_names.MAX_LENGTH + 1, emoji_names.VOCABULARY),
}


@pytest.fixture(scope="module")
def datasets() -> dict[str, Dataset]:
    return {name: import_module(module).data(0) for name, module in DATA.items()}


@pytest.mark.parametrize("name", DATA)
def test_inputs_have_the_shapes_and_dtypes_of_the_model(
    name: str, datasets: dict[str, Dataset]
) -> None:
    dataset = datasets[name]
    for inputs, targets in (
        (dataset.train_inputs, dataset.train_targets),
        (dataset.test_inputs, dataset.test_targets),
    ):
        found = {key: (array.shape[1:], array.dtype) for key, array in inputs.items()}
        assert found == INPUTS[name]
        assert targets.dtype == np.int32
        assert targets.shape == (len(targets), *OUTPUTS[name][:-1])
        assert {len(array) for array in inputs.values()} == {len(targets)}
        assert all(np.isfinite(array).all() for array in inputs.values())


@pytest.mark.parametrize("name", DATA)
def test_targets_are_classes_that_the_labels_name(name: str, datasets: dict[str, Dataset]) -> None:
    dataset = datasets[name]
    targets = np.concatenate([dataset.train_targets.ravel(), dataset.test_targets.ravel()])
    assert targets.min() >= 0
    assert targets.max() < OUTPUTS[name][-1]
    assert len(dataset.labels) in (0, OUTPUTS[name][-1])


@pytest.mark.parametrize("name", DATA)
def test_a_seed_gives_the_same_data_again(name: str, datasets: dict[str, Dataset]) -> None:
    again = import_module(DATA[name]).data(0)
    for part in ("train_inputs", "test_inputs"):
        for key, array in getattr(datasets[name], part).items():
            np.testing.assert_array_equal(array, getattr(again, part)[key])
    np.testing.assert_array_equal(datasets[name].train_targets, again.train_targets)
    np.testing.assert_array_equal(datasets[name].test_targets, again.test_targets)


@pytest.mark.parametrize("name", [name for name in DATA if name != "rnn"])
def test_another_seed_holds_out_other_samples(name: str, datasets: dict[str, Dataset]) -> None:
    other = import_module(DATA[name]).data(1)
    key = next(iter(INPUTS[name]))
    ours, theirs = datasets[name].test_inputs[key], other.test_inputs[key]
    assert ours.shape != theirs.shape or not np.array_equal(ours, theirs)


@pytest.mark.parametrize("name", [name for name in DATA if name != "attention"])
def test_no_held_out_sample_is_in_the_training_data(
    name: str, datasets: dict[str, Dataset]
) -> None:
    dataset = datasets[name]
    key = "target" if name == "seq2seq" else next(iter(INPUTS[name]))
    train = {row.tobytes() for row in dataset.train_inputs[key]}
    if name == "seq2seq":
        # Two emoji may share a German word (umbrella, parasol); the pair must not recur.
        train = _rows(dataset.train_inputs)
        assert not train & _rows(dataset.test_inputs)
    else:
        assert not train & {row.tobytes() for row in dataset.test_inputs[key]}


def test_no_country_is_in_both_parts(datasets: dict[str, Dataset]) -> None:
    dataset = datasets["attention"]
    train = {row.tobytes() for row in dataset.train_inputs["value"].reshape(-1, 30)}
    test = {row.tobytes() for row in dataset.test_inputs["value"].reshape(-1, 30)}
    assert len(train) + len(test) == 249
    assert not train & test


def test_each_table_holds_the_queried_country_once(datasets: dict[str, Dataset]) -> None:
    inputs, targets = datasets["attention"].test_inputs, datasets["attention"].test_targets
    found = inputs["value"].reshape(len(targets), -1, 3, 10).argmax(axis=-1)
    assert ((found == targets[:, None]).all(axis=-1).sum(axis=-1) == 1).all()


def test_a_name_without_its_accents_is_on_the_same_side(datasets: dict[str, Dataset]) -> None:
    dataset = datasets["transformer"]
    train, test = (
        {surnames.fold(text.decode(row, surnames.ALPHABET)) for row in inputs["tokens"]}
        for inputs in (dataset.train_inputs, dataset.test_inputs)
    )
    assert not train & test


def test_split_keeps_inflections_of_a_name_together() -> None:
    names = [f"novak{ending}" for ending in ("", "ova", "ovi")] + list("abcdefghijkl")
    kept, held_out = surnames._split(names, np.random.default_rng(0))
    assert sorted(kept + held_out) == sorted(names)
    assert len([name for name in kept if name.startswith("novak")]) in (0, 3)


def test_upsampling_keeps_constants_and_is_symmetric() -> None:
    images = np.stack([np.full((8, 8), 0.5), np.eye(8)])
    flat, diagonal = digits.upsample(images, 28)
    np.testing.assert_allclose(flat, 0.5)
    np.testing.assert_allclose(diagonal, diagonal.T)
    np.testing.assert_allclose(diagonal, diagonal[::-1, ::-1])


def test_upsampling_is_what_pillow_does() -> None:
    image_module = pytest.importorskip("PIL.Image")
    image = np.random.default_rng(0).random((8, 8)).astype(np.float32)
    expected = image_module.fromarray(image).resize((28, 28), image_module.Resampling.BILINEAR)
    np.testing.assert_allclose(digits.upsample(image[None], 28)[0], expected, atol=1e-6)


def test_vowels_are_the_official_split(datasets: dict[str, Dataset]) -> None:
    dataset = datasets["rnn"]
    assert len(dataset.train_targets) == 270
    assert len(dataset.test_targets) == 370
    steps = (dataset.train_inputs["series"] != 0).any(axis=-1).sum(axis=-1)
    assert (steps.min(), steps.max()) == (7, 26)


def test_vowels_without_sktime_name_the_missing_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vowels, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError) as caught:
        vowels.data()
    assert caught.value.name == "sktime"


@pytest.mark.parametrize(
    ("written", "tokens"),
    [
        ("ab", [2, 3, 0, 0]),
        ("BA", [3, 2, 0, 0]),
        ("a?b", [2, 1, 3, 0]),
        ("ababab", [2, 3, 2, 3]),
        ("", [0, 0, 0, 0]),
    ],
)
def test_encode(written: str, tokens: list[int]) -> None:
    assert text.encode([written], "ab", 4).tolist() == [tokens]


def test_decode_is_the_inverse_of_encode() -> None:
    tokens = text.encode(["novák"], surnames.ALPHABET, surnames.MAX_LENGTH)
    assert text.decode(tokens[0], surnames.ALPHABET) == "novák"


@pytest.mark.parametrize("name", ["transformer", "seq2seq"])
def test_preprocessing_describes_the_encoder(name: str, datasets: dict[str, Dataset]) -> None:
    description = datasets[name].preprocessing
    assert description is not None
    assert description["kind"] == "characters"
    assert len(set(description["alphabet"])) == len(description["alphabet"])
    tokens = datasets[name].train_inputs[description["input"]]
    assert tokens.shape[1] == description["max_length"]
    assert tokens.max() < description["offset"] + len(description["alphabet"])
    assert (tokens == description["unknown"]).mean() < 1e-3


def test_translation_targets_are_the_target_one_step_ahead(datasets: dict[str, Dataset]) -> None:
    dataset = datasets["seq2seq"]
    target, ahead = dataset.test_inputs["target"], dataset.test_targets
    assert (target[:, 0] == emoji_names.START).all()
    assert ((ahead == emoji_names.END).sum(axis=1) == 1).all()
    np.testing.assert_array_equal(
        np.where(ahead == emoji_names.END, 0, ahead)[:, :-1], target[:, 1:]
    )


@pytest.mark.parametrize("name", DATA)
def test_score_is_one_for_the_truth_and_nothing_for_nan(
    name: str, datasets: dict[str, Dataset]
) -> None:
    module: Any = import_module(DATA[name])
    targets = datasets[name].test_targets
    truth = np.eye(OUTPUTS[name][-1], dtype=np.float32)[targets]
    assert module.score(truth, targets) == 1.0
    assert module.score({"output": truth}, targets) == 1.0
    assert module.score(np.full_like(truth, np.nan), targets) == 0.0
    assert module.score(np.where(truth == 1.0, np.nan, truth), targets) == 0.0


def test_score_refuses_what_it_cannot_compare() -> None:
    with pytest.raises(ValueError, match="do not match"):
        digits.score(np.zeros((1, 10)), np.zeros(5, dtype=np.int32))
    with pytest.raises(ValueError, match="expected one output, got 2"):
        digits.score({"a": np.zeros((1, 10)), "b": np.zeros((1, 10))}, np.zeros(1, dtype=np.int32))


@pytest.mark.parametrize("name", DATA)
def test_majority_is_a_low_rate(name: str, datasets: dict[str, Dataset]) -> None:
    assert 0.0 < import_module(DATA[name]).majority(datasets[name]) < 0.3


@pytest.mark.parametrize("name", ["attention", "seq2seq"])
def test_baseline_beats_the_majority(name: str, datasets: dict[str, Dataset]) -> None:
    module = import_module(DATA[name])
    description, value = module.baseline(datasets[name])
    assert description
    assert module.majority(datasets[name]) < value <= 1.0


@pytest.mark.parametrize("module", DATA.values())
def test_data_needs_no_keras(module: str) -> None:
    hide = "import sys; sys.modules.update(keras=None, tensorflow=None)"
    code = f"{hide}; import {module} as m; m.data()"
    subprocess.run([sys.executable, "-c", code], check=True)


def _rows(inputs: dict[str, np.ndarray]) -> set[bytes]:
    return {row.tobytes() for row in np.concatenate(list(inputs.values()), axis=1)}
