"""Signs of a busy machine: the arithmetic as tables, and a real load beside a real benchmark."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgekit.latency import benchmark, contention
from edgekit.report.text.latency import conditions

if TYPE_CHECKING:
    from collections.abc import Iterator

QUIET: dict[str, float | None] = {
    "waited_share": 0.0,
    "cpu_share": 1.0,
    "steal_share": 0.0,
    "cpu_pressure": 0.0,
    "other_share": 0.0,
}


@pytest.mark.parametrize(
    ("signs", "words"),
    [
        pytest.param({}, None, id="quiet"),
        pytest.param({"waited_share": 0.3}, "waited for a core 30% of the time", id="waited"),
        pytest.param({"waited_share": 0.04, "cpu_share": 0.5}, None, id="the wait is known"),
        pytest.param({"waited_share": None, "cpu_share": 0.5}, "its core 50%", id="CPU time"),
        pytest.param({"steal_share": 0.1}, "the host took 10%", id="steal"),
        pytest.param({"cpu_pressure": 0.9}, None, id="others wait, not this"),
        pytest.param(
            {"waited_share": None, "cpu_share": None, "cpu_pressure": 0.9},
            "something waited for a core 90%",
            id="pressure is all that is known",
        ),
        pytest.param(dict.fromkeys(QUIET), None, id="nothing is known"),
    ],
)
def test_a_sign_becomes_a_sentence(signs: dict[str, float | None], words: str | None) -> None:
    found = contention.verdict(QUIET | signs, [(1, 1)])
    assert (words is None) is (found == [])
    assert words is None or words in found[0]


def test_more_threads_than_cores_are_named_as_a_reason() -> None:
    many = contention.available_cores() + 1
    assert contention.verdict(QUIET, [(many, 1)]) == []
    found = contention.verdict(QUIET | {"waited_share": 0.5}, [(1, 1), (1, many)])
    assert found[1].startswith(f"{many} threads were asked for on")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, {"1": 5}, None),
        ({"1": 5}, None, None),
        ({"1": 5}, {"1": 7}, 2),
        ({"1": 5, "2": 0}, {"1": 7, "2": 9}, 9),
        ({"1": 5}, {"1": 5, "2": 3}, 3),  # a thread of the block's own
        ({"1": 5}, {}, 0),
    ],
)
def test_the_thread_that_waited_longest_counts(
    before: dict[str, int] | None, after: dict[str, int] | None, expected: int | None
) -> None:
    assert contention.longest_wait_ns(before, after) == expected


def test_shares_are_of_the_time_between_two_readings() -> None:
    hertz = os.sysconf("SC_CLK_TCK")
    before = contention.Machine(10.0, 1_000_000, 100, 10, 1000)
    after = contention.Machine(12.0, 2_000_000, 100 + 3 * hertz, 10 + hertz, 1000 + 10 * hertz)
    assert contention.shares(before, after, own_cpu_s=1.0) == {
        "cpu_pressure": pytest.approx(0.5),
        "steal_share": pytest.approx(0.1),
        "other_share": pytest.approx(0.2),
    }
    nothing = contention.Machine(12.0, None, None, 0, 0)
    assert set(contention.shares(nothing, nothing, 0.0).values()) == {None}


@contextlib.contextmanager
def load(processes: int) -> Iterator[None]:
    """Processes that compute without an end."""
    spin = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
    started = [subprocess.Popen(spin, stdout=subprocess.PIPE) for _ in range(processes)]
    try:
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        yield
    finally:
        for process in started:
            process.kill()
            process.communicate()


@pytest.mark.skipif(
    contention.waited_ns() is None, reason="this system does not say how long a thread waited"
)
@pytest.mark.parametrize("run", [{"threads": 1}, {"threads": 2}, {"replicas": 2}], ids=str)
def test_a_heavy_neighbour_is_seen_and_said(classifier: Path, run: dict[str, Any]) -> None:
    with load(2 * contention.available_cores()):
        report = benchmark(classifier, duration_s=0.4, **run)
    found = report.conditions
    assert found["waited_share"] > 0.1
    assert found["contended"]
    said = [line for line in conditions(found) if line.startswith("Contended: ")]
    assert "waited for a core" in said[0]
    if Path("/proc/stat").exists():
        assert found["other_share"] > 0.3
        assert any("Beside it other processes used" in line for line in conditions(found))
    if Path("/proc/pressure/cpu").exists():
        assert found["cpu_pressure"] > 0.3
