"""A command in a process of its own, with what it took, stopped where it takes too much memory."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """What a process took, and printed; `reason` where it did not end well.

    `seconds` passed from its start to its end, `cpu_s` it computed.
    """

    seconds: float
    peak_mib: float
    cpu_s: float
    output: str = ""
    reason: str = ""


def run(command: list[str], limit_gib: float) -> Run:
    """Run a command to its end."""
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=printed, stderr=errors)
        stopped = threading.Event()
        watch = threading.Thread(target=_watch, args=(child.pid, limit_gib, stopped))
        watch.start()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        too_much = stopped.is_set()
        stopped.set()
        watch.join()
        printed.seek(0)
        errors.seek(0)
        reason = ""
        if child.returncode:
            last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
            reason = f"over {limit_gib:g} GiB" if too_much else "".join(last)
        output = printed.read().decode(errors="replace").strip()
        cpu_s = usage.ru_utime + usage.ru_stime
        return Run(seconds, usage.ru_maxrss / 1024, cpu_s, output, reason)


def _watch(pid: int, limit_gib: float, stopped: threading.Event) -> None:
    """Stop a process that takes more memory than the limit."""
    page = os.sysconf("SC_PAGE_SIZE")
    while not stopped.wait(0.05):
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        except (OSError, IndexError):
            return
        if pages * page > limit_gib * 2**30:
            stopped.set()
            os.kill(pid, 9)
