"""Budgets and baselines: verdicts as a table, files that are no baseline, and exit codes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from edgekit.bundle import Bundle
from edgekit.cli import cli
from edgekit.errors import BaselineError
from edgekit.latency import Latency, LatencyReport, gate
from edgekit.report import json as report_json

MACHINE = {"machine": "x86_64", "system": "Linux", "cpu": "AMD EPYC", "cores": 2}
QUIET = {**MACHINE, "onnxruntime": "1.32.0", "contended": False, "waited_share": 0.0}
INTERVALS = {"p50": (4.0, 6.0), "p90": (6.0, 8.0), "mean": (4.5, 6.5)}
RESULT = Latency(
    model="artifacts/cnn",
    variant="fp32",
    engine="edgekit",
    provider="cpu",
    threads=1,
    replicas=1,
    batch=1,
    p50_ms=5.0,
    p90_ms=7.0,
    p99_ms=None,
    mean_ms=5.5,
    ci95_ms=(4.0, 6.0),
    intervals_ms=INTERVALS,
    samples_per_second=200.0,
    samples_per_second_ci95=(190.0, 210.0),
    runs=100,
    warmup_runs=10,
    steady=True,
    load_ms=1.0,
    first_run_ms=1.0,
    peak_memory_bytes=None,
    size_bytes=1000,
    sha256="ab",
    fallback=None,
)


def report(*results: Latency, **conditions: Any) -> LatencyReport:
    return LatencyReport(results or (RESULT,), (), QUIET | conditions)


def check(budget: str, **conditions: Any) -> Any:
    (found,) = gate.judge(report(**conditions), dict([gate.parse_budget(budget)]), None)
    return found


@pytest.mark.parametrize(
    ("text", "name", "limit_ms"),
    [
        ("p99=5ms", "p99", 5.0),
        ("p50=250us", "p50", 0.25),
        ("p90 = 250 µs", "p90", 0.25),
        ("mean=0.5s", "mean", 500.0),
    ],
)
def test_a_budget_is_a_name_and_a_time(text: str, name: str, limit_ms: float) -> None:
    found, limit = gate.parse_budget(text)
    assert found == name
    assert limit == pytest.approx(limit_ms)


@pytest.mark.parametrize("text", ["p98=5ms", "p99=5", "p99", "=5ms", "p99=-5ms", "p99=0ms", ""])
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not p50\|p90\|p99\|mean=NUMBER|is no time"):
        gate.parse_budget(text)


@given(st.text(max_size=12))
def test_any_text_is_a_budget_or_a_value_error(text: str) -> None:
    try:
        name, limit = gate.parse_budget(text)
    except ValueError:
        return
    assert name in gate.BUDGETS
    assert limit > 0


@pytest.mark.parametrize(
    ("budget", "conditions", "verdict", "passed"),
    [
        pytest.param("p50=6ms", {}, "within", True, id="the whole interval is within"),
        pytest.param("p50=5.9ms", {}, "undecided", True, id="the interval holds the limit"),
        pytest.param("p50=4ms", {}, "undecided", True, id="it begins at the limit"),
        pytest.param("p50=3.9ms", {}, "over", False, id="the whole interval is over"),
        pytest.param("mean=4ms", {}, "over", False, id="mean"),
        pytest.param("p90=5ms", {}, "over", False, id="p90"),
        pytest.param("p99=9s", {}, "unknown", False, id="too few runs to say"),
        pytest.param(
            "p50=3.9ms",
            {"contended": True, "waited_share": 0.1},
            "undecided",
            True,
            id="within once the lost time is given back",
        ),
        pytest.param(
            "p50=1ms",
            {"contended": True, "waited_share": 0.5},
            "over",
            False,
            id="over even so",
        ),
        pytest.param(
            "p50=3ms",
            {"contended": True, "waited_share": None, "cpu_share": 0.5},
            "undecided",
            True,
            id="by the CPU time",
        ),
        pytest.param(
            "p90=1ms",
            {"contended": True, "waited_share": 0.1},
            "undecided",
            True,
            id="a tail on a contended machine is the machine's",
        ),
    ],
)
def test_a_verdict_is_the_intervals(
    budget: str, conditions: dict[str, Any], verdict: str, passed: bool
) -> None:
    found = check(budget, **conditions)
    assert (found.verdict, found.passed) == (verdict, passed)
    assert found.evidence.startswith("artifacts/cnn (fp32), 1 thread: ")


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ("p50=3ms", "p50 5 ms (4 to 6), the budget is 3 ms"),
        ("p50=5ms", "noise is wider than the difference"),
        ("p99=5ms", "p99 is unknown after 100 runs, it takes 662; give --duration 1"),
    ],
)
def test_a_verdict_has_its_evidence(budget: str, words: str) -> None:
    assert words in check(budget).evidence


def test_peers_have_no_budget() -> None:
    peer = dataclasses.replace(RESULT, engine="litert")
    assert len(gate.judge(report(RESULT, peer), {"p50": 1.0, "mean": 1.0}, None)) == 2


def saved(path: Path, *results: Latency, **conditions: Any) -> Path:
    path.write_text(report_json.dumps(report(*results, **conditions)), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("then_ms", "verdict"),
    [
        pytest.param(6.0, "within", id="faster than before"),
        pytest.param(5.0, "undecided", id="as before, in much noise"),
        pytest.param(2.0, "over", id="slower than before"),
    ],
)
def test_a_baseline_is_compared_by_both_intervals(
    tmp_path: Path, then_ms: float, verdict: str
) -> None:
    then = dataclasses.replace(RESULT, p50_ms=then_ms, ci95_ms=(then_ms * 0.95, then_ms * 1.05))
    baseline = gate.Baseline.read(saved(tmp_path / "b.json", then), MACHINE)
    (found,) = gate.judge(report(), {}, baseline)
    assert (found.what, found.verdict) == ("baseline", verdict)
    assert found.measured == pytest.approx(5 / then_ms)


@pytest.mark.parametrize(
    "change",
    [{"threads": 2}, {"variant": "int8"}, {"batch": 8}, {"provider": "cuda"}, {"model": "rnn"}],
    ids=str,
)
def test_a_candidate_that_the_baseline_lacks_does_not_pass(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    then = dataclasses.replace(RESULT, **change)
    baseline = gate.Baseline.read(saved(tmp_path / "b.json", then), MACHINE)
    (found,) = gate.judge(report(), {}, baseline)
    assert (found.verdict, found.passed) == ("unknown", False)
    assert "measure it there" in found.evidence


def test_another_folder_is_no_other_candidate(tmp_path: Path) -> None:
    then = dataclasses.replace(RESULT, model="/home/ci/artifacts/cnn")
    baseline = gate.Baseline.read(saved(tmp_path / "b.json", then), MACHINE)
    (found,) = gate.judge(report(), {}, baseline)
    assert found.measured == 1.0


def test_another_onnxruntime_and_a_contended_baseline_are_said(tmp_path: Path) -> None:
    path = saved(tmp_path / "b.json", onnxruntime="1.31.0", contended=True)
    (found,) = gate.judge(report(), {}, gate.Baseline.read(path, MACHINE))
    assert "the baseline ran onnxruntime 1.31.0, this is 1.32.0" in found.evidence
    assert "the baseline was contended" in found.evidence


@pytest.mark.parametrize("change", [{"cpu": "Intel"}, {"cores": 4}, {"system": "Darwin"}], ids=str)
def test_a_baseline_of_another_machine_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = saved(tmp_path / "b.json", **change)
    with pytest.raises(BaselineError, match=r"was measured on .*, this machine is AMD EPYC"):
        gate.Baseline.read(path, MACHINE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"results": [], "conditions": {}}',
        json.dumps({"results": [{"model": "m"}], "conditions": MACHINE}),
        json.dumps({"results": [7], "conditions": MACHINE}),
        b"\xff\xfe".decode("latin1"),
    ],
)
def test_a_file_that_is_no_report(tmp_path: Path, text: str) -> None:
    path = tmp_path / "b.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BaselineError, match=r"is no report of a benchmark"):
        gate.Baseline.read(path, MACHINE)


def bench(bundle: Bundle, *args: str | Path) -> Any:
    told = ["bench", str(bundle.path), "--duration", "0.1", "--no-roofline", *map(str, args)]
    return CliRunner().invoke(cli, told)


def test_the_command_is_a_gate(tmp_path: Path, bundle: Bundle) -> None:
    out = tmp_path / "baseline.json"
    fine = bench(bundle, "--budget", "p99=20s", "--budget", "mean=20s", "--out", out)
    assert fine.exit_code == 0, fine.output
    assert "Within budget: " in fine.stdout
    assert bench(bundle, "--out", out).exit_code == 3  # it exists
    over = bench(bundle, "--budget", "p50=1us", "--json")
    assert over.exit_code in (0, 1)
    (found,) = json.loads(over.stdout)["checks"]
    assert found["verdict"] == ("over" if over.exit_code else "undecided")
    again = bench(bundle, "--baseline", out, "--max-slowdown", "5000")
    assert again.exit_code == 0, again.output
    assert "of the baseline" in again.stdout


def test_the_command_fails_on_a_baseline_that_was_much_faster(
    tmp_path: Path, bundle: Bundle
) -> None:
    out = tmp_path / "baseline.json"
    assert bench(bundle, "--out", out).exit_code == 0
    told = json.loads(out.read_text())
    for result in told["results"]:
        result["p50_ms"] /= 1e4
        result["ci95_ms"] = [bound / 1e4 for bound in result["ci95_ms"]]
    out.write_text(json.dumps(told))
    slower = bench(bundle, "--baseline", out)
    assert slower.exit_code == 1
    assert "OVER BUDGET" in slower.stdout


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--budget", "p99"], 2, "is not p50|p90|p99|mean=NUMBER"),
        (["--baseline", "none.json"], 3, "does not exist"),
        (["--threads", "1,0"], 2, "not a count of threads"),
        (["--compare", "tflite"], 2, "not one of tf2onnx, litert, openvino, keras"),
        (["--scenario", "single-stream", "--batch", "2"], 2, "one sample at a time"),
    ],
    ids=str,
)
def test_a_mistake_is_said_before_anything_is_timed(
    bundle: Bundle, args: list[str], code: int, message: str
) -> None:
    result = bench(bundle, *args)
    assert result.exit_code == code, result.output
    assert message in result.stderr
