"""From what a person has (a text, a picture, a table) to what a model takes.

A bundle's manifest says how, in JSON:

- `{"kind": "characters", "input", "alphabet", "lowercase", "max_length", "padding", "unknown",
  "offset"}`: a text becomes ids; `offset + i` for the i-th character of the alphabet;
- `{"kind": "image", "input", "height", "width", "channels", "range": [lo, hi]}`: a picture is
  resized and scaled; bright on dark, as the model was trained;
- `{"kind": "series", "input", "channels"}`: rows of numbers, one row a step.

Needs numpy; a picture needs Pillow (the extra `image`).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import BundleError, FeedError, needs_extra, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edgekit.signature import Feeds

Array = np.ndarray[Any, np.dtype[Any]]
#: What each kind has to say beside its `kind` and its `input`.
KINDS: dict[str, dict[str, type]] = {
    "characters": {
        "alphabet": str,
        "lowercase": bool,
        "max_length": int,
        "padding": int,
        "unknown": int,
        "offset": int,
    },
    "image": {"height": int, "width": int, "channels": int, "range": list},
    "series": {"channels": int},
}


#: Pillow's modes by the number of channels, alpha last.
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def check(spec: dict[str, Any]) -> None:
    """Raise `BundleError` where a preprocessing of a known kind lacks a key."""
    for key, kind in ({"input": str} | KINDS[spec["kind"]]).items():
        _get(spec, key, kind)


def kind_of(spec: dict[str, Any] | None) -> str | None:
    """Give the kind of a manifest's preprocessing, or None where there is none."""
    return None if spec is None else _get(spec, "kind", str)


def texts(lines: Sequence[str], spec: dict[str, Any]) -> Feeds:
    """Encode lines of text as ids `('batch', 'time')` int32, padded to the longest of them."""
    alphabet = _get(spec, "alphabet", str)
    offset, unknown = _get(spec, "offset", int), _get(spec, "unknown", int)
    known = {character: offset + i for i, character in enumerate(alphabet)}
    rows = []
    for line in lines:
        text = line.strip()
        text = text.lower() if _get(spec, "lowercase", bool) else text
        if not text:
            raise FeedError("The text is empty: give at least one character.")
        rows.append([known.get(c, unknown) for c in text[: _get(spec, "max_length", int)]])
    ids = np.full((len(rows), max(map(len, rows))), _get(spec, "padding", int), np.int32)
    for row, values in zip(ids, rows, strict=True):
        row[: len(values)] = values
    return {_get(spec, "input", str): ids}


def image(path: Path, spec: dict[str, Any]) -> Feeds:
    """Read a picture as `(1, height, width, channels)` float32 in the model's range."""
    with opened(path) as picture:
        return scaled(picture, spec)


def scaled(picture: Any, spec: dict[str, Any]) -> Feeds:
    """Resize and scale an open picture of Pillow to `(1, height, width, channels)` float32."""
    from PIL import Image

    channels = _get(spec, "channels", int)
    size = (_get(spec, "width", int), _get(spec, "height", int))
    resized = picture.convert(MODES[1 if channels == 1 else 3]).resize(
        size, Image.Resampling.BILINEAR
    )
    low, high = _get(spec, "range", list)
    levels = np.asarray(resized, np.float32).reshape(1, size[1], size[0], channels)
    return {_get(spec, "input", str): (low + levels / 255.0 * (high - low)).astype(np.float32)}


def pixels(path: Path, spec: dict[str, Any] | None) -> Array:
    """Read a picture as uint8 `(1, 'height', 'width', 'channels')`, in the size it has.

    Grey, RGB and alpha stay as they are; any other becomes what the model's preprocessing makes of
    it, RGB where there is none.
    """
    with opened(path) as picture:
        mode = MODES[1 if spec and spec.get("channels") == 1 else 3]
        kept = picture if picture.mode in MODES.values() else picture.convert(mode)
        array = np.asarray(kept, np.uint8)
    return array.reshape(1, *array.shape[:2], -1)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a picture with Pillow; what it cannot read is a `FeedError`."""
    with needs_extra("read an image file"):
        from PIL import Image, UnidentifiedImageError
    try:
        with Image.open(path) as picture:
            yield picture
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise FeedError(
            f"The image {str(path)!r} cannot be read ({one_line(error)}): give a whole PNG, JPEG, "
            "BMP, GIF or WebP file."
        ) from error


def series(table: Array, spec: dict[str, Any]) -> Feeds:
    """Make one series `(1, 'time', channels)` float32 of a table with a row a step."""
    channels = _get(spec, "channels", int)
    if table.ndim != 2 or table.shape[1] != channels:
        raise FeedError(
            f"The table has shape {table.shape}: the model takes rows of {channels} numbers, one "
            "row a step."
        )
    return {_get(spec, "input", str): table[None].astype(np.float32)}


def _get(spec: dict[str, Any], key: str, kind: type) -> Any:
    value = spec.get(key)
    if not isinstance(value, kind):
        raise BundleError(
            f"The manifest's preprocessing has {value!r:.40} at {key!r} where a {kind.__name__} is "
            "expected: export the bundle again."
        )
    return value
