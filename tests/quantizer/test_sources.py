"""Calibration from pictures and from code: read one at a time, checked, and read again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from PIL import Image

from edgekit import preprocess
from edgekit.errors import FeedError
from edgekit.quantizer import quantize, sources
from edgekit.quantizer.calibration import Calibration
from edgekit.signature import Signature, TensorSpec
from tests.conftest import write_bundle
from tests.quantizer import models

PICTURE = Signature((TensorSpec("x", "float32", ("batch", 4, 6, 3)),), ())
SPEC = {"kind": "image", "input": "x", "height": 4, "width": 6, "channels": 3, "range": [-1, 1]}
MLP = Signature((TensorSpec("x", "float32", ("batch", 32)),), ())
TEXT = Signature((TensorSpec("words", "str", ("batch",)),), ())


def draw(path: Path, grey: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 8), (grey, grey, grey)).save(path)


def test_pictures_go_through_the_bundles_own_preprocessing(tmp_path: Path) -> None:
    draw(tmp_path / "a" / "dark.png", 0)
    draw(tmp_path / "b" / "bright.JPG", 255)
    (tmp_path / "labels.txt").write_text("dark bright")
    feeds = list(Calibration(PICTURE, tmp_path, 256, SPEC).batches())
    assert [feed["x"].shape for feed in feeds] == [(1, 4, 6, 3)] * 2
    assert [float(feed["x"].mean()) for feed in feeds] == [-1, 1]
    (one,) = Calibration(PICTURE, tmp_path / "a" / "dark.png", 256, SPEC).batches()
    assert float(one["x"].max()) == -1


def test_few_of_many_pictures_are_of_every_class(tmp_path: Path) -> None:
    for number in range(12):
        draw(tmp_path / f"class{number // 4}" / f"{number:02}.png", 20 * number)
    feeds = list(Calibration(PICTURE, tmp_path, 3, SPEC).batches())
    greys = [round((float(feed["x"].mean()) + 1) * 127.5) for feed in feeds]
    assert greys == [0, 80, 160]


def test_one_picture_is_open_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        draw(tmp_path / f"{number}.png", number)
    read: list[Path] = []
    image = preprocess.image

    def watched(path: Path, spec: dict[str, Any]) -> Any:
        read.append(path)
        return image(path, spec)

    monkeypatch.setattr(preprocess, "image", watched)
    batches = Calibration(PICTURE, tmp_path, 256, SPEC).batches()
    next(batches)
    assert len(read) == 1


@pytest.mark.parametrize("spec", [None, {"kind": "series", "input": "x", "channels": 3}])
def test_pictures_need_image_preprocessing(spec: dict[str, Any] | None, tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 0)
    with pytest.raises(FeedError, match="is of images, and the model comes with no image prep"):
        Calibration(PICTURE, tmp_path, 256, spec).survey()


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(FeedError, match=r"The image '.*a\.png' cannot be read"):
        Calibration(PICTURE, tmp_path, 256, SPEC).survey()


def rows(count: int = 40) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {"x": models.normal(number, 32)}


def endless() -> Iterator[dict[str, Any]]:
    while True:
        yield {"x": models.normal(0, 5, 32)}


CODE = """
import numpy as np

def rows():
    for number in range(40):
        yield {"x": np.random.default_rng(number).normal(size=32).astype(np.float32)}

def late():
    yield from rows()
    open("/nowhere/at/all")

def late_tuple():
    yield np.zeros(32), 3

ready = {"x": np.eye(32)}
answer = 42
"""


@pytest.mark.parametrize(
    ("source", "count"),
    [
        pytest.param(rows, 40, id="a generator function"),
        pytest.param(rows(), 40, id="a generator, which comes once"),
        pytest.param(list(rows()), 40, id="a list of feeds"),
        pytest.param(endless, 64, id="batches without an end"),
        pytest.param([models.normal(0, 32), models.normal(1, 7, 32)], 8, id="arrays"),
        pytest.param(lambda: {"x": models.normal(0, 9, 32)}, 9, id="a function of one mapping"),
        pytest.param(models.normal(0, 9, 32), 9, id="one array"),
    ],
)
def test_what_python_gives(source: Any, count: int, tmp_path: Path) -> None:
    data = Calibration(MLP, source, 64).kept(tmp_path / "kept")
    first, again = list(data.batches()), list(data.batches())
    assert sum(len(feed["x"]) for feed in first) == count
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one["x"], other["x"])


@pytest.mark.parametrize(
    ("name", "count"), [("rows", 40), ("ready", 32)], ids=["a function", "a mapping"]
)
@pytest.mark.parametrize("form", ["file", "module"])
def test_what_a_text_names(
    form: str, name: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"calibrate_{name}"
    (tmp_path / f"{module}.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)  # an installed command has no working folder on its path
    text = f"{module}.py:{name}" if form == "file" else f"{module}:{name}"
    assert sources.describe(text) == text
    _, found, _ = Calibration(MLP, text, 256).kept(tmp_path / "kept").survey()
    assert found == count


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("late", r"of '.*:late' stopped \(FileNotFoundError: .*nowhere.*\): give a function"),
        ("late_tuple", "item 0 of '.*' is a tuple of 2: give a dict .* without the targets"),
        ("answer", "stopped .*'int' object is not iterable"),
        ("missing", "cannot be imported .*AttributeError.*no attribute 'missing'"),
    ],
)
def test_code_that_fails_is_named(name: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(CODE)
    with pytest.raises(FeedError, match=words):
        Calibration(MLP, f"{path}:{name}", 256).kept(tmp_path / "kept")


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"z": np.zeros(32)}, "missing 'x'; unknown 'z'"),
        ({"x": np.zeros(31)}, r"shape \(1, 31\)"),
        ({"x": np.full(32, np.nan)}, "has nan at"),
        ({"x": [[1.0], [1.0, 2.0]]}, "'x' in item 0 of the generator is no array"),
    ],
    ids=["name", "shape", "nan", "ragged"],
)
def test_an_item_is_checked(item: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(FeedError, match=words):
        Calibration(MLP, iter([item]), 256).kept(tmp_path / "kept")


def test_texts_are_kept_too(tmp_path: Path) -> None:
    data = Calibration(TEXT, iter([{"words": ["a", "bcd"]}]), 9).kept(tmp_path / "kept")
    (feed,) = data.batches()
    assert feed["words"].tolist() == ["a", "bcd"]
    assert feed["words"].dtype == object


def test_a_generator_calibrates_as_its_arrays_do(tmp_path: Path) -> None:
    source = models.mlp(tmp_path / "m.onnx")
    arrays = {"x": np.stack([row["x"] for row in rows()])}
    made = [
        quantize(source, calibration=given, out=tmp_path / f"{i}.onnx", method="entropy")
        for i, given in enumerate((rows(), arrays))
    ]
    assert made[0].path.read_bytes() == made[1].path.read_bytes()
    assert [one.calibration.source for one in made if one.calibration] == ["Python code", "arrays"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.onnx", "1.onnx", "m.onnx"]


def test_a_bundle_is_calibrated_with_a_folder_of_pictures(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    shape: list[int | str] = ["batch", 4, 6, 3]
    weights = {"w": models.normal(0, 72, 5)}
    source = models.write(tmp_path / "m.onnx", nodes, {"x": shape}, {"y": ["batch", 5]}, weights)
    reference = {"x": models.normal(1, 4, 4, 6, 3, scale=0.3).clip(-1, 1)}
    bundle = write_bundle(tmp_path / "bundle", source, inputs=reference, preprocessing=SPEC)
    for number in range(10):
        draw(tmp_path / "pictures" / f"{number}.png", 25 * number)
    made = quantize(bundle, calibration=tmp_path / "pictures", samples=8)
    assert made.calibration is not None
    assert (made.calibration.source, made.calibration.samples) == (str(tmp_path / "pictures"), 8)
    (row,) = made.calibration.inputs
    assert row.declared == (-1, 1)
