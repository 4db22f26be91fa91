"""Calls on several threads, answers in order, a bounded number of items held.

onnxruntime lets go of Python's lock while a session runs, and one session serves any number of
threads. So the replicas of a pool are threads over one session: the weights are there once, and
nothing is sent between processes. The caller's thread is one of the workers, because a thread that
only waits takes the lock from those that work. This module knows nothing of models.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Item = TypeVar("Item")
Answer = TypeVar("Answer")

#: Items held for each worker: two keep the workers waiting, more are no faster.
AHEAD = 4


class _Task(Generic[Item]):
    """An item on its way: `done` is held until its answer or its error is there."""

    __slots__ = ("answer", "done", "error", "item")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.answer: Any = None
        self.error: Exception | None = None
        self.done = threading.Lock()
        self.done.acquire()

    def work(self, call: Callable[[Item], Any]) -> None:
        try:
            self.answer = call(self.item)
        except Exception as error:  # noqa: BLE001 - raised in the place of the answer
            self.error = error
        finally:
            self.done.release()

    def take(self) -> Any:
        with self.done:
            if self.error is not None:
                raise self.error
            return self.answer


class _Source(Generic[Item]):
    """The items one by one; an error of theirs is kept until the answers before it are given."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = iter(items)
        self.more = True
        self.error: Exception | None = None

    def next(self) -> _Task[Item] | None:
        try:
            return _Task(next(self._items))
        except StopIteration:
            self.more = False
        except Exception as error:  # noqa: BLE001 - raised in the place of the item
            self.more, self.error = False, error
        return None


def map_in_order(
    call: Callable[[Item], Answer], items: Iterable[Item], workers: int
) -> Iterator[Answer]:
    """Give `call(item)` for each item, in the order of the items, from `workers` threads.

    Items are taken in the caller's thread, at most `AHEAD * workers` of them before their answers
    are. An error is raised in its place in the order, and ends it all. Where the iterator is
    closed, calls under way are waited for and the others are not made.
    """
    todo: queue.SimpleQueue[_Task[Item] | None] = queue.SimpleQueue()
    helpers = [
        threading.Thread(target=_help, args=(call, todo), name=f"edgekit-replica-{i}", daemon=True)
        for i in range(1, workers)
    ]
    for helper in helpers:
        helper.start()
    try:
        yield from _answers(call, _Source(items), todo, AHEAD * workers)
    finally:
        while _waiting(todo) is not None:
            pass
        for _ in helpers:
            todo.put(None)
        for helper in helpers:
            helper.join()


def _answers(
    call: Callable[[Item], Any],
    source: _Source[Item],
    todo: queue.SimpleQueue[_Task[Item] | None],
    most: int,
) -> Iterator[Any]:
    held: deque[_Task[Item]] = deque()
    while source.more or held:
        # One item for each answer keeps the workers busy; more only while there is no answer yet,
        # so that a slow source does not keep one back.
        while source.more and len(held) < most and (task := source.next()) is not None:
            held.append(task)
            todo.put(task)
            if not held[0].done.locked():
                break
        if held:
            while held[0].done.locked() and (task := _waiting(todo)) is not None:
                task.work(call)
            yield held.popleft().take()
    if source.error is not None:
        raise source.error


def _help(call: Callable[[Item], Any], todo: queue.SimpleQueue[_Task[Item] | None]) -> None:
    while (task := todo.get()) is not None:
        task.work(call)


def _waiting(todo: queue.SimpleQueue[_Task[Item] | None]) -> _Task[Item] | None:
    try:
        return todo.get_nowait()
    except queue.Empty:
        return None
