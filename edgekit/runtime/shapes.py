"""One session for each set of lengths, for providers that run fixed shapes only.

A phone's NPU compiles a graph for one shape. `FixedShapes` stands where a session does: it takes
the lengths of the free axes from each feed, and opens the model with them when they are new.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgekit.errors import FeedError
from edgekit.runtime.placement import Opened, Placement
from edgekit.runtime.session import Plan, open_session
from edgekit.signature import Signature, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgekit.signature import Feeds

#: Sessions kept at a time: a compiled graph may be as large as the model.
LIMIT = 8

Lengths = tuple[tuple[str, int], ...]


class FixedShapes:
    """Sessions of one plan by the lengths of its free axes, the least recently used let go.

    `signature` is the model's with the `axes` of the user fixed and the others free. `run` may be
    called from several threads; a set of lengths is opened once, and others go on meanwhile.
    """

    def __init__(self, plan: Plan, signature: Signature, axes: Mapping[str, int]) -> None:
        self.signature = signature
        self._plan = plan
        self._axes = dict(axes)
        self._lock = threading.Lock()
        self._held: OrderedDict[Lengths, Future[Opened]] = OrderedDict()

    def run(self, names: Sequence[str], feeds: Feeds) -> list[Any]:
        """Run a checked feed in the session of its lengths, as `InferenceSession.run` does.

        Raises `ProviderError` where the providers cannot run the model with these lengths.
        """
        values: list[Any] = self.of_lengths(feeds).run(names, feeds)
        return values

    def of_lengths(self, feeds: Feeds) -> Any:
        """Give the session of a checked feed's lengths."""
        return self._of(feeds).session

    def opened(self) -> Opened:
        """Say what runs where: of the open session that has the most nodes elsewhere."""
        with self._lock:
            held = {key: future for key, future in self._held.items() if _is_open(future)}
        asked = self._plan.rows[0].alias
        if not held:
            return Opened(self, asked, Placement({}, self._plan.fallback))
        results = [future.result() for future in held.values()]
        worst = max(results, key=lambda each: _elsewhere(each, asked))
        fixed = tuple(self._axes | dict(key) for key in held)
        return Opened(self, worst.provider, replace(worst.placement, fixed=fixed))

    def _of(self, feeds: Feeds) -> Opened:
        key: Lengths = tuple(self.signature.lengths(feeds).items())
        with self._lock:
            future = self._held.get(key)
            mine = future is None
            if future is None:
                future = self._held[key] = Future()
                if len(self._held) > LIMIT:
                    self._held.popitem(last=False)
            else:
                self._held.move_to_end(key)
        if mine:
            self._open(key, future)
        return future.result()

    def _open(self, key: Lengths, future: Future[Opened]) -> None:
        try:
            future.set_result(open_session(self._plan, self._axes | dict(key)))
        except BaseException as error:
            with self._lock:
                self._held.pop(key, None)
            future.set_exception(error)  # whoever waits for these lengths gets it too
            raise


def _is_open(future: Future[Opened]) -> bool:
    return future.done() and future.exception() is None


def _elsewhere(opened: Opened, asked: str) -> float:
    nodes = opened.placement.nodes
    return 1 - nodes.get(asked, 0) / max(sum(nodes.values()), 1)


def fix_axes(signature: Signature, axes: Mapping[str, int]) -> Signature:
    """Give free axes a length; raises `FeedError` for a name that is no free axis of the inputs."""
    for axis in axes:
        if axis not in signature.free_axes:
            known = ", ".join(map(repr, signature.free_axes))
            raise FeedError(
                f"The model has no free axis {axis!r}: "
                + (f"fix the length of {known}." if known else "all of its axes are fixed.")
            )

    def fixed(spec: TensorSpec) -> TensorSpec:
        shape = (axes.get(axis, axis) if isinstance(axis, str) else axis for axis in spec.shape)
        return TensorSpec(spec.name, spec.dtype, tuple(shape))

    return Signature(tuple(map(fixed, signature.inputs)), tuple(map(fixed, signature.outputs)))
