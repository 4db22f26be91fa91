"""How far a candidate is from the limit of this machine, measured in the same run.

The roofline model is Williams, Waterman and Patterson's ("Roofline: an insightful visual
performance model for multicore architectures", 2009): a run takes no less than its arithmetic at
the peak rate, and no less than its bytes at the bandwidth. Both are measured by `probes` in a
process of their own, before and after the candidates and at their number of threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.latency import lanes
from edgekit.latency.results import Roofline
from edgekit.latency.worker import Worker

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Sequence

    from edgekit.latency.lanes import Lane

#: The seconds that a process may take for a measurement of this machine.
PROBE_S = 5.0


class Machine:
    """The process that measures this machine, and what it found.

    Only candidates that edgekit itself runs on the CPU have a limit that the CPU sets.
    """

    def __init__(self, stack: contextlib.ExitStack, candidates: Sequence[Lane]) -> None:
        self._worker = stack.enter_context(Worker("this machine"))
        self._groups: dict[int, list[Lane]] = {}
        self._counts: dict[int, dict[str, Any]] = {}
        self._peaks: dict[int, list[dict[str, Any]]] = {}
        for lane in candidates:
            if lane.opened["provider"] == "cpu" and "axes" in lane.opened:
                self._groups.setdefault(lane.candidate.threads, []).append(lane)
                asked = {"file": str(lane.file), "axes": lane.opened["axes"]}
                self._counts[id(lane)] = self._worker.ask("count", **asked)

    def measure(self) -> None:
        """Measure the product, and the copies, once at each number of threads."""
        for threads, group in self._groups.items():
            sizes = [_moved_bytes(lane) for lane in group]
            reply = self._worker.ask("peak", seconds=PROBE_S, threads=threads, sizes=sizes)
            self._peaks.setdefault(threads, []).append(reply)

    def limit(self, lane: Lane, p50_ms: float) -> Roofline | None:
        """Give a candidate's limit by the best of the measurements, None where it has none."""
        counted = self._counts.get(id(lane), {"reason": ""})
        if "reason" in counted:
            return None
        index = self._groups[lane.candidate.threads].index(lane)
        peaks = self._peaks[lane.candidate.threads]
        peak_gmacs = max(peak["peak_gmacs"] for peak in peaks)
        copy_gb_s = max(peak["copy_gb_s"][index] for peak in peaks)
        return place(
            counted["macs"], _moved_bytes(lane), peak_gmacs, copy_gb_s, p50_ms, counted["uncounted"]
        )

    @property
    def reason(self) -> str | None:
        """Why a candidate on the CPU has no limit."""
        reasons = [found["reason"] for found in self._counts.values() if "reason" in found]
        return reasons[0] if reasons else None


def _moved_bytes(lane: Lane) -> int:
    """What a run moves at least: the file with its weights, the inputs and the outputs."""
    return lanes.size(lane.file) + int(lane.opened["bytes"])


def place(
    macs: int,
    moved_bytes: int,
    peak_gmacs: float,
    copy_gb_s: float,
    p50_ms: float,
    uncounted: Sequence[str],
) -> Roofline:
    """Set a candidate's p50 beside the limit."""
    compute_ms = macs / peak_gmacs / 1e6
    memory_ms = moved_bytes / copy_gb_s / 1e6
    limit_ms = max(compute_ms, memory_ms)
    return Roofline(
        macs=macs,
        bytes=moved_bytes,
        peak_gmacs=peak_gmacs,
        copy_gb_s=copy_gb_s,
        limit_ms=limit_ms,
        bound="compute" if compute_ms >= memory_ms else "memory",
        share=limit_ms / p50_ms,
        uncounted=tuple(uncounted),
    )
