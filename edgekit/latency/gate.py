"""Budgets and baselines: a measurement as a verdict that a build can rely on.

Noise does not fail a build: a limit is `over` only where the whole 95% interval is beyond it, and
on a machine that was contended only where it still is once the lost time is given back. An interval
that holds the limit is `undecided`, said, and passes. What was never measured (a p99 of too few
runs, a candidate that the baseline lacks) is `unknown` and fails: a gate that cannot close is none.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.errors import BaselineError, one_line
from edgekit.latency.percentiles import QUANTILES, runs_needed
from edgekit.latency.results import EDGEKIT, Check, counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekit.latency.results import Latency, LatencyReport

UNITS_MS = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3}
BUDGETS = (*QUANTILES, "mean")
#: What a p50 may be above the baseline's: two runs of one file on different days differ by their
#: place in memory, the processor's temperature and its clock.
MAX_SLOWDOWN = 0.10
#: What makes two machines one.
MACHINE = ("machine", "system", "cpu", "cores")
#: The fields that name a candidate in a baseline, beside the last part of its path.
SAME = ("variant", "engine", "provider", "threads", "replicas", "batch")
MAX_BASELINE_BYTES = 64 * 2**20

_BUDGET = re.compile(r"(\w+)\s*=\s*(\d+(?:\.\d+)?)\s*(us|µs|ms|s)")


def parse_budget(text: str) -> tuple[str, float]:
    """Read `p99=5ms` as a name and milliseconds; raises `ValueError` that says what is wrong."""
    match = _BUDGET.fullmatch(text.strip())
    if match is None or match[1] not in BUDGETS:
        raise ValueError(f"{text!r} is not {'|'.join(BUDGETS)}=NUMBER and us, ms or s")
    limit = float(match[2]) * UNITS_MS[match[3]]
    if limit <= 0:
        raise ValueError(f"{text!r} is no time: give more than 0")
    return match[1], limit


@dataclass(frozen=True)
class Baseline:
    """An earlier report, as far as it can be compared with one of this machine."""

    path: Path
    onnxruntime: str
    contended: bool
    results: Mapping[tuple[Any, ...], Mapping[str, Any]]

    @classmethod
    def read(cls, path: Path, machine: Mapping[str, Any]) -> Baseline:
        """Read what `edgekit bench --json` or `--out` wrote.

        Raises `BaselineError` for a file that is no report, or is of another machine: milliseconds
        of two machines say nothing about a change of the model.
        """
        conditions, results = _report(path)
        theirs = {key: conditions.get(key) for key in MACHINE}
        ours = {key: machine.get(key) for key in MACHINE}
        if theirs != ours:
            raise BaselineError(
                f"The baseline {str(path)!r} was measured on {_words(theirs)}, this machine is "
                f"{_words(ours)}: measure a baseline here with `edgekit bench --out`."
            )
        try:
            found = {_key(result): dict(result) for result in results}
            for result in found.values():
                low, high = result["ci95_ms"]
                float(result["p50_ms"]), float(low), float(high)
        except (KeyError, TypeError, ValueError) as error:
            raise _no_report(path, f"a result of it lacks or spoils {one_line(error)}") from error
        version, contended = conditions.get("onnxruntime"), conditions.get("contended")
        return cls(path, str(version), bool(contended), found)


def judge(
    report: LatencyReport,
    budgets: Mapping[str, float],
    baseline: Baseline | None,
    max_slowdown: float = MAX_SLOWDOWN,
) -> tuple[Check, ...]:
    """Check every candidate of edgekit's own against the budgets and the baseline."""
    slack = _slack(report.conditions)
    checks = []
    for result in report.results:
        if result.engine != EDGEKIT:
            continue
        checks += [_budget(result, name, limit, slack) for name, limit in budgets.items()]
        if baseline is not None:
            version = str(report.conditions["onnxruntime"])
            checks.append(_against(result, baseline, version, 1 + max_slowdown, slack))
    return tuple(checks)


def _budget(result: Latency, name: str, limit: float, slack: float) -> Check:
    where = f"{result.label}, {counted(result.threads, 'thread')}: {name}"
    interval = result.intervals_ms.get(name)
    if interval is None:
        needed = runs_needed(QUANTILES[name])
        evidence = (
            f"{where} is unknown after {result.runs} runs, it takes {needed}; give --duration "
            f"{longer(result, needed)}"
        )
        return Check(result.label, name, limit, None, None, "unknown", evidence)
    measured = float(getattr(result, f"{name}_ms"))
    # A tail on a busy machine is the machine's; no less than the p50 is left of it.
    floor = interval[0] if slack == 1 or name in ("p50", "mean") else result.ci95_ms[0]
    verdict = _verdict(interval, limit, floor * slack)
    evidence = (
        f"{where} {measured:.4g} ms ({interval[0]:.4g} to {interval[1]:.4g}), the budget is "
        f"{limit:g} ms{_because(verdict, interval, limit)}"
    )
    return Check(result.label, name, limit, measured, interval, verdict, evidence)


def _against(
    result: Latency, baseline: Baseline, version: str, limit: float, slack: float
) -> Check:
    then = baseline.results.get(_key(vars(result)))
    where = f"{result.label}, {counted(result.threads, 'thread')}"
    if then is None:
        evidence = f"{where}: not in {baseline.path}; measure it there with `edgekit bench --out`"
        return Check(result.label, "baseline", limit, None, None, "unknown", evidence)
    low, high = then["ci95_ms"]
    interval = (result.ci95_ms[0] / high, result.ci95_ms[1] / low)
    measured = result.p50_ms / then["p50_ms"]
    verdict = _verdict(interval, limit, interval[0] * slack)
    evidence = (
        f"{where}: p50 {result.p50_ms:.4g} ms, {measured:.2f} times {then['p50_ms']:.4g} ms of the "
        f"baseline ({interval[0]:.2f} to {interval[1]:.2f}), {limit:.2f} is allowed"
        f"{_because(verdict, interval, limit)}"
    )
    if baseline.onnxruntime != version:
        evidence += f"; the baseline ran onnxruntime {baseline.onnxruntime}, this is {version}"
    if baseline.contended:
        evidence += "; the baseline was contended and is too slow: take it again"
    return Check(result.label, "baseline", limit, measured, interval, verdict, evidence)


def _verdict(interval: tuple[float, float], limit: float, floor: float) -> str:
    """Say where an interval lies; `floor` is its lower end once lost time is given back."""
    if interval[1] <= limit:
        return "within"
    return "over" if floor > limit else "undecided"


def _because(verdict: str, interval: tuple[float, float], limit: float) -> str:
    if verdict != "undecided":
        return ""
    if interval[0] > limit:
        return "; the machine was too busy to say"
    return "; noise is wider than the difference, give more --duration"


def _slack(conditions: Mapping[str, Any]) -> float:
    """Give the part of the measured time that a contended candidate really had its core."""
    if not conditions["contended"]:
        return 1.0
    waited, share = conditions.get("waited_share"), conditions.get("cpu_share")
    had = 1 - waited if waited is not None else share
    return float(had if had is not None else 1.0) * (1 - (conditions.get("steal_share") or 0.0))


def longer(result: Latency, runs: int) -> str:
    """Give the `--duration` at which a candidate reaches so many runs."""
    from edgekit.latency.timing import MOST_STRETCH

    seconds = runs * result.mean_ms / 1e3 / MOST_STRETCH / result.replicas
    return f"{max(1, -(-seconds // 1)):.0f}"


def _key(result: Mapping[str, Any]) -> tuple[Any, ...]:
    known = (result[name] for name in SAME)
    # Reports from before it could be chosen do not have it.
    return (Path(result["model"]).name, *known, result.get("optimization", "all"))


def _report(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    try:
        if path.stat().st_size > MAX_BASELINE_BYTES:
            raise _no_report(path, f"it is larger than {MAX_BASELINE_BYTES} bytes")
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BaselineError(
            f"The baseline {str(path)!r} does not exist: check the path."
        ) from error
    except (OSError, ValueError) as error:
        raise _no_report(path, one_line(error)) from error
    conditions, results = (
        (raw.get("conditions"), raw.get("results")) if isinstance(raw, dict) else (None, None)
    )
    if not isinstance(conditions, dict) or not isinstance(results, list) or not results:
        raise _no_report(path, "it has no conditions and results")
    return conditions, results


def _no_report(path: Path, why: str) -> BaselineError:
    return BaselineError(
        f"The baseline {str(path)!r} is no report of a benchmark ({why}): give a file that "
        "`edgekit bench --out` wrote."
    )


def _words(machine: Mapping[str, Any]) -> str:
    return f"{machine['cpu']} ({machine['cores']} cores, {machine['system']} {machine['machine']})"
