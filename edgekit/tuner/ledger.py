"""What was measured, line by line, so that a search that was killed goes on where it was.

A line is one JSON object: the key, what it is of, the value, what it cost in seconds. The key is
the digest of everything that a value depends on: the model, the data, the candidate, the versions,
the machine. A line is on the disk before the search goes on; one that a kill left half is ignored.
Standard library only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from edgekit.errors import OutputError, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Ledger:
    """The measurements of one subject in a file; those of others are kept, and not given."""

    def __init__(self, path: Path, subject: Mapping[str, Any]) -> None:
        self.path = path
        self._subject = dict(subject)
        self._known: dict[str, tuple[dict[str, Any], float]] = {}
        #: The keys of what was added, and of what was found that an earlier search had added.
        self.added: set[str] = set()
        self.recalled: set[str] = set()
        self._whole = True
        content = b""
        with contextlib.suppress(FileNotFoundError), self._translated():
            content = path.read_bytes()
        for line in content.splitlines():
            self._read(line)
        self._whole = not content or content.endswith(b"\n")

    def find(self, kind: str, what: Mapping[str, Any]) -> tuple[dict[str, Any], float] | None:
        """Give a value with its cost in seconds, the last that was added, or None."""
        key = self._key(kind, what)
        if key in self._known and key not in self.added:
            self.recalled.add(key)
        return self._known.get(key)

    def add(self, kind: str, what: Mapping[str, Any], value: dict[str, Any], cost: float) -> None:
        """Write a value down; raises `OutputError` where the file cannot be written."""
        key = self._key(kind, what)
        entry = {"key": key, "kind": kind, "what": what, "value": value, "cost_s": cost}
        # A line that a kill left half must not swallow this one.
        text = ("" if self._whole else "\n") + json.dumps(entry, allow_nan=False) + "\n"
        with self._translated():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
        self._whole = True
        self._known[key] = (value, cost)
        self.added.add(key)
        self.recalled.discard(key)

    def _read(self, line: bytes) -> None:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            entry = json.loads(line)
            self._known[entry["key"]] = (dict(entry["value"]), float(entry["cost_s"]))

    def _key(self, kind: str, what: Mapping[str, Any]) -> str:
        text = json.dumps([self._subject, kind, what], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @contextlib.contextmanager
    def _translated(self) -> Any:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise OutputError(
                f"The ledger {str(self.path)!r} cannot be used ({one_line(error)}): give --out "
                "in a folder that can be written."
            ) from error
