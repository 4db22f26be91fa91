"""Copy a target's templates: real files, in which `{{name}}` stands for a value.

A target's folder has `common/`, which goes into every project, and a folder for each kind of
input (`characters`, `image`, `series`; `arrays` for any other), whose files go on top of it; on top
of that come `text` and `pixels`, for a file that has its preprocessing inside. What the last
`example.md` says is the value of `{{example}}`.

In a path, which has to be a plain name for linters and packagers, a part `_name_` stands for a
value. A name that has none is a mistake in the template. Everything else is copied as it is.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMMON, OTHER, EXAMPLE = "common", "arrays", "example.md"
_IN_TEXT = re.compile(r"\{\{([a-z_]+)\}\}")
_IN_PATH = re.compile(r"(?<!_)_([a-z]+)_(?!_)")
_SKIPPED = {"__pycache__", "node_modules"}


def copy(source: str, kinds: Sequence[str], folder: Path, values: Mapping[str, str]) -> None:
    """Fill `folder` with the templates of a source, a folder beside this file, for kinds of input.

    Of the kinds, each of which goes on top of the one before, those count that have a folder.
    """
    root = Path(__file__).parent / source
    own = [root / kind for kind in kinds if (root / kind).is_dir()] or [root / OTHER]
    for layer in own:
        if (layer / EXAMPLE).is_file():
            example = fill((layer / EXAMPLE).read_text(encoding="utf-8"), values)
            values = {**values, "example": example.strip()}
    for layer in (root / COMMON, *own):
        _copy(layer, folder, values)


def _copy(source: Path, folder: Path, values: Mapping[str, str]) -> None:
    for path in sorted(source.rglob("*")):
        parts = path.relative_to(source).parts
        if path.is_dir() or _SKIPPED.intersection(parts) or parts == (EXAMPLE,):
            continue
        made = folder.joinpath(*(in_path(part, values) for part in parts))
        made.parent.mkdir(parents=True, exist_ok=True)
        content = path.read_bytes()
        try:
            made.write_text(fill(content.decode(), values), encoding="utf-8")
        except UnicodeDecodeError:
            made.write_bytes(content)
        made.chmod(path.stat().st_mode & 0o777 | 0o200)


def in_path(path: str, values: Mapping[str, str]) -> str:
    """Fill a path in, such as `src/_module_`."""
    return _IN_PATH.sub(lambda found: values[found[1]], path)


def fill(text: str, values: Mapping[str, str]) -> str:
    """Fill a text in."""
    return _IN_TEXT.sub(lambda found: values[found[1]], text)
