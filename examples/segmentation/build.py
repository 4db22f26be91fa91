"""Train a small U-Net on brain slices and make a bundle of it.

    python -m examples.segmentation.build [--out artifacts/segmentation] [--epochs 25]

The picture is nilearn's: the MNI ICBM152 T1 template, an average of 152 real scans, with maps of
grey and white matter, all of them inside the package. Slices are held out by place: a band of the
head that the network never sees, with a gap to what it trains on. An average is cleaner than a
scan, so each slice gets what a scanner adds, simulated: the shading of a coil, and noise. The
baseline is logistic regression on a pixel's brightness and place.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import edgekit
from edgekit import metrics
from examples.measure import latency_line
from examples.segmentation.app import Segmenter, overlay
from model_defs.metrics import mean_iou

Array = np.ndarray[Any, np.dtype[Any]]
LABELS = ("background", "grey matter", "white matter")
#: Millimetres along the body: the slices with brain in them, those held out, the gap on each side.
SLICES, HELD_OUT, GAP = range(40, 150), range(85, 105), 5
#: Two millimetres a pixel, cut to lengths that two poolings halve.
SIZE = (112, 96)


@dataclass(frozen=True)
class Slices:
    """Pictures `(n, 112, 96, 1)` float32 in 0..1 and classes `(n, 112, 96)` int32."""

    images: Array
    classes: Array


def data() -> tuple[Slices, Slices]:
    """Give the training slices and those held out."""
    from nilearn import datasets

    head, grey, white = (
        np.asarray(load(resolution=1).get_fdata(), np.float32)
        for load in (
            datasets.load_mni152_template,
            datasets.load_mni152_gm_template,
            datasets.load_mni152_wm_template,
        )
    )
    tissue = np.stack([1 - np.maximum(grey + white, 0.5), grey, white], -1).argmax(-1)
    train = [z for z in SLICES if z < HELD_OUT.start - GAP or z >= HELD_OUT.stop + GAP]
    return _slices(head, tissue, train), _slices(head, tissue, list(HELD_OUT))


def _slices(head: Array, tissue: Array, places: list[int]) -> Slices:
    height, width = SIZE
    rows, columns = slice(4, 4 + 2 * height, 2), slice(2, 2 + 2 * width, 2)
    images = head.transpose(2, 1, 0)[places][:, rows, columns, None]
    classes = tissue.transpose(2, 1, 0)[places][:, rows, columns]
    return Slices(np.clip(images / head.max(), 0, 1), classes.astype(np.int32))


def scanned(slices: Slices, seed: int, *, moved: bool = True) -> Slices:
    """Slices as a scanner gives them: shading of up to 40%, noise; mirrored and shifted if `moved`.

    The magnitude of a complex signal with normal noise is what a scanner shows (Gudbjartsson and
    Patz, 1995).
    """
    rng = np.random.default_rng(seed)
    images, classes = slices.images.copy(), slices.classes.copy()
    y, x = np.mgrid[-1 : 1 : SIZE[0] * 1j, -1 : 1 : SIZE[1] * 1j]
    for i in range(len(images)):
        if moved:
            dy, dx = rng.integers(-6, 7, 2)
            step = rng.choice((-1, 1))
            images[i] = np.roll(images[i][:, ::step], (dy, dx), (0, 1))
            classes[i] = np.roll(classes[i][:, ::step], (dy, dx), (0, 1))
        a, b, c = rng.uniform(-1, 1, 3)
        shading = np.exp(0.4 * (a * x + b * y + c * x * y))[..., None]
        real, imaginary = rng.normal(0, 0.06, (2, *images[i].shape))
        images[i] = np.hypot(images[i] * shading * 0.8 + real, imaginary)
    return Slices(np.clip(images, 0, 1), classes)


def build(filters: int = 12) -> Any:
    """`image` `(batch, 112, 96, 1)` -> `tissue` `(batch, 112, 96, 3)`, probabilities of a U-Net."""
    import keras

    layers = keras.layers

    def block(x: Any, depth: int, name: str) -> Any:
        for i in (1, 2):
            x = layers.Conv2D(depth, 3, padding="same", use_bias=False, name=f"{name}_conv{i}")(x)
            x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm{i}")(x)
            x = layers.ReLU(name=f"{name}_relu{i}")(x)
        return x

    image = keras.Input((*SIZE, 1), name="image")
    fine = block(image, filters, "down1")
    middle = block(layers.MaxPooling2D(name="pool1")(fine), 2 * filters, "down2")
    coarse = block(layers.MaxPooling2D(name="pool2")(middle), 4 * filters, "bottom")
    up = layers.UpSampling2D(interpolation="bilinear", name="up2")(coarse)
    up = block(layers.Concatenate(name="join2")([up, middle]), 2 * filters, "up2b")
    up = layers.UpSampling2D(interpolation="bilinear", name="up1")(up)
    up = block(layers.Concatenate(name="join1")([up, fine]), filters, "up1b")
    tissue = layers.Conv2D(len(LABELS), 1, activation="softmax", name="tissue")(up)
    return keras.Model(image, tissue, name="segmentation")


def baseline(train: Slices, test: Slices) -> float:
    """Mean IoU of logistic regression on brightness, its square, and the distance to the middle."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def features(slices: Slices) -> Array:
        images = slices.images[..., 0]
        y, x = np.mgrid[-1 : 1 : images.shape[1] * 1j, -1 : 1 : images.shape[2] * 1j]
        place = np.broadcast_to(np.hypot(y, x), images.shape)
        return np.stack([images, images**2, place, place**2, place * images], -1).reshape(-1, 5)

    some = np.random.default_rng(0).permutation(train.classes.size)[:50_000]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(features(train)[some], train.classes.reshape(-1)[some])
    return mean_iou(model.predict_proba(features(test)), test.classes.reshape(-1))


def main() -> None:
    """Train, measure, export."""
    import keras

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", default="artifacts/segmentation")
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    keras.utils.set_random_seed(given.seed)
    clean, test = data()
    train, test = scanned(clean, 999), scanned(test, 1000, moved=False)
    model = build()
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    for epoch in range(given.epochs):
        seen = scanned(clean, seed=given.seed + epoch)
        model.optimizer.learning_rate = 3e-3 * 0.5 * (1 + np.cos(np.pi * epoch / given.epochs))
        model.fit(seen.images, seen.classes, batch_size=4, verbose=0)
    edgekit.export(
        model,
        given.out,
        labels=LABELS,
        task="semantic-segmentation",
        metric="mean_iou",
        preprocessing={
            "kind": "image",
            "input": "image",
            "height": SIZE[0],
            "width": SIZE[1],
            "channels": 1,
            "range": [0, 1],
        },
        calibration={"image": train.images[::2]},
        evaluation={"image": test.images, "targets": test.classes},
        force=True,
    )
    edgekit.quantize(given.out, "static-int8")
    report(edgekit.Bundle.open(given.out), train, test)
    draw(Path(given.out), test)


def report(bundle: Any, train: Slices, test: Slices) -> None:
    """Print the quality of each variant beside the baseline, its size and its latency."""
    for variant in bundle.manifest.variants:
        with edgekit.open(bundle, variant=variant.name) as runner:
            print(f"{variant.name}: mean IoU {metrics.evaluate(bundle, runner):.3f}")
        print(f"    {variant.file.size_bytes / 1024:.0f} KiB")
        print(f"    {latency_line(bundle.path / variant.file.path)}")
    print(f"logistic regression on a pixel: mean IoU {baseline(train, test):.3f}")
    nothing = np.eye(len(LABELS))[np.zeros_like(test.classes)]
    print(f"all background: mean IoU {mean_iou(nothing, test.classes):.3f}")


def draw(folder: Path, test: Slices) -> None:
    """Leave a held-out slice to try, and its tissues beside what the map says."""
    picture = Image.fromarray((test.images[5, ..., 0] * 255).astype(np.uint8))
    picture.save(folder / "slice.png")
    shown = overlay(picture, Segmenter(folder).segment(picture))
    truth = overlay(picture, test.classes[5].astype(np.int64))
    both = Image.new("RGB", (shown.width + picture.width, shown.height))
    both.paste(shown, (0, 0))
    both.paste(truth.crop((picture.width, 0, 2 * picture.width, picture.height)), (shown.width, 0))
    both.resize((4 * both.width, 4 * both.height)).save(folder / "tissues.png")


if __name__ == "__main__":
    main()
