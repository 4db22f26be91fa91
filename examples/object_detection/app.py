"""A picture in, the digits on it and their boxes out: numpy, Pillow and onnxruntime only.

    python examples/object_detection/app.py artifacts/object_detection canvas.png [--out boxes.png]

The file's answers are final: boxes and their suppression are in the graph. It reads what it needs
from the bundle's manifest and never imports edgekit: copy it, and the bundle, into your own app.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from PIL import Image, ImageDraw


@dataclass(frozen=True)
class Found:
    """One object; its box is `(left, top, right, bottom)` in the pixels of the picture."""

    label: str
    score: float
    box: tuple[float, float, float, float]


class Detector:
    """An object detector: `detect(image) -> [Found, ...]`, the surest first."""

    def __init__(self, bundle: Path, variant: str = "fp32") -> None:
        manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
        path = next(v["file"]["path"] for v in manifest["variants"] if v["name"] == variant)
        self.session = ort.InferenceSession(bundle / path, providers=["CPUExecutionProvider"])
        self.labels: list[str] = manifest["labels"]
        self.spec = manifest["preprocessing"]

    def detect(self, picture: Image.Image) -> list[Found]:
        """Give what is found, at least as sure as the model was exported to be."""
        spec = self.spec
        size = (spec["width"], spec["height"])
        low, high = spec["range"]
        grey = picture.convert("L").resize(size, Image.Resampling.BILINEAR)
        pixels = low + np.asarray(grey, np.float32)[None, ..., None] / 255 * (high - low)
        names = ["boxes", "scores", "classes"]
        boxes, scores, classes = self.session.run(names, {spec["input"]: pixels.astype(np.float32)})
        wide, tall = picture.width / size[0], picture.height / size[1]
        return [
            Found(
                self.labels[int(kind)], float(score), (x0 * wide, y0 * tall, x1 * wide, y1 * tall)
            )
            for (y0, x0, y1, x1), score, kind in zip(
                boxes[0].tolist(), scores[0], classes[0], strict=True
            )
            if score > 0
        ]


def drawn(picture: Image.Image, found: list[Found], scale: int = 4) -> Image.Image:
    """Show the picture, larger, with its boxes."""
    shown = picture.convert("RGB").resize((picture.width * scale, picture.height * scale))
    draw = ImageDraw.Draw(shown)
    for one in found:
        left, top, right, bottom = (side * scale for side in one.box)
        draw.rectangle((left, top, right, bottom), outline="orange", width=2)
        draw.text((left + 4, top + 2), f"{one.label} {one.score:.0%}", fill="white")
    return shown


def main() -> None:
    """Detect on the picture of the command line."""
    parser = argparse.ArgumentParser(description="a picture in, the digits on it out")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--variant", default="fp32")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with Image.open(given.picture) as opened:
        picture = opened.copy()
    found = Detector(given.bundle, given.variant).detect(picture)
    for one in found:
        print(f"{one.label} ({one.score:.0%}) at {', '.join(f'{side:.0f}' for side in one.box)}")
    if given.out:
        drawn(picture, found).save(given.out)


if __name__ == "__main__":
    main()
