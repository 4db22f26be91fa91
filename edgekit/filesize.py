"""What an `.onnx` file says of itself before it is opened: its size on disk, what it asks for.

onnx is not there on a device, so this walks protobuf's wire format, reading only the few fields
on the way to `external_data`, and the versions. Standard library only.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Field numbers of onnx.proto: which field of which message holds which message.
_FIELDS = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph"},
    "tensor": {13: "entry"},
}
_KEY, _VALUE = 1, 2
_IR_VERSION, _OPSET_IMPORT = 1, 8
_DOMAIN, _VERSION = 1, 2
_DEEPEST = 64


@dataclass(frozen=True)
class Needs:
    """What a file asks of a runtime: its IR version, and a version of each operator domain.

    The standard operators' domain is `ai.onnx`.
    """

    ir_version: int
    opsets: dict[str, int]


def needs(path: Path) -> Needs | None:
    """Read what a file asks for; None for one that is no ONNX, such as `.ort`."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            found = list(_fields(data, 0, len(data)))
            opsets = dict(
                _opset(data, begin, stop)
                for number, begin, stop in found
                if number == _OPSET_IMPORT and stop is not None
            )
        except (IndexError, ValueError):
            return None
    versions = [value for number, value, end in found if number == _IR_VERSION and end is None]
    return Needs(versions[-1], opsets) if versions and opsets else None


def _opset(data: mmap.mmap, start: int, end: int) -> tuple[str, int]:
    domain, version = "", 1
    for number, begin, stop in _fields(data, start, end):
        if number == _DOMAIN and stop is not None:
            domain = data[begin:stop].decode()
        elif number == _VERSION and stop is None:
            version = begin
    return domain or "ai.onnx", version


def model_bytes(path: Path) -> int:
    """Give the size in bytes of a model file plus the external data files beside it."""
    return sum(file.stat().st_size for file in model_files(path))


def model_files(path: Path) -> tuple[Path, ...]:
    """Give a model file and the external data files that it names and that are there."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            names = dict.fromkeys(_locations(data, 0, len(data), "model", 0))
        except (IndexError, ValueError):
            names = {}  # an engine's own format, such as .ort
    beside = (path.parent / name for name in names)
    return (path, *(file for file in beside if file.is_file()))


def _locations(data: mmap.mmap, start: int, end: int, message: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    for number, begin, stop in _parts(data, start, end):
        inner = _FIELDS[message].get(number)
        if inner == "entry":
            entry = {key: data[a:b] for key, a, b in _parts(data, begin, stop)}
            if entry.get(_KEY) == b"location":
                yield entry.get(_VALUE, b"").decode()
        elif inner is not None:
            yield from _locations(data, begin, stop, inner, depth + 1)


def _parts(data: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and end of each length-delimited field; skip all others."""
    for number, begin, stop in _fields(data, at, end):
        if stop is not None:
            yield number, begin, stop


def _fields(data: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int | None]]:
    """Yield each length-delimited field's number, start and end; number, value, None of an integer.

    Fields of other kinds are skipped.
    """
    while at < end:
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value, None
        elif wire == 1:
            at += 8
        elif wire == 5:
            at += 4
        elif wire == 2:
            size, at = _varint(data, at)
            if at + size > end:
                raise ValueError("a field that ends behind its message")
            yield tag >> 3, at, at + size
            at += size
        else:
            raise ValueError("not protobuf")


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("not a varint")
