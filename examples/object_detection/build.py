"""Train a small detector of handwritten digits and make a bundle of it, with NMS in the graph.

    python -m examples.object_detection.build [--out artifacts/object_detection] [--epochs 12]

The digits are scikit-learn's, at 18 to 34 pixels on a canvas of 96 with lines across it; the digits
of the test canvases are held out. A cell of a 12 x 12 grid near a digit's centre says its class and
how far its box's sides are (FCOS, Tian et al. 2019); boxes and NMS are layers of the exported
model, so the file's answers are final. The baseline: connected components of bright pixels, each
read by logistic regression on an 8 x 8 crop.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

import edgekit
from examples.measure import latency_line
from examples.object_detection.app import Detector, drawn

Array = np.ndarray[Any, np.dtype[Any]]
CANVAS, STRIDE, CLASSES, MOST = 96, 8, 10, 8
GRID = CANVAS // STRIDE
#: What a box in the file is worth: the least score, and the overlap that two boxes may have.
LEAST_SCORE, MOST_OVERLAP = 0.4, 0.5


@dataclass(frozen=True)
class Scenes:
    """Pictures `(n, 96, 96, 1)` float32 in 0..1; boxes `(y0, x0, y1, x1)` in pixels, and digits."""

    images: Array
    boxes: list[Array]
    digits: list[Array]


def glyphs(seed: int = 0) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Give scikit-learn's digits `(n, 8, 8)` in 0..1 and their classes: to train with, held out."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, classes = load_digits(return_X_y=True)
    split = train_test_split(
        pixels.reshape(-1, 8, 8) / 16, classes, test_size=0.25, stratify=classes, random_state=seed
    )
    return (split[0], split[2]), (split[1], split[3])


def scenes(glyph: Array, classes: Array, count: int, seed: int) -> Scenes:
    """Compose `count` canvases of one to five digits that touch no more than a little."""
    rng = np.random.default_rng(seed)
    images, boxes, digits = [], [], []
    for _ in range(count):
        canvas = np.zeros((CANVAS, CANVAS), np.float32)
        placed: list[Array] = []
        known: list[int] = []
        for _ in range(rng.integers(1, 6)):
            i, side = rng.integers(len(glyph)), int(rng.integers(18, 35))
            top, left = rng.integers(0, CANVAS - side, 2)
            box = np.array([top, left, top + side, left + side], np.float32)
            if placed and iou(box[None], np.stack(placed)).max() > 0.05:
                continue
            scaled = Image.fromarray(glyph[i].astype(np.float32)).resize((side, side))
            window = canvas[top : top + side, left : left + side]
            np.maximum(window, np.asarray(scaled) * rng.uniform(0.7, 1), out=window)
            placed.append(_tight(np.asarray(scaled), box))
            known.append(int(classes[i]))
        lines = Image.new("L", (CANVAS, CANVAS))
        draw = ImageDraw.Draw(lines)
        for _ in range(rng.integers(0, 4)):
            draw.line([tuple(p) for p in rng.integers(0, CANVAS, (2, 2)).tolist()], 160)
        canvas = np.maximum(canvas, np.asarray(lines, np.float32) / 255)
        noisy = canvas + rng.normal(0, 0.05, canvas.shape)
        images.append(np.clip(noisy, 0, 1).astype(np.float32)[..., None])
        boxes.append(np.stack(placed))
        digits.append(np.array(known))
    return Scenes(np.stack(images), boxes, digits)


def _tight(pixels: Array, box: Array) -> Array:
    """Shrink a box to the ink inside of it."""
    ink = pixels > 0.2
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    return box[[0, 1, 0, 1]] + np.array(
        [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1], np.float32
    )


def iou(a: Array, b: Array) -> Array:
    """Intersection over union of boxes `(n, 4)` and `(m, 4)`: `(n, m)`."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (a, b)]
    ratio: Array = both / (areas[0][:, None] + areas[1][None] - both)
    return ratio


def targets(known: Scenes) -> Array:
    """`(n, 12, 12, 14)`: ten classes, then how far the box's sides are in cells."""
    out = np.zeros((len(known.images), GRID, GRID, CLASSES + 4), np.float32)
    centres = (np.arange(GRID) + 0.5) * STRIDE
    y, x = np.meshgrid(centres, centres, indexing="ij")
    for i, (boxes, digits) in enumerate(zip(known.boxes, known.digits, strict=True)):
        for box, digit in zip(boxes, digits, strict=True):
            sides = np.stack([y - box[0], x - box[1], box[2] - y, box[3] - x], -1)
            middle = (box[:2] + box[2:]) / 2
            near = np.maximum(abs(y - middle[0]), abs(x - middle[1])) <= 0.75 * STRIDE
            cells = near & (sides > 0).all(-1)
            out[i, cells, digit] = 1
            out[i, cells, CLASSES:] = sides[cells] / STRIDE
    return out


def network() -> Any:
    """`image` -> `(batch, 12, 12, 14)`: probabilities of the classes, sides of the box in cells."""
    import keras

    layers = keras.layers
    image = keras.Input((CANVAS, CANVAS, 1), name="image")
    x = image
    for stage, depth in enumerate((16, 32, 64), start=1):
        x = layers.Conv2D(depth, 3, padding="same", use_bias=False, name=f"conv{stage}")(x)
        x = layers.ReLU(name=f"relu{stage}")(
            layers.BatchNormalization(momentum=0.9, name=f"norm{stage}")(x)
        )
        x = layers.MaxPooling2D(name=f"pool{stage}")(x)
    for stage in (4, 5):
        x = layers.Conv2D(64, 3, padding="same", use_bias=False, name=f"conv{stage}")(x)
        x = layers.ReLU(name=f"relu{stage}")(
            layers.BatchNormalization(momentum=0.9, name=f"norm{stage}")(x)
        )
    rare = keras.initializers.Constant(-4.0)  # most cells hold nothing (Lin et al., 2017)
    classes = layers.Conv2D(CLASSES, 1, activation="sigmoid", bias_initializer=rare, name="class")(
        x
    )
    sides = layers.Conv2D(4, 1, activation="softplus", name="sides")(x)
    return keras.Model(image, layers.Concatenate(name="cells")([classes, sides]), name="cells")


def loss(truth: Any, found: Any) -> Any:
    """Focal loss of the classes, and one minus the IoU where there is a box."""
    from keras import ops

    wanted, given = truth[..., :CLASSES], ops.clip(found[..., :CLASSES], 1e-6, 1 - 1e-6)
    right = ops.where(wanted > 0, given, 1 - given)
    focal = -ops.sum(ops.square(1 - right) * ops.log(right))
    held = ops.max(wanted, -1)
    a, b = truth[..., CLASSES:], found[..., CLASSES:]
    least = ops.minimum(a, b)
    both = (least[..., 0] + least[..., 2]) * (least[..., 1] + least[..., 3])
    areas = [(s[..., 0] + s[..., 2]) * (s[..., 1] + s[..., 3]) for s in (a, b)]
    apart = 1 - both / (areas[0] + areas[1] - both + 1e-6)
    return (focal + 2 * ops.sum(held * apart)) / ops.maximum(ops.sum(held), 1.0)


def detector(cells: Any) -> Any:
    """`image` -> `boxes` `(batch, 8, 4)` in pixels, `scores` and `classes` `(batch, 8)`.

    What is not found is a row of zeros. The boxes go through TensorFlow's combined NMS, which
    becomes ONNX's NonMaxSuppression.
    """
    import keras
    import tensorflow as tf

    class Answer(keras.layers.Layer):  # type: ignore[misc] # keras ships no types
        """Cells become boxes, and of boxes that overlap the best stays."""

        def call(self, found: Any) -> Any:
            centres = (np.arange(GRID, dtype=np.float32) + 0.5) * STRIDE
            middle = np.stack(np.meshgrid(centres, centres, indexing="ij"), -1).reshape(1, -1, 2)
            rows = tf.reshape(found, (-1, GRID * GRID, CLASSES + 4))
            low, high = rows[..., CLASSES : CLASSES + 2], rows[..., CLASSES + 2 :]
            boxes = tf.concat([middle - STRIDE * low, middle + STRIDE * high], -1)
            kept = tf.image.combined_non_max_suppression(
                boxes[:, :, None], rows[..., :CLASSES], MOST, MOST, MOST_OVERLAP, LEAST_SCORE,
                clip_boxes=False,
            )  # fmt: skip
            return {
                "boxes": kept.nmsed_boxes,
                "scores": kept.nmsed_scores,
                "classes": kept.nmsed_classes,
            }

    return keras.Model(cells.inputs, Answer(name="answer")(cells.output), name="object_detection")


def average_precision(
    found: list[tuple[Array, Array, Array]], known: Scenes, overlap: float = 0.5
) -> float:
    """Mean, over the digits there are, of the area under precision and recall (VOC, 2010)."""
    from sklearn.metrics import average_precision_score

    areas = []
    for digit in np.unique(np.concatenate(known.digits)):
        hits: list[bool] = []
        scores: list[float] = []
        total = sum(int((digits == digit).sum()) for digits in known.digits)
        for (boxes, confidence, classes), truth, digits in zip(
            found, known.boxes, known.digits, strict=True
        ):
            left = list(truth[digits == digit])
            mine = classes == digit
            for box, score in sorted(
                zip(boxes[mine], confidence[mine], strict=True), key=lambda pair: -pair[1]
            ):
                overlaps = iou(box[None], np.stack(left))[0] if left else np.zeros(1)
                hits.append(bool(overlaps.max() >= overlap))
                scores.append(float(score))
                if hits[-1]:
                    left.pop(int(overlaps.argmax()))
        area = average_precision_score(hits, scores) if any(hits) else 0.0
        areas.append(area * sum(hits) / total)
    return float(np.mean(areas))


def baseline(glyph: Array, classes: Array, test: Scenes) -> float:
    """Average precision of connected components read by logistic regression."""
    from scipy import ndimage
    from sklearn.linear_model import LogisticRegression

    reader = LogisticRegression(max_iter=1000)
    reader.fit(np.stack([_crop(g) for g in glyph]), classes)
    found = []
    for image in test.images[..., 0]:
        parts, _ = ndimage.label(image > 0.35, np.ones((3, 3)))
        windows = [w for w in ndimage.find_objects(parts) if w and min(_sides(w)) >= 6]
        if not windows:
            found.append((np.zeros((0, 4)), np.zeros(0), np.zeros(0)))
            continue
        scores = reader.predict_proba(np.stack([_crop(image[w]) for w in windows]))
        boxes = [(w[0].start, w[1].start, w[0].stop, w[1].stop) for w in windows]
        found.append((np.array(boxes, np.float32), scores.max(1), scores.argmax(1)))
    return average_precision(found, test)


def _sides(window: tuple[slice, slice]) -> tuple[int, int]:
    return window[0].stop - window[0].start, window[1].stop - window[1].start


def _crop(pixels: Array) -> Array:
    """The ink of a picture as 64 numbers."""
    ink = pixels > 0.2
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    inside = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.asarray(Image.fromarray(inside.astype(np.float32)).resize((8, 8))).reshape(-1)


def answers(runner: Any, images: Array) -> list[tuple[Array, Array, Array]]:
    """Boxes, scores and classes of each picture, without the rows that hold nothing."""
    out = []
    for start in range(0, len(images), 16):
        got = runner.run({"image": images[start : start + 16]})
        for boxes, scores, classes in zip(got["boxes"], got["scores"], got["classes"], strict=True):
            held = scores > 0
            out.append((boxes[held], scores[held], classes[held]))
    return out


def main() -> None:
    """Train, measure, export."""
    import keras

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", default="artifacts/object_detection")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--scenes", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    keras.utils.set_random_seed(given.seed)
    train_glyphs, test_glyphs = glyphs(given.seed)
    train = scenes(*train_glyphs, given.scenes, seed=given.seed)
    test = scenes(*test_glyphs, 200, seed=given.seed + 1)
    cells = network()
    steps = given.epochs * -(-given.scenes // 16)
    cells.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)), loss)
    cells.fit(train.images, targets(train), batch_size=16, epochs=given.epochs, verbose=0)
    edgekit.export(
        detector(cells),
        given.out,
        task="object-detection",
        labels=[str(digit) for digit in range(CLASSES)],
        preprocessing={
            "kind": "image",
            "input": "image",
            "height": CANVAS,
            "width": CANVAS,
            "channels": 1,
            "range": [0, 1],
        },
        calibration={"image": train.images[:128]},
        reference={"image": test.images[:4]},
        force=True,
    )
    edgekit.quantize(given.out, "static-int8")
    report(edgekit.Bundle.open(given.out), baseline(*train_glyphs, test), test)
    draw(Path(given.out), test)


def report(bundle: Any, simple: float, test: Scenes) -> None:
    """Print the quality of each variant beside the baseline, its size and its latency."""
    for variant in bundle.manifest.variants:
        with edgekit.open(bundle, variant=variant.name) as runner:
            print(
                f"{variant.name}: mAP {average_precision(answers(runner, test.images), test):.3f}"
            )
        print(f"    {variant.file.size_bytes / 1024:.0f} KiB")
        print(f"    {latency_line(bundle.path / variant.file.path)}")
    print(f"connected components and logistic regression: mAP {simple:.3f}")


def draw(folder: Path, test: Scenes) -> None:
    """Leave a held-out canvas to try, and what is found on it."""
    picture = Image.fromarray((test.images[2, ..., 0] * 255).astype(np.uint8))
    picture.save(folder / "canvas.png")
    drawn(picture, Detector(folder).detect(picture)).save(folder / "boxes.png")


if __name__ == "__main__":
    main()
