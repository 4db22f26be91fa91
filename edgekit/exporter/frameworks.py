"""Keras and TensorFlow, imported without the messages that they print at start-up."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import sys
from typing import TYPE_CHECKING

from edgekit.errors import needs_extra

if TYPE_CHECKING:
    from collections.abc import Iterator


def load(purpose: str) -> None:
    """Import both before anything else does; `purpose` is for the error where one is missing."""
    if "tensorflow" in sys.modules and "keras" in sys.modules:
        return
    # Its C++ side reads this once, and writes some lines before it does.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with needs_extra(purpose), stderr_closed():
        import keras  # noqa: F401 - the import is the effect
        import tensorflow  # noqa: F401 - the import is the effect
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


@contextlib.contextmanager
def stderr_closed() -> Iterator[None]:
    """Send what is written past Python to file descriptor 2 nowhere."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def give_back_memory() -> None:
    """Return what was freed to the system: glibc keeps it, hundreds of MiB after a large model."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # not in musl
        if trim:
            trim(0)
