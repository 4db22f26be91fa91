"""A brain slice in, its tissues out as a picture: numpy, Pillow and onnxruntime only.

    python examples/segmentation/app.py artifacts/segmentation slice.png [--out tissues.png]

It reads what it needs from the bundle's manifest and never imports edgekit: copy it, and the
bundle, into your own app.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime as ort
from PIL import Image

COLOURS = np.array([(0, 0, 0), (230, 159, 0), (86, 180, 233)], np.uint8)


class Segmenter:
    """A segmentation model: `segment(image) -> classes`, one of `labels` a pixel."""

    def __init__(self, bundle: Path, variant: str = "fp32") -> None:
        manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
        path = next(v["file"]["path"] for v in manifest["variants"] if v["name"] == variant)
        self.session = ort.InferenceSession(bundle / path, providers=["CPUExecutionProvider"])
        self.labels: list[str] = manifest["labels"]
        self.spec = manifest["preprocessing"]

    def segment(self, picture: Image.Image) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
        """Give the class of each pixel, at the size of the picture that came."""
        spec = self.spec
        size = (spec["width"], spec["height"])
        low, high = spec["range"]
        grey = picture.convert("L").resize(size, Image.Resampling.BILINEAR)
        pixels = low + np.asarray(grey, np.float32)[None, ..., None] / 255 * (high - low)
        (scores,) = self.session.run(None, {spec["input"]: pixels.astype(np.float32)})
        classes = Image.fromarray(scores[0].argmax(-1).astype(np.uint8))
        return np.asarray(classes.resize(picture.size, Image.Resampling.NEAREST), np.int64)


def overlay(
    picture: Image.Image, classes: "np.ndarray[tuple[int, int], np.dtype[np.int64]]"
) -> Image.Image:
    """Show the picture and, beside it, its tissues in colour over it."""
    grey = picture.convert("RGB")
    coloured = Image.blend(grey, Image.fromarray(COLOURS[classes]), 0.5)
    both = Image.new("RGB", (2 * grey.width, grey.height))
    both.paste(grey, (0, 0))
    both.paste(coloured, (grey.width, 0))
    return both


def main() -> None:
    """Segment the picture of the command line."""
    parser = argparse.ArgumentParser(description="a brain slice in, its tissues out")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--variant", default="fp32")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with Image.open(given.picture) as opened:
        picture = opened.copy()
    segmenter = Segmenter(given.bundle, given.variant)
    classes = segmenter.segment(picture)
    for label, share in zip(
        segmenter.labels, np.bincount(classes.ravel(), minlength=3), strict=True
    ):
        print(f"{label}: {share / classes.size:.1%}")
    if given.out:
        overlay(picture, classes).save(given.out)


if __name__ == "__main__":
    main()
