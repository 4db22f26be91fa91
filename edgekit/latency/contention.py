"""Whether a measurement had the processor to itself: the signs that the system gives.

Linux says it best: how long each thread was ready and waited for a core (`/proc/self/task`), what
a hypervisor took (`/proc/stat`), and whether anything waited at all (`/proc/pressure/cpu`).
Elsewhere there is the timed thread's CPU time in its wall time. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: A thread that waits for its core in more of the time than this is contended.
WAITED = 0.05
#: The share that a hypervisor may take.
STOLEN = 0.02
#: Below this share of CPU time in wall time, something else used the core.
QUIET_SHARE = 0.95
#: Time in which anything waited for a core; a sign only where threads themselves tell nothing.
PRESSED = 0.10
#: Work beside the benchmark that is worth a word: it takes caches and clock speed.
OTHERS = 0.10


def waited_ns() -> dict[str, int] | None:
    """Give how long each thread of this process has waited for a core, in nanoseconds by thread.

    None where the system does not tell.
    """
    waited: dict[str, int] = {}
    for path in Path("/proc/self/task").glob("*"):
        # A thread that just ended has no file any more.
        with contextlib.suppress(OSError, IndexError, ValueError):
            waited[path.name] = int((path / "schedstat").read_text().split()[1])
    return waited or None


def longest_wait_ns(before: dict[str, int] | None, after: dict[str, int] | None) -> int | None:
    """Give the longest wait of one thread between two readings of `waited_ns`."""
    if before is None or after is None:
        return None
    return max((after[thread] - before.get(thread, 0) for thread in after), default=0)


@dataclass(frozen=True)
class Machine:
    """A reading of the whole machine; `share_of` gives what happened between two."""

    seconds: float
    pressure_us: int | None
    busy_ticks: int | None
    steal_ticks: int
    ticks: int

    @classmethod
    def now(cls) -> Machine:
        """Read what the system tells."""
        pressure = busy = None
        steal = ticks = 0
        with contextlib.suppress(OSError, IndexError, ValueError):
            some = Path("/proc/pressure/cpu").read_text().splitlines()[0]
            pressure = int(some.rpartition("total=")[2])
        with contextlib.suppress(OSError, IndexError, ValueError):
            # user nice system idle iowait irq softirq steal; guest time is in user already.
            row = Path("/proc/stat").read_text().splitlines()[0].split()
            fields = [int(word) for word in row[1:9]]
            ticks, steal = sum(fields), fields[7]
            busy = ticks - fields[3] - fields[4] - steal
        return cls(time.perf_counter(), pressure, busy, steal, ticks)


def shares(before: Machine, after: Machine, own_cpu_s: float) -> dict[str, float | None]:
    """Give `cpu_pressure`, `steal_share` and `other_share` between two readings.

    `own_cpu_s` is the CPU time that the benchmark itself took meanwhile.
    """
    found: dict[str, float | None] = dict.fromkeys(("cpu_pressure", "steal_share", "other_share"))
    seconds = after.seconds - before.seconds
    if before.pressure_us is not None and after.pressure_us is not None and seconds > 0:
        found["cpu_pressure"] = min(1.0, (after.pressure_us - before.pressure_us) / 1e6 / seconds)
    ticks = after.ticks - before.ticks
    if before.busy_ticks is not None and after.busy_ticks is not None and ticks > 0:
        found["steal_share"] = (after.steal_ticks - before.steal_ticks) / ticks
        own = own_cpu_s * os.sysconf("SC_CLK_TCK")
        found["other_share"] = max(0.0, (after.busy_ticks - before.busy_ticks - own) / ticks)
    return found


def verdict(signs: Mapping[str, Any], lanes: Sequence[tuple[int, int]]) -> list[str]:
    """Give a sentence for each sign that candidates had to wait for the processor.

    `signs` holds the shares by name, as the report's conditions do; `lanes` the threads and the
    replicas of each candidate.
    """
    found = []
    waited, share = signs["waited_share"], signs["cpu_share"]
    if waited is not None and waited > WAITED:
        found.append(f"a timed thread waited for a core {waited:.0%} of the time")
    if waited is None and share is not None and share < QUIET_SHARE:
        found.append(f"the timed thread had its core {share:.0%} of the time")
    if (signs["steal_share"] or 0.0) > STOLEN:
        found.append(f"the host took {signs['steal_share']:.0%} of the processor")
    if waited is None and share is None and (signs["cpu_pressure"] or 0.0) > PRESSED:
        found.append(f"something waited for a core {signs['cpu_pressure']:.0%} of the time")
    busiest = max((threads * replicas for threads, replicas in lanes), default=1)
    if found and busiest > available_cores():
        found.append(f"{busiest} threads were asked for on {available_cores()} cores")
    return found


def available_cores() -> int:
    """Give the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
