"""Sessions of a provider that threads may not run at a time, made to take turns."""

from __future__ import annotations

import threading
from typing import Any

#: Held while such a session is made or run. All of a process share it: on WebGPU two sessions that
#: run at a time end the process (microsoft/onnxruntime #32561), as they share a device's encoder.
TURN = threading.Lock()


class InTurns:
    """A session that is run when no other of its kind is, and is otherwise what it was."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(self, *arguments: Any) -> Any:
        """Run as `InferenceSession.run` does, after whoever came before."""
        with TURN:
            return self._session.run(*arguments)

    def run_with_iobinding(self, *arguments: Any) -> None:
        """Run as `InferenceSession.run_with_iobinding` does, after whoever came before."""
        with TURN:
            self._session.run_with_iobinding(*arguments)
