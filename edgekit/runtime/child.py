"""One call of an edgekit function in a process of its own, for what may take the process with it.

A provider's library can abort, crash or hang where no Python code can catch it. Here that is a
`ChildError`, in words. Arguments and result are JSON values. Standard library only.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
from typing import Any

#: With the parent's path the child imports what the parent would: this edgekit, that onnxruntime.
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from edgekit.runtime.child import main; main()"
)


class ChildError(Exception):
    """The child gave no answer; the message completes "the process ...", `hung` tells a timeout."""

    def __init__(self, message: str, *, hung: bool) -> None:
        super().__init__(message)
        self.hung = hung


def call(function: str, *args: Any, timeout_s: float) -> Any:
    """Call `module:function` with JSON values in a child and give what it returns.

    Raises `ChildError` where the child ends, by a signal or otherwise, before it answers, or has
    not answered after `timeout_s` seconds. An exception of the function is one of these ends.
    """
    request = json.dumps({"function": function, "args": args})
    command = (sys.executable, "-P", "-c", _START, json.dumps(sys.path))
    try:
        ended = subprocess.run(
            command, input=request.encode(), capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise ChildError(f"did not answer within {timeout_s:g} s", hung=True) from None
    if ended.stdout:
        with contextlib.suppress(ValueError):
            return json.loads(ended.stdout)
    raise ChildError(
        f"ended {how_it_ended(ended.returncode)}{last_words(ended.stderr)}", hung=False
    )


def last_words(stderr: bytes) -> str:
    """Give the last line that a process complained with, in brackets, or nothing."""
    words = stderr.decode(errors="replace").strip().splitlines()
    return f" ({words[-1].strip()[:200].rstrip('. ')})" if words else ""


def how_it_ended(code: int) -> str:
    """Say an exit code as `subprocess` gives it: `by signal SIGABRT`, `with exit code 1`."""
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"by signal {signal.Signals(-code).name}"
    return f"with exit code {code}"


def main() -> None:
    """Answer the one request on stdin and leave at once."""
    # Provider libraries print to stdout: send that to stderr and keep the pipe for the answer.
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    module, _, name = request["function"].partition(":")
    answer = getattr(importlib.import_module(module), name)(*request["args"])
    pipe.write(json.dumps(answer))
    pipe.flush()
    # Not sys.exit: a library that crashes while it is unloaded has given its answer.
    os._exit(0)
