"""The target web: the written pages, in Node.js and in Chromium, with real data."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from edgekit.bundle import Bundle
from edgekit.embedder.project import embed
from model_defs.data import digits, surnames
from tests.conftest import write_bundle, write_classifier, write_model
from tests.embedder import npm
from tests.embedder.conftest import KINDS, RAW

pytestmark = pytest.mark.browser

INTERACT = Path(__file__).with_name("interact.js")


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("npm")
    embed(write_classifier(folder / "tiny.onnx"), "web", folder / "app")
    npm.run("make", "node_modules", cwd=folder / "app")
    return folder / "app" / "node_modules"


def project(bundle: Bundle, folder: Path, modules: Path, *, raw: bool = False) -> Path:
    embed(bundle, "web", folder, with_preprocessing=raw)
    npm.lend(modules, folder)
    npm.run("npm", "run", "build", cwd=folder)
    return folder


def interact(app: Path, steps: list[dict[str, Any]], picture: Path) -> list[dict[str, Any]]:
    said = npm.run("node", INTERACT, app, json.dumps(steps), picture, cwd=app)
    answers: list[dict[str, Any]] = json.loads(said.splitlines()[-1])
    assert all(answer["verdict"].startswith("Passed") for answer in answers)
    with Image.open(picture) as drawn:
        assert len(np.unique(np.asarray(drawn).reshape(-1, 3), axis=0)) > 50
    return answers


def linear(folder: Path, name: str, nodes: list[Any], given: Any, fit: Any, **weights: Any) -> Path:
    """A model of features, made by `nodes` as `features`, and a logistic regression on them."""
    classes = len(fit.classes_)
    return write_model(
        folder / f"{name}.onnx",
        [
            *nodes,
            helper.make_node("Gemm", ["features", "w", "b"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
        ],
        [given],
        [("probabilities", TensorProto.FLOAT, ["batch", classes])],
        w=fit.coef_.T.astype(np.float32),
        b=fit.intercept_.astype(np.float32),
        **weights,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_npm_test_proves_the_page_in_node_and_in_chromium(
    bundles: dict[str, Bundle], modules: Path, tmp_path: Path, kind: str
) -> None:
    said = npm.run("npm", "test", cwd=project(bundles[kind], tmp_path / "app", modules))
    assert "not run" not in said
    assert re.search(r"Passed: \d+ of \d+, largest error \S+ \(WebAssembly", said)
    assert re.search(r"Passed: \d+ of \d+, largest error \S+ \(WebGPU", said)


@pytest.mark.parametrize("takes", RAW)
def test_npm_test_proves_a_file_that_has_its_preprocessing_inside(
    bundles: dict[str, Bundle], modules: Path, tmp_path: Path, takes: str
) -> None:
    app = project(bundles[RAW[takes]], tmp_path / "app", modules, raw=True)
    said = npm.run("npm", "test", cwd=app)
    assert re.search(r"Passed: \d+ of \d+, largest error \S+ \(WebAssembly", said)
    assert "the page does not offer webgpu here" in said


def test_the_page_gives_the_file_what_is_typed(
    text_bundle: Bundle, modules: Path, tmp_path: Path
) -> None:
    steps = [{"type": name} for name in ("Rossi", "ROSSI ", "Müller")]
    in_code = project(text_bundle, tmp_path / "code", modules)
    inside = project(text_bundle, tmp_path / "inside", modules, raw=True)
    want = interact(in_code, steps, tmp_path / "code.png")
    got = interact(inside, steps, tmp_path / "inside.png")
    assert [each["scores"] for each in got] == [each["scores"][:3] for each in want]
    assert got[0]["scores"] == got[1]["scores"] != got[2]["scores"]


def test_the_page_gives_the_file_what_is_drawn(
    image_bundle: Bundle, modules: Path, tmp_path: Path
) -> None:
    clear = {"click": "text=Clear"}
    steps: list[dict[str, Any]] = [
        clear,
        {"draw": [[[0.2, 0.2], [0.8, 0.8]]]},
        {"click": ".samples button"},
    ]
    in_code = project(image_bundle, tmp_path / "code", modules)
    inside = project(image_bundle, tmp_path / "inside", modules, raw=True)
    want = interact(in_code, steps, tmp_path / "code.png")
    got = interact(inside, steps, tmp_path / "inside.png")
    assert all(each["problem"] == "" for each in got)
    assert got[0]["scores"] == want[0]["scores"]
    # Pillow's way rounds to bytes, the page's own code does not.
    shares = [
        [float(share.rstrip("%")) for _, share in sorted(each[1]["scores"])] for each in (got, want)
    ]
    assert shares[0] == pytest.approx(shares[1], abs=2)
    assert got[1]["scores"] != got[0]["scores"]


def test_npm_test_fails_on_another_model(bundle: Bundle, modules: Path, tmp_path: Path) -> None:
    app = project(bundle, tmp_path / "app", modules)
    write_classifier(app / "site" / "model.onnx", 1.01)
    said = npm.run("npm", "test", cwd=app, code=1)
    assert "Failed: 4 of 4; case 0, probabilities: atol" in said


def test_the_page_says_what_the_runtime_lacks(
    bundle: Bundle, modules: Path, tmp_path: Path
) -> None:
    app = project(bundle, tmp_path / "app", modules)
    model = onnx.load(app / "site" / "model.onnx")
    model.ir_version = 99
    onnx.save(model, app / "site" / "model.onnx")
    said = npm.run("npm", "test", cwd=app, code=1)
    assert "model.onnx needs IR version 8 and opset 18 of ai.onnx, and onnxruntime-web" in said


def strokes(image: np.ndarray[Any, Any]) -> list[list[list[float]]]:
    """Lines between neighbouring bright points of an 8 x 8 digit of scikit-learn, as one draws."""
    bright = {(int(y), int(x)) for y, x in np.argwhere(image >= 9)}
    steps = ((0, 1), (1, 0), (1, 1), (1, -1))
    pairs = [((y, x), (y + dy, x + dx)) for y, x in sorted(bright) for dy, dx in steps]
    lines = [pair for pair in pairs if pair[1] in bright]
    return [[[(x + 0.5) / 8, (y + 0.5) / 8] for y, x in pair] for pair in lines]


def test_digits_that_are_drawn_are_read(modules: Path, tmp_path: Path) -> None:
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    data = digits.data()
    flat = data.train_inputs["image"].reshape(len(data.train_targets), -1)
    fit = LogisticRegression(max_iter=1000).fit(flat, data.train_targets)
    flatten = [helper.make_node("Flatten", ["image"], ["features"])]
    given = ("image", TensorProto.FLOAT, ["batch", 28, 28, 1])
    model = linear(tmp_path, "digits", flatten, given, fit)
    bundle = write_bundle(
        tmp_path / "bundle",
        model,
        labels=data.labels,
        preprocessing=data.preprocessing,
        inputs={"image": data.test_inputs["image"][:8]},
    )
    known = load_digits()
    chosen = [int(np.flatnonzero(known.target == digit)[3]) for digit in range(10)]
    steps = [{"draw": strokes(known.images[index])} for index in chosen]
    app = project(bundle, tmp_path / "app", modules)
    answers = interact(app, steps, tmp_path / "digits.png")
    read = [answer["label"] for answer in answers]
    right = sum(label == str(digit) for digit, label in enumerate(read))
    assert right >= 8, read


def test_the_board_is_drawn_on_with_keys(
    image_bundle: Bundle, modules: Path, tmp_path: Path
) -> None:
    app = project(image_bundle, tmp_path / "app", modules)
    keys = ["Space", *["ArrowDown"] * 8, "Space", *["ArrowRight"] * 8]
    clear = {"click": "text=Clear"}
    steps: list[dict[str, Any]] = [clear, {"press": keys}, clear]
    dark, drawn, cleared = interact(app, steps, tmp_path / "keys.png")
    assert drawn["scores"] != dark["scores"]
    assert cleared["scores"] == dark["scores"]


def test_names_that_are_typed_are_placed(modules: Path, tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    data = surnames.data()
    size = len(surnames.ALPHABET) + 2
    tokens = data.train_inputs["tokens"]
    table = np.eye(size, dtype=np.float32)
    table[0] = 0  # padding counts for nothing
    counts = table[tokens].sum(axis=1)
    fit = LogisticRegression(max_iter=1000).fit(counts, data.train_targets)
    nodes = [
        helper.make_node("Gather", ["table", "tokens"], ["hot"]),
        helper.make_node("ReduceSum", ["hot", "axes"], ["features"], keepdims=0),
    ]
    given = ("tokens", TensorProto.INT32, ["batch", "time"])
    model = linear(tmp_path, "names", nodes, given, fit, table=table, axes=np.array([1]))
    bundle = write_bundle(
        tmp_path / "bundle",
        model,
        labels=data.labels,
        preprocessing=data.preprocessing,
        inputs={"tokens": data.test_inputs["tokens"][:8]},
    )
    names = ["Papadopoulos", "Wiśniewska", "Müller-Lüdenscheidt"]
    encoded = surnames.encode_names(names)
    want = fit.predict(table[encoded].sum(axis=1))
    app = project(bundle, tmp_path / "app", modules)
    steps = [{"type": name} for name in names]
    answers = interact(app, [*steps, {"use": "webgpu"}], tmp_path / "names.png")
    assert [each["label"] for each in answers[:3]] == [data.labels[i] for i in want]
    assert answers[3]["label"] == answers[2]["label"]
    assert answers[3]["conditions"].startswith("WebGPU")


def test_a_series_that_is_pasted_is_answered(
    bundles: dict[str, Bundle], modules: Path, tmp_path: Path
) -> None:
    app = project(bundles["series"], tmp_path / "app", modules)
    table = "1, 2, 3, 4, 5\n2 3 4 5 6\n"
    steps = [{"paste": table}, {"paste": "1, 2\n3, 4"}, {"click": ".samples button"}]
    answer, wrong, again = interact(app, steps, tmp_path / "series.png")
    assert answer["problem"] == again["problem"] == ""
    assert "give rows of 5 numbers" in wrong["problem"]
    assert sum(float(share.rstrip("%")) for _, share in answer["scores"]) == pytest.approx(
        100, abs=1
    )


def test_tensors_that_are_changed_are_answered(
    bundles: dict[str, Bundle], modules: Path, tmp_path: Path
) -> None:
    app = project(bundles["arrays"], tmp_path / "app", modules)
    feeds = {"a": {"shape": [1, 4], "data": [1, 2, 3, 4]}, "ids": {"shape": [1, 1], "data": [41]}}
    wrong = {"paste": json.dumps({"a": feeds["a"]})}
    answer, refused = interact(app, [{"paste": json.dumps(feeds)}, wrong], tmp_path / "two.png")
    assert answer["label"] == "scores, next"
    assert "give a,ids" in refused["problem"]
