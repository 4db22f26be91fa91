from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from edgekit.runtime.pool import AHEAD, MOST_ITEMS, map_in_order


@pytest.mark.parametrize("workers", [2, 3, 5])
def test_calls_go_on_at_the_same_time(workers: int) -> None:
    together = threading.Barrier(workers)

    def call(item: int) -> int:
        together.wait(60)  # for as many calls as there are workers, or it breaks
        return item

    assert list(map_in_order(call, range(workers), workers)) == list(range(workers))


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_answers_keep_the_order_of_the_items(workers: int) -> None:
    def call(item: int) -> int:
        time.sleep(0.002 * (item % 3 == 0))
        return -item

    assert list(map_in_order(call, range(60), workers)) == [-i for i in range(60)]


def test_items_are_taken_in_the_thread_of_the_caller() -> None:
    def items() -> Iterator[int]:
        for i in range(20):
            assert threading.current_thread() is threading.main_thread()
            yield i

    assert len(list(map_in_order(str, items(), 3))) == 20


def test_a_slow_source_keeps_one_answer_back() -> None:
    given = 0

    def items() -> Iterator[int]:
        for i in range(10):
            time.sleep(0.02)
            assert i - given <= 2
            yield i

    for _ in map_in_order(str, items(), 2):
        given += 1
    assert given == 10


@pytest.mark.parametrize("seconds", [0, 0.002], ids=["short calls", "long calls"])
def test_a_fast_source_is_taken_only_so_far_ahead(seconds: float) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for i in range(300):
            taken += 1
            yield i

    most = 2 * AHEAD * (1 if seconds else MOST_ITEMS)
    for given, _ in enumerate(map_in_order(lambda _: time.sleep(seconds), items(), 2)):
        assert taken - given <= most
    assert taken == 300


def test_after_an_error_nothing_more_is_called() -> None:
    called: list[int] = []

    def call(item: int) -> int:
        called.append(item)
        return 1 // (2 - item)

    answers = map_in_order(call, range(1000), 2)
    assert next(answers) == 0
    assert next(answers) == 1
    with pytest.raises(ZeroDivisionError):
        next(answers)
    assert max(called) < 2 + 2 * AHEAD * MOST_ITEMS
    assert list(answers) == []


@pytest.mark.parametrize("last", [0, 1, 7, 100, 101])
def test_an_error_comes_after_the_answers_before_it_in_tasks_of_any_size(last: int) -> None:
    given = []
    with pytest.raises(ZeroDivisionError):
        for answer in map_in_order(lambda item: 1 // (last - item), range(10_000), 2):
            given.append(answer)
    assert len(given) == last


def test_an_interrupt_of_the_caller_ends_it_and_its_threads() -> None:
    before = threading.active_count()

    def call(item: int) -> int:
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        time.sleep(0.01)
        return item

    with pytest.raises(KeyboardInterrupt):
        list(map_in_order(call, range(100), 2))
    assert threading.active_count() == before
