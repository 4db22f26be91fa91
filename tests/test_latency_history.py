"""The history: what a benchmark adds, what is shown, and files that are none."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgekit.bundle import Bundle
from edgekit.cli import cli
from edgekit.errors import OutputError
from edgekit.latency import history
from edgekit.report import plots
from edgekit.report.text.history import bars, grouped
from tests.test_latency_gate import RESULT, report


def run(*args: str | Path) -> Any:
    return CliRunner().invoke(cli, [str(arg) for arg in args])


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"EDGEKIT_HISTORY": "/x/h.sqlite3"}, "/x/h.sqlite3"),
        ({"XDG_DATA_HOME": "/data"}, "/data/edgekit/history.sqlite3"),
        ({"HOME": "/home/me"}, "/home/me/.local/share/edgekit/history.sqlite3"),
    ],
    ids=str,
)
def test_where_the_history_is(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    for name in ("EDGEKIT_HISTORY", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(history.path()) == expected


def test_what_is_added_is_read_back_oldest_first() -> None:
    assert history.read() == []
    faster = dataclasses.replace(RESULT, p50_ms=2.0, p99_ms=9.0)
    history.append(report(RESULT))
    history.append(report(faster, dataclasses.replace(RESULT, model="other.onnx"), contended=True))
    first, second, third = history.read()
    assert (first.p50_ms, second.p50_ms, second.p99_ms) == (5.0, 2.0, 9.0)
    assert (first.contended, second.contended, first.p99_ms) == (False, True, None)
    assert (first.sha256, first.onnxruntime) == ("ab", "1.32.0")
    assert first.machine == "AMD EPYC, 2 cores, Linux x86_64"
    assert history.read(["artifacts/cnn"]) == [first, second]
    assert history.read(["other.onnx"]) == [third]
    assert first.series == second.series != third.series


def _append(times: int) -> None:
    for _ in range(times):
        history.append(report(RESULT))


def test_two_processes_that_add_at_once_lose_nothing() -> None:
    context = multiprocessing.get_context("spawn")
    started = [context.Process(target=_append, args=(10,)) for _ in range(3)]
    for process in started:
        process.start()
    for process in started:
        process.join()
        assert process.exitcode == 0
    assert len(history.read()) == 30


@pytest.mark.parametrize(
    "content",
    [pytest.param(b"not a database at all" * 100, id="garbage"), pytest.param(None, id="foreign")],
)
def test_a_file_that_is_no_history_is_left_alone(content: bytes | None) -> None:
    if content is None:
        connection = sqlite3.connect(history.path())
        connection.execute("CREATE TABLE theirs (a)")
        connection.commit()
        connection.close()
    else:
        history.path().write_bytes(content)
    before = history.path().read_bytes()
    with pytest.raises(OutputError, match="EDGEKIT_HISTORY"):
        history.read()
    with pytest.raises(OutputError, match="EDGEKIT_HISTORY"):
        history.append(report(RESULT))
    assert history.path().read_bytes() == before


def test_bench_adds_and_shows(tmp_path: Path, bundle: Bundle) -> None:
    quick = ("bench", bundle.path, "--duration", "0.05", "--no-roofline")
    assert "adds to it" in run("bench", bundle.path, "--history").stdout
    assert run(*quick).exit_code == 0
    assert run(*quick, "--no-history").exit_code == 0
    assert run(*quick, "--threads", "2").exit_code == 0
    shown = run("bench", bundle.path, "--history")
    assert shown.exit_code == 0
    assert "█  p50" in shown.stdout
    assert "2 threads" in shown.stdout
    entries = json.loads(run("bench", "--history", "--json").stdout)["entries"]
    assert [entry["threads"] for entry in entries] == [1, 2]
    assert entries[0]["sha256"] == bundle.variant().file.sha256
    assert run("bench", "other", "--history", "--json").exit_code == 0


def test_a_history_that_cannot_be_written_costs_no_result(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGEKIT_HISTORY", str(tmp_path / "file" / "history.sqlite3"))
    result = run("bench", bundle.path, "--duration", "0.05", "--no-roofline")
    assert result.exit_code == 0
    assert "Not added to the history" in result.stderr
    assert "p50 ms" in result.stdout


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1.0], "█"), ([1.0, 8.0], "▂█"), ([4.0, 8.0, 0.0], "▅█▁")],
)
def test_bars_start_at_zero(values: list[float], expected: str) -> None:
    assert bars(values) == expected


def test_series_differ_by_what_was_run_not_by_the_digest() -> None:
    history.append(report(RESULT, dataclasses.replace(RESULT, sha256="cd")))
    history.append(report(dataclasses.replace(RESULT, replicas=2, engine="keras")))
    first, second = grouped(history.read()).items()
    assert len(first[1]) == 2
    assert "keras" in second[0]
    assert "2 replicas" in second[0]


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_plot_is_written(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra `report`")
    history.append(report(RESULT))
    history.append(report(RESULT, contended=True))
    out = tmp_path / f"plot{suffix}"
    result = run("bench", "--history", "--plot", out)
    assert result.exit_code == 0, result.output
    assert out.stat().st_size > 1000
    again = run("bench", "--history", "--plot", out)
    assert again.exit_code == 3
    assert "--force" in again.stderr


def test_a_plot_needs_a_name_that_says_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"not one of \.png, \.svg, \.pdf"):
        plots.history([], tmp_path / "plot.txt")
