from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgekit import inputs, preprocess
from edgekit.bundle import Bundle
from edgekit.errors import BundleError, FeedError
from edgekit.signature import Signature, TensorSpec

X = TensorSpec("x", "float32", ("batch", 4))
Y = TensorSpec("y", "float32", ("batch", 3))
ONE = Signature((X,), (Y,))
TWO = Signature((X, TensorSpec("z", "int32", ("batch",))), (Y,))
SERIES = Signature((TensorSpec("series", "float32", ("batch", "time", 3)),), (Y,))
SERIES_SPEC = {"kind": "series", "input": "series", "channels": 3}
TEXT = Signature((TensorSpec("tokens", "int32", ("batch", "time")),), (Y,))
TEXT_SPEC: dict[str, Any] = {
    "kind": "characters",
    "input": "tokens",
    "alphabet": "abc",
    "lowercase": True,
    "max_length": 4,
    "padding": 0,
    "unknown": 1,
    "offset": 2,
}


def write(path: Path, content: Any) -> str:
    if path.suffix == ".npz":
        np.savez(path, **content)
    elif path.suffix == ".npy":
        np.save(path, content)
    elif path.suffix == ".json":
        path.write_text(json.dumps(content))
    else:
        path.write_text(content)
    return str(path)


ROW = [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("name", "content", "signature", "spec", "shapes"),
    [
        pytest.param("x.npz", {"x": [ROW]}, ONE, None, {"x": (1, 4)}, id="npz"),
        pytest.param("x.npy", [ROW, ROW], ONE, None, {"x": (2, 4)}, id="npy"),
        pytest.param("x.npy", ROW, ONE, None, {"x": (1, 4)}, id="without a batch axis"),
        pytest.param("x.json", {"x": [ROW]}, ONE, None, {"x": (1, 4)}, id="json by name"),
        pytest.param("x.json", [ROW], ONE, None, {"x": (1, 4)}, id="json, one input"),
        pytest.param("x.json", {"x": ROW, "z": 1}, TWO, None, {"x": (1, 4), "z": (1,)}, id="two"),
        pytest.param("x.csv", "1,2,3,4\n5,6,7,8\n", ONE, None, {"x": (2, 4)}, id="csv"),
        pytest.param(
            "x.csv", "1,2,3\n4,5,6\n", SERIES, SERIES_SPEC, {"series": (1, 2, 3)}, id="series"
        ),
        pytest.param("x.txt", "ab\n\nc\n", TEXT, TEXT_SPEC, {"tokens": (2, 2)}, id="text file"),
    ],
)
def test_each_kind_of_file(
    tmp_path: Path,
    name: str,
    content: Any,
    signature: Signature,
    spec: dict[str, Any] | None,
    shapes: dict[str, tuple[int, ...]],
) -> None:
    feeds = inputs.read(write(tmp_path / name, content), signature, spec, io.StringIO())
    assert {key: array.shape for key, array in feeds.items()} == shapes


def test_a_line_of_text_and_stdin() -> None:
    line = inputs.read("cab", TEXT, TEXT_SPEC, io.StringIO())
    assert line["tokens"].tolist() == [[4, 2, 3]]
    piped = inputs.read("-", TEXT, TEXT_SPEC, io.StringIO("a\nbc\n"))
    assert piped["tokens"].tolist() == [[2, 0], [3, 4]]
    assert inputs.read("-", ONE, None, io.StringIO("[[1, 2, 3, 4]]"))["x"].shape == (1, 4)


@pytest.mark.parametrize(
    ("name", "content", "signature", "spec", "message"),
    [
        pytest.param("x.npz", {"y": [ROW]}, ONE, None, "missing 'x'; unknown 'y'", id="name"),
        pytest.param("x.npz", {"x": [[ROW]]}, ONE, None, "(1, 1, 4)", id="rank"),
        pytest.param("x.npz", {"x": [[1j] * 4]}, ONE, None, "complex128", id="dtype"),
        pytest.param("x.npz", {"x": [[np.nan] * 4]}, ONE, None, "nan at (0, 0)", id="nan"),
        pytest.param("x.npy", [ROW], TWO, None, "takes 2", id="no name for two inputs"),
        pytest.param("x.json", {"x": [[1], [1, 2]]}, ONE, None, "ragged", id="ragged"),
        pytest.param("x.csv", "a,b\n", ONE, None, "not a table of numbers", id="csv of words"),
        pytest.param("x.csv", "1,2\n3\n", ONE, None, "not a table of numbers", id="ragged csv"),
        pytest.param("x.csv", "1,2\n", SERIES, SERIES_SPEC, "rows of 3 numbers", id="channels"),
        pytest.param("x.txt", "abc", ONE, None, "does not read", id="text for numbers"),
        pytest.param("x.txt", " \n", TEXT, TEXT_SPEC, "text is empty", id="empty text"),
        pytest.param("x.png", "abc", ONE, None, "no image preprocessing", id="image for numbers"),
    ],
)
def test_what_does_not_fit(
    tmp_path: Path,
    name: str,
    content: Any,
    signature: Signature,
    spec: dict[str, Any] | None,
    message: str,
) -> None:
    with pytest.raises(FeedError) as caught:
        inputs.read(write(tmp_path / name, content), signature, spec, io.StringIO())
    assert message in str(caught.value)


@pytest.mark.parametrize("given", ["nothing.npz", "nothing.png", "nothing.json"])
def test_a_missing_file_is_not_read_as_text(given: str) -> None:
    for signature, spec in ((ONE, None), (TEXT, TEXT_SPEC)):
        with pytest.raises(FeedError, match="does not exist"):
            inputs.read(given, signature, spec, io.StringIO())


def test_json_that_is_not_json() -> None:
    with pytest.raises(FeedError, match="'stdin' is not JSON"):
        inputs.read("-", ONE, None, io.StringIO("x = 1"))


@given(st.text(min_size=1, max_size=10).filter(str.strip))
def test_any_text_becomes_known_ids(text: str) -> None:
    lines = [line for line in text.splitlines() if line.strip()]
    feeds = preprocess.texts(lines, TEXT_SPEC) if lines else {}
    for row in feeds.get("tokens", np.empty((0, 0), np.int32)):
        assert row.dtype == np.int32
        assert ((row >= 0) & (row < 2 + 3)).all()
        assert len(row) <= 4


def test_an_image_is_resized_and_scaled(tmp_path: Path, image_bundle: Bundle) -> None:
    spec = image_bundle.manifest.preprocessing
    assert spec is not None
    Image.new("RGB", (20, 10), (255, 255, 255)).save(tmp_path / "white.png")
    feeds = preprocess.image(tmp_path / "white.png", spec)
    assert feeds["image"].shape == (1, 6, 6, 1)
    assert feeds["image"].dtype == np.float32
    assert np.all(feeds["image"] == 1.0)
    shifted = preprocess.image(tmp_path / "white.png", spec | {"range": [-1, 3], "channels": 3})
    assert shifted["image"].shape == (1, 6, 6, 3)
    assert np.all(shifted["image"] == 3.0)


def test_a_damaged_image(tmp_path: Path, image_bundle: Bundle) -> None:
    Image.new("L", (20, 10)).save(tmp_path / "x.png")
    content = (tmp_path / "x.png").read_bytes()
    (tmp_path / "x.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(FeedError, match="cannot be read"):
        preprocess.image(tmp_path / "x.png", image_bundle.manifest.preprocessing or {})


def test_a_wrong_preprocessing_names_its_key() -> None:
    with pytest.raises(BundleError, match="at 'alphabet'"):
        preprocess.texts(["a"], TEXT_SPEC | {"alphabet": 3})
