"""`edgekit quantize`: where calibration comes from, how ranges are chosen, what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from PIL import Image

from edgekit import files
from edgekit.bundle import Bundle, FileEntry
from tests.cli.test_bad_input import check
from tests.cli.test_device import answer, run
from tests.conftest import write_bundle
from tests.quantizer import models

FEEDS = """
import numpy as np

def rows():
    for seed in range(300):
        yield {"x": np.random.default_rng(seed).random(4, np.float32)}

def wide():
    yield {"x": np.full(4, 255, np.float32) * np.arange(4, dtype=np.float32)}
"""


@pytest.mark.parametrize("method", ["minmax", "entropy", "percentile"])
def test_json_says_how_it_was_calibrated(bundle: Bundle, method: str) -> None:
    found = answer("quantize", bundle.path, "--no-bench", "--method", method, "--samples", "9")
    assert found["passed"] is True
    (made,) = found["quantized"]
    assert made["failures"] == []
    assert "bundle" not in made
    assert made["calibration"]["source"] == "the bundle's calibration.npz"
    assert (made["calibration"]["samples"], made["calibration"]["method"]) == (9, method)
    (row,) = made["calibration"]["inputs"]
    assert row["name"] == "x"
    assert row["declared"] is None
    assert 0 <= row["calibration"][0] < row["calibration"][1] <= 1
    assert 0 <= row["reference"][0] < row["reference"][1] <= 1


def test_code_calibrates(classifier: Path, tmp_path: Path) -> None:
    (tmp_path / "feeds.py").write_text(FEEDS)
    source = f"{tmp_path / 'feeds.py'}:rows"
    found = answer("quantize", classifier, "--calibration", source, "--no-bench")
    calibration = found["quantized"][0]["calibration"]
    assert (calibration["source"], calibration["samples"]) == (source, 256)
    again = ("quantize", str(classifier), "--force", "--calibration")
    check(3, "'no.such:rows' cannot be imported", *again, "no.such:rows")


def test_pictures_calibrate(tmp_path: Path) -> None:
    spec = {"kind": "image", "input": "x", "height": 8, "width": 8, "channels": 3, "range": [0, 1]}
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    shape: list[int | str] = ["batch", 8, 8, 3]
    weights = {"w": models.normal(0, 192, 5)}
    source = models.write(tmp_path / "m.onnx", nodes, {"x": shape}, {"y": ["batch", 5]}, weights)
    bundle = write_bundle(tmp_path / "bundle", source, preprocessing=spec)
    for number in range(3):
        path = tmp_path / "pictures" / str(number % 2) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10), (120 * number,) * 3).save(path)
    found = answer(
        "quantize",
        bundle.path,
        "--calibration",
        tmp_path / "pictures",
        "--no-bench",
        "--samples",
        "3",
    )
    assert found["quantized"][0]["calibration"]["samples"] == 3
    assert found["quantized"][0]["calibration"]["inputs"][0]["declared"] == [0, 1]


def test_another_range_is_refused_with_both(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "feeds.py").write_text(FEEDS)
    words = "'x' goes from 0 to 765 where the model's reference inputs go from 0."
    check(3, words, "quantize", str(bundle.path), "--calibration", f"{tmp_path / 'feeds.py'}:wide")


def test_a_guard_that_fails_is_a_verdict(tmp_path: Path) -> None:
    source = models.mobile(tmp_path / "m.onnx", spread=4)
    np.savez(tmp_path / "data.npz", x=models.normal(0, 32, 3, 16, 16))
    args: list[Any] = ["quantize", source, "--recipe", "npu-int8", "--no-bench", "--force"]
    args += ["--calibration", tmp_path / "data.npz"]
    failed = run(*args)
    assert failed.exit_code == 1, failed.stderr
    assert "m.int8-npu.onnx: dead-channels: weights of 'dw0': 6 of 16 channels" in failed.stdout
    equal = run(*args, "--equalize", "--correct-bias")
    assert equal.exit_code == 0, equal.stderr
    assert "equalised 4 pairs of layers" in equal.stdout
    assert "the biases of 6 layers were corrected" in equal.stdout


def test_what_parity_finds_wrong_has_its_name(bundle: Bundle) -> None:
    inputs = {"x": np.full((4, 4), 0.5, np.float32)}
    groups = files.load_groups(bundle.path / "reference.npz")
    outputs = {name: array[:1].repeat(4, 0) for name, array in groups["outputs"].items()}
    files.save_arrays(bundle.path / "reference.npz", {"inputs": inputs, "outputs": outputs})
    bundle.add(bundle.variant(), {"reference": FileEntry.of(bundle.path / "reference.npz")})
    found = run("quantize", bundle.path, "--recipe", "fp16", "--no-bench")
    assert found.exit_code == 1
    assert "fp16: degenerate: the reference: every sample has the same answer" in found.stdout


@pytest.mark.parametrize("recipe", ["static-int8", "dynamic-int8", "fp16"])
def test_what_is_no_smaller_and_what_was_not_timed_are_said(bundle: Bundle, recipe: str) -> None:
    found = answer("quantize", bundle.path, "--recipe", recipe, "--no-bench")
    assert "not timed: whether it is faster than float is not known" in found["notes"]
    assert any("not smaller than float (" in note for note in found["notes"])


def test_a_bundle_can_be_quantized_to_a_file_elsewhere(bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere" / "small.onnx"
    found = answer("quantize", bundle.path, "--out", out, "--no-bench")
    assert [row["variant"] for row in found["rows"]] == ["fp32", "small.onnx"]
    assert found["rows"][1]["passed"] is True
    assert found["rows"][1]["size_bytes"] == out.stat().st_size
    assert [v.name for v in Bundle.open(bundle.path).manifest.variants] == ["fp32"]
