from __future__ import annotations

import errno
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit import files
from edgekit.errors import FeedError, OutputError


def test_new_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out.bin"
    with files.new_file(target) as path:
        path.write_bytes(b"half")
        assert not target.exists()
    assert target.read_bytes() == b"half"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), files.new_file(tmp_path / "out.bin") as path:
        path.write_bytes(b"half")
        raise error
    with pytest.raises(error), files.new_folder(tmp_path / "out") as folder:
        (folder / "manifest.json").write_text("{")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_kept_without_force(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    target.write_text("old")
    with pytest.raises(OutputError, match="--force"), files.new_file(target):
        pass
    with files.new_file(target, force=True) as path:
        path.write_text("new")
    assert target.read_text() == "new"


def test_force_never_replaces_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    target = tmp_path / "home"
    target.mkdir()
    (target / "thesis.tex").write_text("years of work")
    with (
        pytest.raises(OutputError, match="other than a bundle"),
        files.new_folder(target, force=True),
    ):
        pass
    assert (target / "thesis.tex").exists()


def test_force_replaces_a_bundle(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    target.mkdir()
    (target / files.MANIFEST).write_text("old")
    with files.new_folder(target, force=True) as folder:
        (folder / files.MANIFEST).write_text("new")
    assert (target / files.MANIFEST).read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="No space left on device"),
        files.new_file(tmp_path / "out.bin"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_arrays_come_back_by_group(tmp_path: Path) -> None:
    groups: dict[str, dict[str, np.ndarray[Any, Any]]] = {
        "inputs": {"a/b": np.arange(3)},
        "targets": {"": np.ones(2)},
    }
    files.save_arrays(tmp_path / "x.npz", groups)
    loaded = files.load_groups(tmp_path / "x.npz")
    assert loaded.keys() == groups.keys()
    assert np.array_equal(loaded["inputs"]["a/b"], np.arange(3))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "does not exist", id="missing"),
        pytest.param(b"", "cannot be read", id="empty"),
        pytest.param(b"PK\x03\x04junk", "cannot be read", id="truncated zip"),
        pytest.param(b"\x93NUMPYjunk", "cannot be read", id="damaged npy"),
    ],
)
def test_unreadable_arrays(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "x.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FeedError, match=message):
        files.load_arrays(path)


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(FeedError, match="pickle"):
        files.load_arrays(path)


def test_an_archive_that_unpacks_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", b"\0" * 10_000)
    monkeypatch.setattr(files, "MAX_ARRAYS_BYTES", 5_000)
    with pytest.raises(FeedError, match="would unpack to 10000 bytes"):
        files.load_arrays(path)
