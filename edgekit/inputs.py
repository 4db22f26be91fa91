"""Read what a user gives `edgekit infer --input` into a feed. Needs numpy only.

An array that lacks the batch axis alone gets one; nothing else is reshaped.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from edgekit import files, preprocess
from edgekit.errors import FeedError, one_line
from edgekit.signature import check_finite

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekit.signature import Feeds, Signature

IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"}
ARRAYS = {".npz", ".npy"}


def read(
    given: str, signature: Signature, preprocessing: dict[str, Any] | None, stdin: TextIO
) -> Feeds:
    """Read a file, a line of text for a text model, or `-` for stdin, as a checked feed.

    Stdin has lines of text for a text model, else JSON. Raises `FeedError` for what does not fit.
    """
    is_text = preprocess.kind_of(preprocessing) == "characters"
    if takes_strings(signature):
        is_text, preprocessing = True, None
    path = Path(given)
    if given == "-":
        content = stdin.read()
        feeds = (
            _text(content, signature, preprocessing)
            if is_text
            else _json(content, "stdin", signature)
        )
    elif path.is_file():
        feeds = _file(path, signature, preprocessing, is_text=is_text)
    elif is_text and path.suffix.lower() not in IMAGES | ARRAYS | {".json", ".csv", ".txt"}:
        feeds = _text(given, signature, preprocessing)
    else:
        raise FeedError(f"The input file {given!r} does not exist: check the path.")
    checked = signature.check(_with_batch(feeds, signature))
    check_finite(checked)
    return checked


def takes_strings(signature: Signature) -> bool:
    """Tell whether the model takes lines of text as they are: its one input is strings, 1-d."""
    return len(signature.inputs) == 1 and (
        signature.inputs[0].dtype == "str" and len(signature.inputs[0].shape) == 1
    )


def _takes_picture(signature: Signature) -> str | None:
    """Tell whether the model takes pictures as they are: `pixels` or an `encoded` file."""
    spec = signature.inputs[0]
    if len(signature.inputs) > 1 or spec.dtype != "uint8":
        return None
    free = tuple(isinstance(axis, str) for axis in spec.shape)
    if len(free) == 4 and free[1:3] == (True, True):
        return "pixels"
    return "encoded" if len(free) == 2 and spec.shape[0] == 1 and free[1] else None


def _file(
    path: Path, signature: Signature, preprocessing: dict[str, Any] | None, *, is_text: bool
) -> Feeds:
    suffix, kind = path.suffix.lower(), preprocess.kind_of(preprocessing)
    if suffix in ARRAYS:
        return _named(files.load_arrays(path), str(path), signature)
    if suffix in IMAGES and (takes := _takes_picture(signature)) is not None:
        encoded = takes == "encoded"
        picture = _bytes(path) if encoded else preprocess.pixels(path, preprocessing)
        return {signature.inputs[0].name: picture}
    if suffix in IMAGES:
        if preprocessing is None or kind != "image":
            raise FeedError(
                f"The input {str(path)!r} is an image, and this model has no image preprocessing: "
                f"it takes {signature}."
            )
        return preprocess.image(path, preprocessing)
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FeedError(
            f"The input {str(path)!r} cannot be read ({one_line(error)}): give UTF-8 text."
        ) from error
    if suffix == ".json":
        return _json(content, str(path), signature)
    if suffix == ".csv":
        table = _csv(content, path)
        if preprocessing is not None and kind == "series":
            return preprocess.series(table, preprocessing)
        return _named({"": table}, str(path), signature)
    if is_text:
        return _text(content, signature, preprocessing)
    raise FeedError(
        f"The input {str(path)!r} is of a kind that this model does not read: give .npz, .npy, "
        f".json or .csv with {signature}."
    )


def _bytes(path: Path) -> np.ndarray[Any, Any]:
    """Read a file as it is, uint8 `(1, 'bytes')`."""
    try:
        return np.frombuffer(path.read_bytes(), np.uint8)[None]
    except OSError as error:
        raise FeedError(
            f"The input {str(path)!r} cannot be read ({one_line(error)}): check its permissions."
        ) from error


def _text(content: str, signature: Signature, preprocessing: dict[str, Any] | None) -> Feeds:
    lines = [line for line in content.splitlines() if line.strip()]
    if not lines:
        raise FeedError("The text is empty: give at least one character.")
    if preprocessing is None:
        return {signature.inputs[0].name: np.array(lines, object)}
    return preprocess.texts(lines, preprocessing)


def _json(content: str, where: str, signature: Signature) -> Feeds:
    try:
        value = json.loads(content)
    except ValueError as error:
        raise FeedError(
            f"The input {where!r} is not JSON ({one_line(error)}): give "
            '{"input name": [nested list]}.'
        ) from error
    values = value if isinstance(value, dict) else {"": value}
    try:
        arrays = {name: np.asarray(array) for name, array in values.items()}
    except ValueError as error:
        raise FeedError(
            f"The input {where!r} has a ragged list: give lists of equal length."
        ) from error
    return _named(arrays, where, signature)


def _csv(content: str, path: Path) -> np.ndarray[Any, Any]:
    rows = [line.split(",") for line in content.splitlines() if line.strip()]
    try:
        return np.array([[float(cell) for cell in row] for row in rows], np.float32)
    except ValueError as error:
        raise FeedError(
            f"The input {str(path)!r} is not a table of numbers ({one_line(error)}): give rows of "
            "numbers of equal length, separated by commas, without a header."
        ) from error


def _named(arrays: Mapping[str, Any], where: str, signature: Signature) -> Feeds:
    """Give a lone unnamed array the name of the model's one input."""
    if set(arrays) != {""}:
        return dict(arrays)
    if len(signature.inputs) != 1:
        raise FeedError(
            f"The input {where!r} is one array without a name and the model takes "
            f"{len(signature.inputs)}: give an .npz or .json with {signature}."
        )
    return {signature.inputs[0].name: arrays[""]}


def _with_batch(feeds: Feeds, signature: Signature) -> Feeds:
    ranks = {spec.name: len(spec.shape) for spec in signature.inputs}
    if signature.batched and all(
        name in ranks and array.ndim == ranks[name] - 1 for name, array in feeds.items()
    ):
        return {name: array[None] for name, array in feeds.items()}
    return feeds
