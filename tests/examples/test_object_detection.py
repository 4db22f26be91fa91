"""Digits on a canvas: scenes, the measure, and a detector trained for a moment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from examples.object_detection import build
from examples.object_detection.app import Detector, drawn

GLYPHS = np.pad(np.ones((10, 4, 4)), ((0, 0), (2, 2), (2, 2)))
KNOWN = build.scenes(GLYPHS, np.arange(10), 20, seed=0)


def perfect() -> list[tuple[Any, Any, Any]]:
    return [
        (boxes, np.ones(len(boxes)), digits)
        for boxes, digits in zip(KNOWN.boxes, KNOWN.digits, strict=True)
    ]


def half_found() -> list[tuple[Any, Any, Any]]:
    return [
        answer if i % 2 else (np.zeros((0, 4)), np.zeros(0), np.zeros(0))
        for i, answer in enumerate(perfect())
    ]


def moved() -> list[tuple[Any, Any, Any]]:
    return [(boxes + 30, scores, digits) for boxes, scores, digits in perfect()]


def twice() -> list[tuple[Any, Any, Any]]:
    """Every box again, and surer: the second of two that hit one digit is wrong."""
    return [
        (np.repeat(boxes, 2, 0), np.repeat(scores, 2), np.repeat(digits, 2))
        for boxes, scores, digits in perfect()
    ]


@pytest.mark.parametrize(
    ("found", "least", "most"),
    [
        pytest.param(perfect(), 1.0, 1.0, id="all right"),
        pytest.param(half_found(), 0.3, 0.7, id="half of the pictures"),
        pytest.param(moved(), 0.0, 0.05, id="beside the digits"),
        pytest.param(twice(), 0.3, 0.8, id="each box twice"),
    ],
)
def test_average_precision_counts_what_is_right(found: Any, least: float, most: float) -> None:
    assert least <= build.average_precision(found, KNOWN) <= most


def test_boxes_come_back_from_the_cells_that_a_network_learns() -> None:
    cells = build.targets(KNOWN)
    for i, boxes in enumerate(KNOWN.boxes):
        rows, columns = np.nonzero(cells[i, ..., : build.CLASSES].any(-1))
        middle = (np.stack([rows, columns], -1) + 0.5) * build.STRIDE
        sides = cells[i, rows, columns, build.CLASSES :] * build.STRIDE
        decoded = np.concatenate([middle - sides[:, :2], middle + sides[:, 2:]], -1)
        overlaps = build.iou(decoded.astype(np.float32), boxes)
        assert np.allclose(overlaps.max(1), 1, atol=1e-4), "a cell has the box of a digit"
        assert np.allclose(overlaps.max(0), 1, atol=1e-4), "a digit has a cell"


def test_digits_of_a_scene_do_not_cover_each_other() -> None:
    for boxes in KNOWN.boxes:
        overlaps = build.iou(boxes, boxes)
        assert (overlaps - np.eye(len(boxes))).max() <= 0.1


@pytest.mark.keras
def test_a_detector_trained_for_a_moment_finds_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("keras", reason="Keras is not installed: pip install '.[export]'")
    arguments = ["--out", str(tmp_path / "bundle"), "--scenes", "320", "--epochs", "12"]
    monkeypatch.setattr(sys, "argv", ["build.py", *arguments])
    build.main()
    first = capsys.readouterr().out.splitlines()[0]
    assert float(first.removeprefix("fp32: mAP ")) > 0.15, "an untrained one has 0.00"
    assert (tmp_path / "bundle" / "boxes.png").stat().st_size > 1000
    _, held_out = build.glyphs()
    scene = build.scenes(*held_out, 8, seed=5)
    detector = Detector(tmp_path / "bundle")
    right = 0
    for image, boxes, digits in zip(scene.images, scene.boxes, scene.digits, strict=True):
        picture = Image.fromarray((image[..., 0] * 255).astype(np.uint8)).resize((192, 192))
        found = detector.detect(picture)
        assert found == sorted(found, key=lambda one: -one.score)
        for one in found:
            left, top, wide, tall = (side / 2 for side in one.box)
            overlaps = build.iou(np.array([[top, left, tall, wide]], np.float32), boxes)[0]
            right += overlaps.max() > 0.5 and digits[overlaps.argmax()] == int(one.label)
        assert drawn(picture, found, scale=2).size == (384, 384)
    assert right >= 2
