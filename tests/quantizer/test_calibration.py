"""Calibration data: from every kind of source, checked, bounded, in the right range."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import FeedError, QuantizeError
from edgekit.quantizer import quantize
from edgekit.quantizer.calibration import BATCH, Calibration, Reader, check_range
from edgekit.signature import Signature, TensorSpec
from tests.conftest import write_bundle
from tests.quantizer import models

ONE = Signature(
    (TensorSpec("x", "float32", ("batch", "time", 3)),), (TensorSpec("y", "float32", ("batch",)),)
)
TWO = Signature(
    (TensorSpec("q", "float32", ("batch", 2)), TensorSpec("ids", "int32", ("batch", 4))),
    ONE.outputs,
)
FIXED = Signature((TensorSpec("x", "float32", (2, 3)),), (TensorSpec("y", "float32", (2,)),))
SCALAR = Signature((TensorSpec("x", "float32", ()),), ONE.outputs)


def sizes(signature: Signature, source: Any, samples: int = 256) -> list[tuple[int, ...]]:
    calibration = Calibration(signature, source, samples)
    name = signature.inputs[0].name
    return [feed[name].shape for feed in calibration.batches()]


def test_rows_are_batched_and_limited() -> None:
    rows = np.zeros((2 * BATCH + 3, 5, 3), np.float32)
    assert sizes(ONE, {"x": rows}) == [(BATCH, 5, 3), (BATCH, 5, 3), (3, 5, 3)]
    assert sizes(ONE, {"x": rows}, samples=BATCH + 1) == [(BATCH, 5, 3), (1, 5, 3)]


def test_a_fixed_batch_is_filled() -> None:
    assert sizes(FIXED, {"x": np.zeros((5, 3))}) == [(2, 3), (2, 3)]
    with pytest.raises(FeedError, match="1 samples: the model takes 2 at once"):
        sizes(FIXED, {"x": np.zeros((1, 3))})


def test_inputs_without_a_batch_axis_are_one_sample() -> None:
    assert sizes(SCALAR, {"x": np.float32(3)}) == [()]


def test_a_folder_has_a_sample_or_a_batch_in_each_file(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((7, 3), np.float32))
    np.savez(tmp_path / "b.npz", x=np.zeros((2, 9, 3), np.float32))
    (tmp_path / "readme.txt").write_text("not data")
    assert sizes(ONE, tmp_path) == [(1, 7, 3), (2, 9, 3)]
    assert sizes(ONE, tmp_path, samples=1) == [(1, 7, 3)]


def test_a_folder_is_read_one_file_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(4):
        np.save(tmp_path / f"{i}.npy", np.zeros((1, 7, 3), np.float32))
    opened: list[Path] = []
    from edgekit import files

    load = files.load_arrays

    def watched(path: Path) -> Any:
        opened.append(path)
        return load(path)

    monkeypatch.setattr(files, "load_arrays", watched)
    reader = Reader(Calibration(ONE, tmp_path, 256))
    assert reader.get_next() is not None
    assert len(opened) == 1
    assert [reader.get_next() is None for _ in range(4)] == [False, False, False, True]


def test_the_survey_gives_ranges_of_floats_and_the_first_batch() -> None:
    source = {"q": np.array([[-1, 2], [3, 0]]), "ids": np.zeros((2, 4), np.int64)}
    ranges, count, first = Calibration(TWO, source, 256).survey()
    assert (ranges, count) == ({"q": (-1.0, 3.0)}, 2)
    assert first["ids"].dtype == np.int32


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"z": np.zeros((2, 4, 3))}, "missing 'x'; unknown 'z'"),
        ({"x": np.zeros((2, 4, 5))}, r"has shape \(2, 4, 5\)"),
        ({"x": np.zeros((2, 4, 3), complex)}, "is complex128"),
        ({"x": np.full((2, 4, 3), np.nan)}, "has nan at"),
        ({"x": np.full((2, 4, 3), np.inf)}, "has inf at"),
        ({"x": np.zeros((0, 4, 3))}, "has no samples"),
        ({}, "missing 'x'"),
    ],
)
def test_data_that_does_not_fit_is_refused(source: dict[str, Any], words: str) -> None:
    with pytest.raises(FeedError, match=words):
        Calibration(ONE, source, 256).survey()


def test_rows_that_do_not_match_are_refused() -> None:
    source = {"q": np.zeros((2, 2)), "ids": np.zeros((3, 4), int)}
    with pytest.raises(FeedError, match="different numbers of samples"):
        Calibration(TWO, source, 256).survey()


def test_files_that_are_no_data_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 2)))
    with pytest.raises(FeedError, match="has no name and the model takes 'q', 'ids'"):
        Calibration(TWO, tmp_path / "x.npy", 256).survey()
    with pytest.raises(FeedError, match="does not exist"):
        Calibration(ONE, tmp_path / "missing.npz", 256).survey()
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    with pytest.raises(FeedError, match="cannot be read"):
        Calibration(ONE, tmp_path / "bad.npz", 256).survey()
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FeedError, match="has no arrays"):
        Calibration(ONE, empty, 256).survey()
    (empty / "cat.PNG").touch()
    with pytest.raises(FeedError, match="has images, which edgekit does not read"):
        Calibration(ONE, empty, 256).survey()


@pytest.mark.parametrize(
    ("given", "expected", "right"),
    [
        ((0, 1), (0, 1), True),
        ((0, 1), (0, 16), False),  # scaled where the model takes raw values
        ((0, 16), (0, 1), False),  # raw where the model takes scaled values
        ((0, 255), (-1, 1), False),
        ((0, 1), (-1, 1), False),  # another normalisation
        ((-1, 1), (0, 1), True),  # a part of the range is enough
        ((-4, 4), (-2.5, 2.8), True),  # 8 normal samples against 256
        ((-3, 3), (-4.5, 3), True),
        ((0, 1), (0.2, 0.4), True),
        ((0, 1), (0.5, 0.5), True),  # a constant reference says nothing of the scale
        ((0, 0), (0, 1), False),
        ((0, 0), (0, 0), True),
        ((5, 6), (0, 1), False),  # shifted
    ],
)
def test_the_range_guard(
    given: tuple[float, float], expected: tuple[float, float], right: bool
) -> None:
    if right:
        check_range({"x": given}, {"x": expected})
        return
    with pytest.raises(QuantizeError, match="'x' goes from") as caught:
        check_range({"x": given}, {"x": expected})
    for number in (*given, *expected):
        assert f"{number:g}" in str(caught.value)


def test_data_in_another_range_than_the_bundle_is_refused(tmp_path: Path) -> None:
    source = models.mlp(tmp_path / "model.onnx")
    rng = np.random.default_rng(0)
    raw = {"x": rng.uniform(0, 16, (8, 32)).astype(np.float32)}
    bundle = write_bundle(tmp_path / "bundle", source, inputs=raw)
    with pytest.raises(QuantizeError, match=r"from .* to 0\.9.* go from .* to 1[56]"):
        quantize(bundle)  # its calibration data is in 0..1
    assert quantize(bundle, calibration=raw).variant == "int8"
