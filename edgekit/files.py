"""Files that are whole or not there: atomic writes, digests, and bounded reading of arrays.

Nothing in edgekit writes an output in place: it is made beside its target and moved into place
when it is complete, so a killed run leaves nothing that looks like a result. This module needs
numpy only; what a runner does without is imported where it is used, because an app waits for it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import EdgekitError, FeedError, OutputError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MANIFEST = "manifest.json"
#: The most an `.npz` file may unpack to, in bytes: a small archive can hide a huge array.
MAX_ARRAYS_BYTES = 8 * 2**30


def digest(path: Path) -> str:
    """Give the sha256 of a file as hex digits, reading it in blocks."""
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_free(target: Path, *, force: bool, marker: str = MANIFEST) -> None:
    """Raise `OutputError` where `target` may not be written.

    An existing output needs `force`; a folder is replaced only where it has the file `marker`, as
    a bundle has its manifest, so that a mistyped `--out` cannot delete somebody's files.
    """
    if not target.exists():
        return
    if target.is_dir() and any(target.iterdir()) and not (target / marker).is_file():
        what = "a bundle" if marker == MANIFEST else f"a project of edgekit ({marker})"
        raise OutputError(
            f"The output {str(target)!r} is a folder that holds something other than {what}: "
            "give another --out."
        )
    if not force:
        raise OutputError(
            f"The output {str(target)!r} exists already: give --force to replace it, or another "
            "--out."
        )


@contextlib.contextmanager
def new_file(target: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a path to write; move it to `target` when the block ends without an error.

    A file that the block writes beside it under a longer name (`model.onnx.data`, a model's
    external data) goes with it, and before it.
    """
    if target.is_dir():
        raise OutputError(f"The output {str(target)!r} is a folder: give the name of a file.")
    with _beside(target, force=force) as folder:
        made = folder / target.name
        yield made
        beside = [path for path in folder.glob(f"{target.name}?*") if path.is_file()]
        for path in (target, *(target.parent / path.name for path in beside)):
            check_free(path, force=force)
        for path in beside:
            path.replace(target.parent / path.name)
        made.replace(target)


@contextlib.contextmanager
def new_folder(target: Path, *, force: bool = False, marker: str = MANIFEST) -> Iterator[Path]:
    """Yield a folder to fill; move it to `target` when the block ends without an error.

    `marker` is the file by which a folder is known that `force` may replace.
    """
    if target.exists() and not target.is_dir():
        raise OutputError(f"The output {str(target)!r} is a file: give the name of a folder.")
    with _beside(target, force=force, marker=marker) as folder:
        made = folder / target.name
        made.mkdir()
        yield made
        check_free(target, force=force, marker=marker)
        if target.exists():
            target.rename(folder / "replaced")
        made.rename(target)


def check_other(target: Path, source: Path) -> None:
    """Raise `OutputError` where an output is the model that it is made from."""
    if target.exists() and source.exists() and target.samefile(source):
        raise OutputError(
            f"The output {str(target)!r} is the model itself, which is never changed: give another "
            "--out."
        )


def write_text(target: Path, text: str) -> None:
    """Replace a small text file in one step."""
    with new_file(target, force=True) as path:
        path.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def _beside(target: Path, *, force: bool, marker: str = MANIFEST) -> Iterator[Path]:
    """Yield a scratch folder on the target's own file system; it is gone afterwards."""
    import shutil
    import tempfile

    check_free(target, force=force, marker=marker)
    scratch: str | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent)
        yield Path(scratch)
    except EdgekitError:
        raise
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else one_line(error)
        raise OutputError(
            f"The output {str(target)!r} cannot be written ({reason}): "
            "free some space or give another --out."
        ) from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def save_arrays(path: Path, groups: Mapping[str, Mapping[str, np.ndarray[Any, Any]]]) -> None:
    """Write groups of arrays as one compressed `.npz`, each under the key `group/name`."""
    flat = {f"{group}/{name}": a for group, arrays in groups.items() for name, a in arrays.items()}
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **flat)


def load_arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Read an `.npz` (or one `.npy`, under the empty name), without pickles and bounded in size.

    Raises `FeedError` where the file is missing, is not what its name says or would unpack to
    more than `MAX_ARRAYS_BYTES`.
    """
    import zipfile

    try:
        # Opened here: numpy would leave the file of a damaged archive open.
        with path.open("rb") as file:
            _check_unpacked_size(path)
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"": loaded}
            return {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise _unreadable(path, error) from error


def _check_unpacked_size(path: Path) -> None:
    import zipfile

    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > MAX_ARRAYS_BYTES:
        raise FeedError(
            f"The file {str(path)!r} would unpack to {unpacked} bytes, more than "
            f"{MAX_ARRAYS_BYTES}: give a smaller one."
        )


def _unreadable(path: Path, error: Exception) -> FeedError:
    if isinstance(error, FileNotFoundError):
        return FeedError(f"The file {str(path)!r} does not exist: check the path.")
    return FeedError(
        f"The file {str(path)!r} cannot be read ({one_line(error)}): "
        "give numpy's .npz or .npy without pickled objects."
    )


def load_groups(path: Path) -> dict[str, dict[str, np.ndarray[Any, Any]]]:
    """Read what `save_arrays` wrote: `{group: {name: array}}`."""
    groups: dict[str, dict[str, np.ndarray[Any, Any]]] = {}
    for key, array in load_arrays(path).items():
        group, _, name = key.partition("/")
        groups.setdefault(group, {})[name] = array
    return groups
