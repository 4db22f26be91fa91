"""From a picture to what the model takes: resized, in the model's range."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

HELP = "a picture (needs Pillow), or a .npy file with an array (height, width[, channels])"
Input = np.ndarray[Any, np.dtype[Any]]


def read(word: str) -> Input:
    """Read a .npy file, or a picture with Pillow."""
    if Path(word).suffix == ".npy":
        array: Input = np.load(word, allow_pickle=False)
        return array
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise ValueError("a picture needs Pillow: pip install pillow, or give .npy") from None
    with Image.open(word) as picture:
        return np.asarray(picture.convert("RGB"))


def encode(given: Input, spec: dict[str, Any]) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """Turn a picture `(height, width[, channels])` into `(1, height, width, channels)` float32.

    Bytes are 0..255, floats 0..1; grey is made of colours as television did (ITU-R 601).
    """
    rule = spec["preprocessing"]
    pixels = given / 255.0 if given.dtype == np.uint8 else np.asarray(given, np.float64)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
        raise ValueError(f"the picture has shape {given.shape}: give (height, width[, 3])")
    if pixels.shape[2] > rule["channels"]:
        pixels = pixels @ np.array([[0.299], [0.587], [0.114]])
    pixels = np.repeat(pixels, rule["channels"] // pixels.shape[2], axis=2)
    rows = weights(pixels.shape[0], rule["height"])
    columns = weights(pixels.shape[1], rule["width"])
    small = np.einsum("yh,hwc,xw->yxc", rows, pixels, columns)
    low, high = rule["range"]
    return {rule["input"]: (low + small[None] * (high - low)).astype(np.float32)}


def weights(source: int, target: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Give the share of each source pixel in each target pixel, `(target, source)`.

    Bilinear; where it makes smaller, the average over all that falls together, as Pillow does.
    """
    scale = source / target
    centres = (np.arange(target) + 0.5) * scale
    distance = np.abs(np.arange(source) + 0.5 - centres[:, None]) / max(scale, 1.0)
    shares: np.ndarray[Any, np.dtype[np.float64]] = np.clip(1.0 - distance, 0.0, None)
    shares /= shares.sum(axis=1, keepdims=True)
    return shares
