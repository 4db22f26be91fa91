"""A picture's pixels as they are: the model's file has its preprocessing inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

HELP = "a picture (needs Pillow), or a .npy file with an array (height, width[, channels]) of uint8"
Input = npt.ArrayLike
MODES = ("L", "LA", "RGB", "RGBA")


def read(word: str) -> Input:
    """Read a .npy file, or a picture with Pillow."""
    if Path(word).suffix == ".npy":
        array: np.ndarray[Any, np.dtype[Any]] = np.load(word, allow_pickle=False)
        return array
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise ValueError("a picture needs Pillow: pip install pillow, or give .npy") from None
    with Image.open(word) as picture:
        return np.asarray(picture.convert("RGB"))


def encode(given: Input, spec: dict[str, Any]) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """Check a picture, an array or Pillow's: uint8 `(1, height, width, channels)` of any size.

    1 to 4 channels are grey, grey and alpha, RGB, RGBA.
    """
    mode = getattr(given, "mode", "RGB")
    if mode not in MODES:
        raise ValueError(f"the picture has the mode {mode}: give picture.convert('RGB')")
    pixels = np.asarray(given)
    if pixels.dtype != np.uint8:
        raise ValueError(f"the picture is {pixels.dtype}: give bytes 0..255, uint8")
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4) or not pixels.size:
        raise ValueError(f"the picture has shape {pixels.shape}: give (height, width[, 1 to 4])")
    return {spec["inputs"][0]["name"]: pixels[None]}
