"""Calls on several threads, answers in order, a bounded number of items held.

onnxruntime lets go of Python's lock while a session runs, and one session serves any number of
threads. So the replicas of a pool are threads over one session: the weights are there once, and
nothing is sent between processes. The caller's thread is one of the workers, because a thread that
only waits takes the lock from those that work. This module knows nothing of models.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Item = TypeVar("Item")
Answer = TypeVar("Answer")

#: Tasks held for each worker: two keep the workers waiting, more are no faster.
AHEAD = 4
#: A task is one item, or several whose calls are short: handing one over costs as much as 10 us of
#: work, and what a task takes to fill or to do is kept to this many seconds.
TASK_S, MOST_ITEMS = 0.001, 8


class _Task(Generic[Item]):
    """Items on their way: `done` is held until their answers, or an error, are there."""

    __slots__ = ("answers", "done", "error", "items", "seconds")

    def __init__(self, items: list[Item]) -> None:
        self.items = items
        self.answers: list[Any] = []
        self.error: Exception | None = None
        self.seconds = 0.0
        self.done = threading.Lock()
        self.done.acquire()

    def work(self, call: Callable[[Item], Any]) -> None:
        start = time.perf_counter()
        try:
            for item in self.items:
                self.answers.append(call(item))
        except Exception as error:  # noqa: BLE001 - raised in the place of the answer
            self.error = error
        finally:
            self.seconds = time.perf_counter() - start
            self.done.release()

    def take(self) -> Iterator[Any]:
        with self.done:  # another thread has it, or it is done
            pass
        yield from self.answers
        if self.error is not None:
            raise self.error

    def next_size(self, size: int) -> int:
        if self.seconds > 2 * TASK_S:
            return max(1, size // 2)
        short = self.seconds < TASK_S / 2 and len(self.items) == size
        return min(2 * size, MOST_ITEMS) if short else size


class _Source(Generic[Item]):
    """The items one by one; an error of theirs is kept until the answers before it are given."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = iter(items)
        self.more = True
        self.error: Exception | None = None

    def next(self, size: int) -> _Task[Item] | None:
        items: list[Item] = []
        end = time.perf_counter() + TASK_S
        try:
            while not items or (len(items) < size and time.perf_counter() < end):
                items.append(next(self._items))
        except StopIteration:
            self.more = False
        except Exception as error:  # noqa: BLE001 - raised in the place of the item
            self.more, self.error = False, error
        return _Task(items) if items else None


def map_in_order(
    call: Callable[[Item], Answer], items: Iterable[Item], workers: int
) -> Iterator[Answer]:
    """Give `call(item)` for each item, in the order of the items, from `workers` threads.

    Items are taken in the caller's thread, at most `AHEAD * workers` of them before their answers
    are, or `MOST_ITEMS` times as many where a call takes well under a millisecond. An error is
    raised in its place in the order, and ends it all. Where the iterator is closed, calls under
    way are waited for and the others are not made.
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
    size = 1
    while source.more or held:
        # One task for each that is done keeps the workers busy; more only while there is no answer
        # yet, so that a slow source does not keep one back.
        while source.more and len(held) < most and (task := source.next(size)) is not None:
            held.append(task)
            todo.put(task)
            if not held[0].done.locked():
                break
        if held:
            while held[0].done.locked() and (task := _waiting(todo)) is not None:
                task.work(call)
            first = held.popleft()
            yield from first.take()
            size = first.next_size(size)
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
