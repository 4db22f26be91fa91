"""The device's commands, run as a user runs them, on tiny bundles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from edgekit.bundle import Bundle, FileEntry, Variant
from edgekit.cli import COMMANDS, cli
from edgekit.runtime import survey
from tests.conftest import LABELS, write_classifier


def run(*args: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args], input=stdin)


def answer(*args: str | Path, stdin: str | None = None) -> Any:
    """Run with --json; stdout must be one JSON object and nothing else."""
    result = run(*args, "--json", stdin=stdin)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def broken_variant(bundle: Bundle) -> Bundle:
    path = write_classifier(bundle.path / "model.other.onnx", 5.0)
    return bundle.add(Variant("other", FileEntry.of(path), "fp32", "float", 18))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"edgekit {command}" in result.stdout
    assert "Example" in result.stdout
    assert "--json" in result.stdout


def test_infer_json(bundle: Bundle) -> None:
    found = answer("infer", bundle.path, "--top", "2")
    (row,) = found["outputs"]["probabilities"]
    assert sum(row) == pytest.approx(1.0)
    (prediction,) = found["predictions"]
    assert prediction["label"] == LABELS[int(np.argmax(row))]
    assert prediction["top"][0]["label"] == prediction["label"]
    assert len(prediction["top"]) == 2


def test_infer_without_labels_has_no_predictions(classifier: Path) -> None:
    assert "predictions" not in answer("infer", classifier)


def test_infer_says_which_bundle_it_took(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bundle.path.parents[1])
    result = run("infer")
    assert result.exit_code == 0
    assert "Using the newest bundle, artifacts/tiny" in result.stderr
    assert any(label in result.stdout for label in LABELS)


def test_infer_text_image_and_stdin(
    tmp_path: Path, text_bundle: Bundle, image_bundle: Bundle, classifier: Path
) -> None:
    Image.new("L", (9, 9), 128).save(tmp_path / "x.png")
    assert len(answer("infer", text_bundle.path, "--input", "Edge")["predictions"]) == 1
    piped = answer("infer", text_bundle.path, "--input", "-", stdin="one\ntwo\nthree\n")
    assert len(piped["predictions"]) == 3
    assert answer("infer", image_bundle.path, "--input", tmp_path / "x.png")["predictions"]
    fed = answer("infer", classifier, "--input", "-", stdin='{"x": [[1, 2, 3, 4]]}')
    assert len(fed["outputs"]["probabilities"]) == 1


@pytest.mark.parametrize("suffix", [".npz", ".json"])
def test_infer_writes_its_answer(tmp_path: Path, bundle: Bundle, suffix: str) -> None:
    out = tmp_path / f"answer{suffix}"
    assert run("infer", bundle.path, "--out", out).exit_code == 0
    assert out.stat().st_size > 0
    again = run("infer", bundle.path, "--out", out)
    assert again.exit_code == 3
    assert "--force" in again.stderr
    assert run("infer", bundle.path, "--out", out, "--force").exit_code == 0


def test_validate_json_and_exit_codes(bundle: Bundle) -> None:
    found = answer("validate", bundle.path)
    assert found["passed"] is True
    assert found["provider"] == "cpu"
    keys = {"name", "max_abs_error", "max_rel_error", "cosine", "sqnr_db", "passed"}
    assert all(keys <= row.keys() for row in found["outputs"])
    broken_variant(bundle)
    failed = run("validate", bundle.path, "--json")
    assert failed.exit_code == 1
    assert json.loads(failed.stdout)["passed"] is False
    text = run("validate", bundle.path)
    assert text.exit_code == 1
    assert "would pass at rtol" in text.stdout
    assert run("validate", bundle.path, "--atol", "2").exit_code == 0


def test_bench_json(bundle: Bundle) -> None:
    broken_variant(bundle)
    found = answer("bench", bundle.path, "--duration", "0.1")
    keys = {
        "model", "variant", "provider", "threads", "batch", "p50_ms", "p90_ms", "p99_ms",
        "mean_ms", "ci95_ms", "runs", "load_ms", "first_run_ms", "size_bytes",
    }  # fmt: skip
    assert [row["variant"] for row in found["results"]] == ["fp32", "other"]
    for row in found["results"]:
        assert keys <= row.keys()
        low, high = row["ci95_ms"]
        assert 0 < low <= row["p50_ms"] <= high
        assert row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"]
    measured = Bundle.open(bundle.path).variant().measured["latency"]
    assert measured["cpu, 1 thread, batch 1"]["runs"] == found["results"][0]["runs"]


def test_bench_text(bundle: Bundle) -> None:
    result = run("bench", bundle.path, "--duration", "0.05", "--batch", "2")
    assert result.exit_code == 0
    assert "p50 ms" in result.stdout
    assert "onnxruntime" in result.stdout


def test_inspect(bundle: Bundle) -> None:
    found = answer("inspect", bundle.path, "--fix-axis", "batch=3")
    assert found["operators"] == {"MatMul": 1, "Softmax": 1}
    assert (found["parameters"], found["macs"]) == (12, 36)
    text = run("inspect", bundle.path).stdout
    assert "x: float32 (batch, 4)" in text
    assert "MatMul" in text


def test_providers() -> None:
    found = {row["alias"]: row for row in answer("providers")["providers"]}
    assert found["cpu"]["state"] == "ready"
    assert found["cuda"]["state"] == "wheel"
    assert "edgekit-onnx[cuda]" in found["cuda"]["fix"]
    text = run("providers").stdout
    assert "wheel missing" in text
    assert "wrong platform" in text


def test_providers_check_runs_a_model_and_decides_the_exit_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = answer("providers", "--check")
    assert (found["passed"], found["conflict"]) == (True, None)
    assert found["providers"][0]["trial"]["passed"] is True
    assert "passed (" in run("providers", "--check").stdout
    failed = survey.Status(
        "x", "X", "X", "ready", trial=survey.Trial(passed=False, detail="NaN at (0, 1)")
    )
    monkeypatch.setattr(survey, "survey", lambda trials: survey.Survey("1", ("a", "b"), (failed,)))
    result = run("providers", "--check")
    assert result.exit_code == 1
    assert "x: NaN at (0, 1)" in result.stdout
    assert "Conflict: a and b are installed over each other: pip uninstall -y a b" in result.stdout


def test_a_missing_provider_names_the_step_and_a_fallback_is_said(bundle: Bundle) -> None:
    refused = run("infer", bundle.path, "--provider", "cuda")
    assert refused.exit_code == 3
    assert "wheel" in refused.stderr
    assert "pip install 'edgekit-onnx[cuda]'" in refused.stderr
    fell = run("infer", bundle.path, "--provider", "cuda", "--allow-fallback")
    assert fell.exit_code == 0
    assert "Fell back to cpu" in fell.stdout
    found = answer("infer", bundle.path, "--provider", "cuda", "--allow-fallback")
    assert found["provider"] == "cpu"
    assert "cuda" in found["placement"]["fallback"]


def test_bench_records_nothing_in_a_read_only_bundle(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgekit import bundle as bundles
    from edgekit.errors import OutputError

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise OutputError("read-only")

    monkeypatch.setattr(bundles.Bundle, "record", refuse)
    assert run("bench", bundle.path, "--duration", "0.05").exit_code == 0


@pytest.mark.parametrize("command", ["infer", "validate", "bench"])
def test_providers_in_order_are_the_fallback(bundle: Bundle, command: str) -> None:
    more = ["--duration", "0.05"] if command == "bench" else []
    found = run(command, bundle.path, "--provider", "tensorrt,cuda,cpu", *more)
    assert found.exit_code == 0, found.stderr
    assert "'tensorrt' is not in the installed onnxruntime wheel" in found.stdout
    refused = run(command, bundle.path, "--provider", "tensorrt,cuda", *more)
    assert refused.exit_code == 3


@pytest.mark.parametrize(
    ("option", "value", "code", "words"),
    [
        ("--provider-option", "soc_model", 2, "is not KEY=VALUE"),
        ("--fix-axis", "batch=two", 2, "is not NAME=LENGTH"),
        ("--fix-axis", "batch=0", 2, "is not NAME=LENGTH"),
        ("--fix-axis", "time=4", 3, "no free axis 'time'"),
        ("--provider-option", "cuda.device_id=1", 3, "'cuda', which was not asked for"),
        ("--provider", "cpu,cuda", 3, "give each once, and the cpu last"),
    ],
)
@pytest.mark.parametrize("command", ["infer", "validate", "bench"])
def test_run_options_are_checked(
    bundle: Bundle, command: str, option: str, value: str, code: int, words: str
) -> None:
    result = run(command, bundle.path, option, value)
    assert result.exit_code == code
    assert words in result.stderr


def test_infer_says_what_was_fixed_and_where_the_time_went(classifier: Path) -> None:
    text = run("infer", classifier, "--fix-axis", "batch=1", "--profile").stdout
    assert "Axes fixed for cpu: batch=1." in text
    assert "Time in nodes: 100% on cpu." in text
