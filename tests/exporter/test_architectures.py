"""Architectures that people have, each a small model of its style: exported, right, and not large.

`nodes` bounds the file's size with little to spare: a conversion that writes shape arithmetic, or a
loop where there is none, is over it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import edgekit
from edgekit.errors import ExportError
from edgekit.exporter import trace
from edgekit.signature import TensorSpec
from tests.exporter import language_models as language
from tests.exporter import vision_models as vision

pytestmark = pytest.mark.keras

RNG = np.random.default_rng(0)


def ids(*shape: int, below: int = 20) -> Any:
    return RNG.integers(0, below, shape).astype(np.int32)


def floats(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float32)


def export(build: Callable[[], Any], path: Path, **options: Any) -> tuple[Any, Counter[str]]:
    """Export a model whose weights are all random, and count its operators."""
    import keras

    keras.utils.set_random_seed(0)
    model = build()
    for variable in model.variables:
        if "float" in variable.dtype:
            noise = 0.1 * RNG.random(variable.shape)
            variable.assign(variable + noise.astype(variable.dtype))
    edgekit.export(model, path, **options)
    nodes = onnx.load(path).graph.node
    assert {node.domain for node in nodes} <= {"", "ai.onnx"}
    return model, Counter(node.op_type for node in nodes)


def compare(model: Any, path: Path, feeds: dict[str, Any]) -> None:
    with edgekit.open(path) as runner:
        outputs = runner.run(feeds)
        expected = trace.predict(model, runner.signature.inputs, runner.signature.check(feeds))
    assert list(outputs) == list(expected)
    for name, array in expected.items():
        assert outputs[name].shape == array.shape
        np.testing.assert_allclose(outputs[name], array, atol=1e-4, rtol=1e-3)


TEXT: dict[str, Any] = {"ids": ids(2, 9)}
PADDED: dict[str, Any] = TEXT | {"kept": np.array([[1] * 9, [1] * 4 + [0] * 5], np.int32)}
PICTURE: dict[str, Any] = {"image": floats(2, 32, 32, 3)}
PAIR: dict[str, Any] = {"source": ids(2, 7), "target": ids(2, 5)}


@pytest.mark.parametrize(
    ("build", "feeds", "nodes"),
    [
        pytest.param(language.bert, PADDED, 88, id="BERT"),
        pytest.param(language.gpt, TEXT, 100, id="GPT"),
        pytest.param(language.llama, TEXT, 240, id="LLaMA"),
        pytest.param(language.t5, PAIR, 210, id="T5"),
        pytest.param(
            language.whisper, {"mel": floats(2, 12, 6), "ids": ids(2, 5)}, 135, id="Whisper"
        ),
        pytest.param(language.seq2seq, PAIR, 17, id="LSTM seq2seq"),
        pytest.param(language.mixture, {"x": floats(2, 9, 8)}, 21, id="mixture of experts"),
        pytest.param(language.wavenet, {"x": floats(2, 11, 2)}, 90, id="WaveNet"),
        pytest.param(
            language.recommender,
            {"user": ids(3, 1), "item": ids(3, 1), "history": ids(3, 6)},
            42,
            id="recommender",
        ),
        pytest.param(vision.vit, PICTURE, 72, id="ViT"),
        pytest.param(vision.swin, PICTURE, 150, id="Swin"),
        pytest.param(vision.convnext, {"image": floats(2, 40, 24, 3)}, 38, id="ConvNeXt"),
        pytest.param(vision.mbconv, {"image": floats(2, 37, 24, 3)}, 42, id="MBConv"),
        pytest.param(vision.detr, PICTURE, 150, id="DETR"),
        pytest.param(vision.unet, {"image": floats(1, 24, 32, 3)}, 62, id="U-Net"),
        pytest.param(
            vision.diffusion,
            {"latent": floats(2, 8, 8, 4), "time": floats(2, 1), "text": floats(2, 5, 8)},
            150,
            id="diffusion",
        ),
        pytest.param(vision.two_towers, PICTURE | {"ids": ids(2, 4)}, 24, id="two towers"),
        pytest.param(
            vision.shared, {"a": floats(2, 6), "b": floats(2, 6)}, 14, id="nested and shared"
        ),
    ],
)
def test_an_architecture(
    tmp_path: Path, build: Callable[[], Any], feeds: dict[str, Any], nodes: int
) -> None:
    path = tmp_path / "m.onnx"
    model, found = export(build, path)
    compare(model, path, feeds)
    assert found.total() <= nodes
    assert not found.keys() & {"Loop", "If", "Scan"}


def test_a_step_of_decoding_hands_its_cache_on(tmp_path: Path) -> None:
    path = tmp_path / "step.onnx"
    model, found = export(language.llama_step, path)
    assert found.total() <= 120
    past, tokens = floats(1, 2, 2, 2, 4), ids(1, 4)
    for i in range(4):
        feeds = {"token": tokens[:, i : i + 1], "past": past}
        compare(model, path, feeds)
        with edgekit.open(path) as runner:
            past = runner.run(feeds)["cache"]
    assert past.shape == (1, 2, 6, 2, 4)


@pytest.mark.parametrize("rows", [0, 2])
def test_a_branch_on_a_length_is_one_if(tmp_path: Path, rows: int) -> None:
    """SAM's: where no mask is given a learned one stands in, else a network reads it."""
    path = tmp_path / "m.onnx"
    model, found = export(vision.prompted, path)
    assert found["If"] == 1
    # A mask that is not given has no pixels to convolve: what reads it is inside of the branch.
    assert found["Conv"] == 0
    compare(model, path, {"masks": floats(2, rows, 8, 8, 1)})


def test_python_that_looks_at_a_length_needs_it_fixed(tmp_path: Path) -> None:
    model = vision.unrolled()
    with pytest.raises(ExportError, match=r"fix it with signature=\[\.\.\.\]"):
        edgekit.export(model, tmp_path / "m.onnx")
    fixed = [TensorSpec("x", "float32", ("batch", 5, 3))]
    edgekit.export(model, tmp_path / "m.onnx", signature=fixed)
    compare(model, tmp_path / "m.onnx", {"x": floats(2, 5, 3)})
