"""The target node: the written npm packages, in Node.js."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgekit import preprocess
from edgekit.bundle import Bundle
from edgekit.embedder.project import embed
from tests.conftest import write_bundle, write_classifier
from tests.embedder import npm
from tests.embedder.conftest import KINDS, RAW
from tests.embedder.test_python import RULE

pytestmark = pytest.mark.node

JAVASCRIPT = Path(preprocess.__file__).parent / "embedder" / "javascript"
#: Encodes each `[given, rule]` of the JSON on stdin.
ENCODE = """
import { encode } from "./preprocess.mjs";
import { text } from "node:stream/consumers";
const rows = JSON.parse(await text(process.stdin));
const made = rows.map(([given, rule]) => {
  if (given.data) given.data = Uint8Array.from(given.data);
  return Array.from(Object.values(encode(given, { preprocessing: rule }))[0].data);
});
console.log(JSON.stringify(made));
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages that projects of every kind need, and TypeScript."""
    folder = tmp_path_factory.mktemp("npm")
    model = write_classifier(folder / "tiny.onnx")
    picture = {"kind": "image", "input": "x", "height": 2, "width": 2, "channels": 1, "range": []}
    bundle = write_bundle(folder / "bundle", model, preprocessing=picture)
    embed(bundle, "node", folder / "app")
    npm.run("make", "node_modules", cwd=folder / "app")
    extra = ("typescript@5.9", "@types/node@22")
    npm.run("npm", "install", "--ignore-scripts", "--no-save", *extra, cwd=folder / "app")
    return folder / "app" / "node_modules"


def project(bundle: Bundle, folder: Path, modules: Path) -> Path:
    embed(bundle, "node", folder)
    return npm.lend(modules, folder)


@pytest.mark.parametrize("kind", KINDS)
def test_npm_test_proves_the_golden_vectors(
    bundles: dict[str, Bundle], modules: Path, tmp_path: Path, kind: str
) -> None:
    said = npm.run("npm", "test", cwd=project(bundles[kind], tmp_path / "app", modules))
    assert re.search(r"# fail 0", said)
    assert float(re.findall(r"largest absolute error (\S+)", said)[0]) < 1e-6


@pytest.mark.parametrize("takes", RAW)
def test_npm_test_proves_a_file_that_has_its_preprocessing_inside(
    bundles: dict[str, Bundle], modules: Path, tmp_path: Path, takes: str
) -> None:
    embed(bundles[RAW[takes]], "node", tmp_path / "app", with_preprocessing=True)
    app = npm.lend(modules, tmp_path / "app")
    said = npm.run("npm", "test", cwd=app)
    assert "# fail 0" in said
    assert float(re.findall(r"largest absolute error (\S+)", said)[0]) < 1e-6
    Image.fromarray(np.eye(20, dtype=np.uint8) * 255).save(tmp_path / "a.png")
    np.savetxt(tmp_path / "a.csv", np.ones((4, 5)), delimiter=",")
    words = {"text": "Rossi", "pixels": str(tmp_path / "a.png"), "series": str(tmp_path / "a.csv")}
    assert re.search(r": (zero|one|two) \d", npm.run("node", "cli.js", words[takes], cwd=app))
    golden = json.loads((app / "golden.json").read_text())
    named = next(each for each in golden["cases"][0]["outputs"] if each["name"] == "label")
    named["data"] = ["nobody"]
    (app / "golden.json").write_text(json.dumps(golden))
    assert "case 0, label" in npm.run("npm", "test", cwd=app, code=1)


@pytest.mark.parametrize(
    ("takes", "code", "words"),
    [
        ("text", 'predict(" ")', "the text is empty"),
        ("pixels", "predict({width: 2, height: 1, data: new Uint8Array(3)})", "give 1 to 4 a"),
        ("pixels", "predict({width: 1, height: 1, data: [0.5]})", "give 0..255 in a Uint8Array"),
    ],
)
def test_a_raw_input_that_does_not_fit_is_a_range_error(
    bundles: dict[str, Bundle], modules: Path, tmp_path: Path, takes: str, code: str, words: str
) -> None:
    embed(bundles[RAW[takes]], "node", tmp_path / "app", with_preprocessing=True)
    app = npm.lend(modules, tmp_path / "app")
    script = f'import {{ predict }} from "./index.js"; await {code}'
    said = npm.run("node", "--input-type=module", "-e", script, cwd=app, code=1)
    assert "RangeError" in said
    assert words in said


def test_npm_test_fails_on_another_model(bundle: Bundle, modules: Path, tmp_path: Path) -> None:
    app = project(bundle, tmp_path / "app", modules)
    write_classifier(app / "model.onnx", 1.01)
    assert "case 0, probabilities" in npm.run("npm", "test", cwd=app, code=1)


@pytest.mark.parametrize(
    ("kind", "word", "answer"),
    [
        ("characters", "Rossi", r"Rossi: (zero|one|two) \d"),
        ("image", "PNG", r": (zero|one|two) \d"),
        ("series", "CSV", r": (zero|one|two) \d"),
        ("arrays", "JSON", r"next \[1,2\] = 8,9"),
    ],
    ids=KINDS,
)
def test_the_command_answers(
    bundles: dict[str, Bundle], modules: Path, tmp_path: Path, kind: str, word: str, answer: str
) -> None:
    app = project(bundles[kind], tmp_path / "app", modules)
    Image.fromarray(np.eye(20, dtype=np.uint8) * 255).save(tmp_path / "a.png")
    np.savetxt(tmp_path / "a.csv", np.ones((4, 5)), delimiter=",")
    feeds = {
        "a": {"shape": [1, 4], "data": [1, 2, 3, 4]},
        "ids": {"shape": [1, 2], "data": [7, 8]},
    }
    (tmp_path / "a.json").write_text(json.dumps(feeds))
    given = {"PNG": "a.png", "CSV": "a.csv", "JSON": "a.json"}
    argument = str(tmp_path / given[word]) if word in given else word
    assert re.search(answer, npm.run("node", "cli.js", argument, cwd=app))


def test_the_command_says_what_is_wrong(text_bundle: Bundle, modules: Path, tmp_path: Path) -> None:
    app = project(text_bundle, tmp_path / "app", modules)
    assert npm.run("node", "cli.js", " ", cwd=app, code=1).startswith("Error: the text is empty")
    assert "usage: tiny INPUT" in npm.run("node", "cli.js", cwd=app, code=2)


def test_the_package_is_installed_and_run_by_its_name(
    text_bundle: Bundle, modules: Path, tmp_path: Path
) -> None:
    app = project(text_bundle, tmp_path / "app", modules)
    packed = npm.run("npm", "pack", "--silent", cwd=app).strip()
    assert {"package/model.onnx", "package/cli.js"} <= set(
        npm.run("tar", "tzf", packed, cwd=app).split()
    )
    user = tmp_path / "user"
    user.mkdir()
    npm.lend(modules, user)
    (user / "package.json").write_text('{"type": "module"}')
    (modules / "tiny").unlink(missing_ok=True)
    (modules / "tiny").symlink_to(app, target_is_directory=True)
    code = "import { predict } from 'tiny'; console.log((await predict('Rossi')).top.length)"
    assert npm.run("node", "--input-type=module", "-e", code, cwd=user).strip() == "3"


def test_a_model_that_the_runtime_lacks_is_named_with_it(
    bundle: Bundle, modules: Path, tmp_path: Path
) -> None:
    app = project(bundle, tmp_path / "app", modules)
    model = onnx.load(app / "model.onnx")
    model.ir_version = 99
    onnx.save(model, app / "model.onnx")
    said = npm.run("npm", "test", cwd=app, code=1)
    assert "model.onnx needs IR version 8 and opset 18 of ai.onnx, and onnxruntime-node" in said


@pytest.mark.parametrize("kind", KINDS)
def test_the_types_are_those_of_the_answers(
    bundles: dict[str, Bundle], modules: Path, tmp_path: Path, kind: str
) -> None:
    app = project(bundles[kind], tmp_path / "app", modules)
    inputs = {
        "characters": '"Rossi"',
        "image": "{ width: 1, height: 1, data: new Uint8Array(1) }",
        "series": "[[1, 2, 3, 4, 5]]",
        "arrays": "{ a: { shape: [1, 4], data: [1, 2, 3, 4] } }",
    }
    (app / "user.ts").write_text(
        'import { load, predict, type Answer } from "./index.js";\n'
        f"const answer: Answer = await predict({inputs[kind]}, 2);\n"
        "const name: string | undefined = answer.top[0]?.name;\n"
        "const model = await load({ intraOpNumThreads: 1 });\n"
        "// @ts-expect-error: a date is no input\n"
        "await model.predict(new Date());\n"
        "console.log(name);\n"
    )
    flags = ("--strict", "--noEmit", "--module", "nodenext", "--target", "es2022")
    npm.run(modules / ".bin" / "tsc", *flags, "user.ts", cwd=app)


def encoded(kind: str, rows: list[Any], folder: Path) -> list[Any]:
    source = (JAVASCRIPT / kind / "_lib_" / "preprocess.js").read_text(encoding="utf-8")
    (folder / "preprocess.mjs").write_text(source, encoding="utf-8")
    (folder / "encode.mjs").write_text(ENCODE, encoding="utf-8")
    said = npm.run("node", "encode.mjs", cwd=folder, input=json.dumps(rows))
    answers: list[Any] = json.loads(said)
    return answers


@given(
    texts=st.lists(st.text(min_size=1, max_size=30).filter(str.strip), min_size=100, max_size=200)
)
@settings(max_examples=3, deadline=None)
def test_texts_are_encoded_as_edgekit_does(
    texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    # White space is not the same: Python strips separators of ASCII, JavaScript a byte order mark.
    known = [text for text in texts if not set(text) & set("\x1c\x1d\x1e\x1f\x85\ufeff")]
    got = encoded("characters", [[text, RULE] for text in known], tmp_path_factory.mktemp("js"))
    want = [preprocess.texts([text], RULE)["tokens"][0].tolist() for text in known]
    assert got == want


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_encoded_as_edgekit_does(tmp_path: Path, channels: int) -> None:
    rule = {
        "kind": "image",
        "input": "image",
        "height": 28,
        "width": 20,
        "channels": channels,
        "range": [-1, 1],
    }
    rows, wants = [], []
    for size in ((28, 28), (100, 80), (7, 300), (5, 4)):
        pixels = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "a.png")
        wants.append(preprocess.image(tmp_path / "a.png", rule)["image"].ravel())
        given = {"width": size[1], "height": size[0], "data": pixels.ravel().tolist()}
        rows.append([given, rule])
    for got, want in zip(encoded("image", rows, tmp_path), wants, strict=True):
        # Pillow rounds to bytes for grey, after the columns and after the rows.
        np.testing.assert_allclose(got, want, atol=2 * 2.1 / 255)
