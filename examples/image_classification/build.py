"""Train the digit reader and write the page that people draw on.

    python -m examples.image_classification.build [--out artifacts/digits-page]

The network is the reference model `cnn`; the page comes from `edgekit embed --target web`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import edgekit
from edgekit import metrics
from edgekit.bundle import Bundle
from examples.measure import latency_line


def page(bundle: Bundle, out: Path) -> None:
    """Write the page of a bundle, and print the quality, size and latency of each variant."""
    for variant in bundle.manifest.variants:
        with edgekit.open(bundle, variant=variant.name) as runner:
            print(f"{variant.name}: accuracy {metrics.evaluate(bundle, runner):.3f}")
        print(f"    {variant.file.size_bytes / 1024:.0f} KiB")
        print(f"    {latency_line(bundle.path / variant.file.path)}")
    written = edgekit.embed(bundle, "web", out, force=True)
    print(f"{written.path}: {written.variant}, {written.size_bytes / 1024:.0f} KiB")


def main() -> None:
    """Train if need be, export, quantise, embed; the baseline is the model's own."""
    parser = argparse.ArgumentParser(description="the page that reads a digit")
    parser.add_argument("--out", type=Path, default=Path("artifacts/digits-page"))
    given = parser.parse_args()
    from model_defs.data import digits

    folder = given.out.with_name(f"{given.out.name}-bundle")
    edgekit.export("cnn", folder, force=True)
    edgekit.quantize(folder, "static-int8")
    page(Bundle.open(folder), given.out)
    name, accuracy = digits.baseline(digits.data())
    print(f"{name}: accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
