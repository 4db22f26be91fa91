"""Calibration data: arrays and files become checked batches of the model's size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import FeedError
from edgekit.quantizer.calibration import BATCH, Calibration
from edgekit.signature import Signature, TensorSpec

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


def test_a_fixed_batch_is_filled_from_several_pieces(tmp_path: Path) -> None:
    for i in range(5):
        np.save(tmp_path / f"{i}.npy", np.full((1, 3), i, np.float32))
    feeds = list(Calibration(FIXED, tmp_path, 256).batches())
    assert [feed["x"][:, 0].tolist() for feed in feeds] == [[0, 1], [2, 3]]


def test_one_sample_at_a_time_where_that_is_asked() -> None:
    feeds = list(Calibration(ONE, {"x": np.zeros((3, 5, 3), np.float32)}, 2).batches(1))
    assert [feed["x"].shape for feed in feeds] == [(1, 5, 3), (1, 5, 3)]


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
    batches = Calibration(ONE, tmp_path, 256).batches()
    next(batches)
    assert len(opened) == 1
    assert len(list(batches)) == 3


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
    with pytest.raises(FeedError, match="has no arrays and no images"):
        Calibration(ONE, empty, 256).survey()
