"""The whole search on tiny models: what is written, what is judged, and a kill in the middle."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit import files
from edgekit.bundle import Bundle
from edgekit.errors import BundleError, FeedError, OutputError, QuantizeError
from edgekit.quantizer.recipes import RECIPES
from edgekit.report.text import tune as report
from edgekit.runtime.providers import PROVIDERS
from edgekit.runtime.runner import open_runner
from edgekit.tuner.candidates import space_for
from edgekit.tuner.results import Goal, Row, Speed, Tuned
from edgekit.tuner.task import task_of
from tests.cli.test_device import run
from tests.conftest import write_bundle
from tests.quantizer import models

#: A search for size ends early: the settings of a run do not change a file. The budget is what the
#: short timings are a part of.
SHORT: dict[str, Any] = {"objective": "size", "time_budget_s": 100.0, "threads": [1]}
DYNAMIC: dict[str, Any] = {**SHORT, "recipes": ["dynamic-int8"]}


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A bundle whose weights are large enough for int8 to be smaller."""
    source = models.mlp(tmp_path / "mlp.onnx", hidden=128)
    return write_bundle(tmp_path / "artifacts" / "mlp", source)


def test_a_bundle_gets_the_winner_as_a_variant_with_all_that_was_measured(bundle: Bundle) -> None:
    before = files.digest(bundle.path / "model.onnx")
    found = edgekit.tune(bundle, max_drop=1.0, **DYNAMIC)
    assert (found.winner, found.kept_float, found.variant) == ("dynamic-int8", False, "tuned")
    assert found.path == str(bundle.path / "model.tuned.onnx")
    variant = Bundle.open(bundle.path).variant("tuned")
    assert (variant.recipe, variant.precision) == ("dynamic-int8", "int8")
    noted = variant.measured["tuning"]["cpu, size"]
    assert [row["name"] for row in noted["rows"]] == [row.name for row in found.rows]
    assert variant.measured["metric"]["cpu"] == found.rows[1].metric
    assert variant.measured["latency"]["cpu, 1 thread, batch 1"]["p50_ms"] > 0
    with edgekit.open(bundle.path, variant="tuned") as runner:
        assert runner.run(models.data("mlp"))
    assert files.digest(bundle.path / "model.onnx") == before
    assert [row.front for row in found.rows].count(True) >= 1
    with pytest.raises(OutputError, match="--force"):
        edgekit.tune(bundle, **DYNAMIC)
    again = edgekit.tune(bundle, max_drop=1.0, force=True, **DYNAMIC)
    assert again.measured == 0
    assert again.remembered == found.measured
    assert (again.winner, again.reason, again.rankings) == (
        found.winner,
        found.reason,
        found.rankings,
    )
    assert [(row.name, row.metric, row.front) for row in again.rows] == [
        (row.name, row.metric, row.front) for row in found.rows
    ]


def test_float_is_kept_where_nothing_is_accurate_enough(bundle: Bundle) -> None:
    found = edgekit.tune(bundle, min_sqnr_db=190.0, **DYNAMIC)
    assert found.winner == "float"
    assert (found.kept_float, found.path, found.variant) == (True, None, None)
    manifest = Bundle.open(bundle.path).manifest
    assert [variant.name for variant in manifest.variants] == ["fp32"]
    assert manifest.variants[0].measured["tuning"]["cpu, size"]["kept_float"] is True
    row = found.rows[1]
    assert (row.name, row.admissible) == ("dynamic-int8", False)
    assert row.metric is not None


def test_a_plain_file_is_judged_by_its_likeness_to_float(tmp_path: Path) -> None:
    source = models.mlp(tmp_path / "model.onnx", hidden=128)
    found = edgekit.tune(source, recipes=["static-int8"], calibration=models.data("mlp"), **SHORT)
    assert found.goal.metric_name is None
    assert found.goal.min_sqnr_db == 20.0
    assert found.rows[1].sqnr_db is not None
    assert found.path == str(tmp_path / "model.tuned.onnx")
    assert found.variant is None
    assert [name.split(",")[0] for name in found.rankings] == ["static-int8"]
    assert {row.stage for row in found.rows} >= {"float", "recipes", "exclusions"}
    with open_runner(source) as want, open_runner(found.path) as got:
        assert got.signature == want.signature
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["model.onnx", "model.tuned.ledger.jsonl", "model.tuned.onnx"]


def test_a_recipe_without_its_calibration_is_a_row_with_a_reason(tmp_path: Path) -> None:
    source = models.mlp(tmp_path / "model.onnx")
    found = edgekit.tune(source, recipes=["static-int8"], **SHORT)
    assert found.kept_float
    assert "needs calibration data" in str(found.rows[1].reason)


def test_a_function_judges(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    code = "def score(runner):\n    runner.run({'x': [[0.0] * 32]})\n    return 0.25\n"
    Path("judging.py").write_text(code)
    found = edgekit.tune(bundle, recipes=["fp16"], evaluate="judging:score", **SHORT)
    assert found.goal.metric_name == "score"
    assert [row.metric for row in found.rows] == [0.25, 0.25]


def test_labels_of_a_plain_file(tmp_path: Path, classifier: Path) -> None:
    rng = np.random.default_rng(0)
    data = tmp_path / "labelled.npz"
    x = rng.normal(size=(32, 4)).astype(np.float32)
    with open_runner(classifier) as runner:
        targets = runner.run({"x": x})["probabilities"].argmax(-1)
    np.savez(data, x=x, targets=targets)
    task = task_of(None, data)
    assert task.metric_name == "accuracy"
    with open_runner(classifier) as runner:
        assert task.score(runner) == 1.0


@pytest.mark.parametrize(
    ("evaluate", "message"),
    [
        pytest.param("nothing.npz", "does not exist", id="no file"),
        pytest.param("unlabelled.npz", "and 'targets'", id="no targets"),
        pytest.param("nothing:score", "cannot be imported", id="no module"),
        pytest.param("json:nothing", "cannot be imported", id="no function"),
    ],
)
def test_what_cannot_judge(
    bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    evaluate: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("unlabelled.npz", x=np.ones((2, 4), np.float32))
    with pytest.raises(FeedError, match=message):
        edgekit.tune(bundle, evaluate=evaluate)


def test_targets_of_another_shape(classifier: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "bad.npz", x=np.ones((2, 4), np.float32), targets=np.ones((2, 9)))
    task = task_of(None, tmp_path / "bad.npz")
    with open_runner(classifier) as runner, pytest.raises(FeedError, match="do not fit"):
        task.score(runner)


@pytest.mark.parametrize(
    "wrong",
    [{"objective": "speed"}, {"time_budget_s": 0}, {"max_drop": -1}, {"threads": []}],
    ids=str,
)
def test_what_is_not_a_search(bundle: Bundle, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)).partition("_")[0]):
        edgekit.tune(bundle, **wrong)


def test_models_that_are_not_there(tmp_path: Path, bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="does not exist"):
        edgekit.tune(tmp_path / "nothing")
    with pytest.raises(QuantizeError, match="no recipe 'int9'"):
        edgekit.tune(bundle, recipes=["int9"])
    with pytest.raises(OutputError, match="never changed"):
        edgekit.tune(bundle.path / "model.onnx", out=bundle.path / "model.onnx", force=True)


@pytest.mark.parametrize(
    ("provider", "objective", "inside", "outside"),
    [
        ("cpu", "latency", {"static-int8", "dynamic-int8"}, {"fp16", "npu-int8", "mixed"}),
        ("cpu", "size", {"static-int8", "dynamic-int8", "fp16"}, {"npu-int8"}),
        ("qnn", "latency", {"a16w8", "npu-int8", "fp16"}, {"static-int8", "dynamic-int8"}),
        ("webgpu", "latency", {"fp16"}, {"static-int8", "npu-int8"}),
        ("tensorrt", "latency", {"fp16", "static-int8"}, {"npu-int8"}),
    ],
)
def test_what_is_tried_where(
    provider: str, objective: str, inside: set[str], outside: set[str]
) -> None:
    space = space_for(PROVIDERS[provider], objective, threads=(1, 2))
    assert inside <= set(space.recipes)
    assert outside.isdisjoint(space.recipes)
    assert set(space.recipes) <= set(RECIPES)
    assert set(space.excludable).isdisjoint({"fp16", "npu-int8", "a16w8"})
    if provider == "tensorrt":
        assert space.options["static-int8"] == (("form", "s8s8"),)
    assert (space.threads == (1, 2)) is (provider == "cpu")


def test_a_search_that_is_killed_goes_on_where_it_was(bundle: Bundle) -> None:
    args = [str(bundle.path), "--time-budget", "60s", "--objective", "size"]
    args += ["--recipe", "dynamic-int8", "--recipe", "fp16", "--max-drop", "1"]
    ledger = bundle.path / "model.tuned.ledger.jsonl"
    killed = subprocess.Popen(
        [sys.executable, "-m", "edgekit", "tune", *args],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 60
    while time.monotonic() < end and killed.poll() is None:
        if ledger.exists() and ledger.read_bytes().count(b"\n") >= 3:
            break
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    before = ledger.read_text()
    assert len(before.splitlines()) >= 3
    assert not (bundle.path / "model.tuned.onnx").exists()
    result = run("tune", *args)
    assert result.exit_code == 0, result.stderr
    assert "the smallest with accuracy at most 1 below float's" in result.stdout
    assert "Dynamic-int8 is the smallest that keeps the accuracy" in result.stdout
    assert f"Wrote {bundle.path / 'model.tuned.onnx'}." in result.stdout
    assert "float: what it answers" in result.stderr
    after = ledger.read_text()
    assert after.startswith(before)
    kinds = [(line["kind"], line["key"]) for line in map(json.loads, after.splitlines())]
    answers = [key for kind, key in kinds if kind == "quality"]
    assert len(answers) == len(set(answers))
    found = json.loads(run("tune", *args, "--force", "--json").stdout)
    assert (found["measured"], found["remembered"] > 3) == (0, True)


def test_the_report_names_the_layers_in_float_and_the_settings_of_the_winner() -> None:
    winner = Row(
        name="static-int8, 1 layer in float, 2 threads",
        recipe="static-int8",
        options={},
        exclude=("net/bad/MatMul",),
        threads=2,
        optimization="all",
        stage="settings",
        metric=None,
        drop=None,
        sqnr_db=31.0,
        size_bytes=2048,
        speed=Speed(1.0, 0.5, (0.4, 0.6), "faster", 1.0, 1.0),
        admissible=True,
        front=True,
        winner=True,
        reason=None,
    )
    lines = report.tuned(
        Tuned(
            model="m.onnx",
            provider="cpu",
            goal=Goal("latency", None, 0.005, 20.0),
            rows=(winner,),
            winner=winner.name,
            kept_float=False,
            reason="static-int8 is the fastest",
            threads=2,
            optimization="all",
            path="m.tuned.onnx",
            variant=None,
            cut=("settings",),
            rankings={"static-int8": [("net/bad/MatMul", 12.0), ("net/last/MatMul", 40.0)]},
            notes=(),
            seed=0,
            budget_s=60.0,
            spent_s=59.0,
            measured=3,
            remembered=2,
            ledger="m.tuned.ledger.jsonl",
            conditions={},
        )
    )
    text = [line for line in lines if isinstance(line, str)]
    assert text[0] == "Tuned m.onnx for cpu: the fastest with an SQNR of 20 dB or more"
    assert "Wrote m.tuned.onnx, with net/bad/MatMul in float." in text
    assert "Open it with edgekit.open('m.tuned.onnx', threads=2, optimization='all')." in text
    assert "The time did not suffice for all settings." in text
    assert any("net/bad/MatMul 12.0 dB, net/last/MatMul 40.0 dB" in line for line in text)


def test_a_time_that_is_none(bundle: Bundle) -> None:
    usage = run("tune", bundle.path, "--time-budget", "five")
    assert usage.exit_code == 2
    assert "90s, 5m or 1h" in usage.stderr
