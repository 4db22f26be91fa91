"""Brain slices: the data, and a network trained for a moment against the baseline."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from examples.segmentation import build

EXAMPLE = Path(build.__file__).parent


@pytest.fixture(scope="module")
def slices() -> tuple[build.Slices, build.Slices]:
    pytest.importorskip("nilearn", reason="nilearn is not installed: pip install '.[examples]'")
    return build.data()


def test_the_held_out_slices_are_apart_from_the_others(
    slices: tuple[build.Slices, build.Slices],
) -> None:
    train, test = slices
    assert train.images.shape == (80, *build.SIZE, 1)
    assert test.images.shape == (20, *build.SIZE, 1)
    assert 0 <= train.images.min() < 0.01 < 0.9 < train.images.max() <= 1
    for classes in (train.classes, test.classes):
        assert (np.bincount(classes.ravel()) / classes.size > 0.05).all(), "every tissue is there"


def test_a_scan_keeps_its_tissues_under_shading_and_noise(
    slices: tuple[build.Slices, build.Slices],
) -> None:
    clean = slices[1]
    first, again = build.scanned(clean, 1, moved=False), build.scanned(clean, 1, moved=False)
    assert np.array_equal(first.images, again.images), "one seed, one scan"
    assert np.array_equal(first.classes, clean.classes)
    assert 0.02 < abs(first.images - clean.images).mean() < 0.2
    assert not np.array_equal(build.scanned(clean, 1).classes, clean.classes), "it is moved"


@pytest.mark.keras
def test_a_network_trained_for_a_moment_beats_the_baseline(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    slices: tuple[build.Slices, build.Slices],
) -> None:
    pytest.importorskip("keras", reason="Keras is not installed: pip install '.[export]'")
    bundle = tmp_path / "bundle"
    monkeypatch.setattr(sys, "argv", ["build.py", "--out", str(bundle), "--epochs", "5"])
    build.main()
    lines = [line for line in capsys.readouterr().out.splitlines() if "mean IoU" in line]
    found = {name: float(value) for name, value in (line.split(": mean IoU ") for line in lines)}
    assert found["fp32"] > found["logistic regression on a pixel"] > 0.5 > found["all background"]
    assert abs(found["int8"] - found["fp32"]) < 0.03
    assert (bundle / "tissues.png").stat().st_size > 1000
    scan = build.scanned(slices[1], 3, moved=False)
    picture = tmp_path / "slice.png"
    Image.fromarray((scan.images[5, ..., 0] * 255).astype(np.uint8)).save(picture)
    done = subprocess.run(
        [sys.executable, EXAMPLE / "app.py", bundle, picture, "--out", tmp_path / "tissues.png"],
        capture_output=True,
        text=True,
        check=True,
    )
    shares = dict(line.split(": ") for line in done.stdout.splitlines())
    assert set(shares) == set(build.LABELS)
    truth = np.bincount(scan.classes[5].ravel(), minlength=3) / scan.classes[5].size
    measured = [float(shares[label].rstrip("%")) / 100 for label in build.LABELS]
    assert np.allclose(measured, truth, atol=0.1)
    with Image.open(tmp_path / "tissues.png") as shown:
        assert shown.size == (2 * build.SIZE[1], build.SIZE[0])
