"""Speech from the moonshine-voice package, at 8 kHz: 72 s to learn from, 14 s of others to test on.

The package (MIT licence) ships these files for its own tests and does not say who speaks. They
are read from the installed wheel without importing it: its module loads a library of its own.
"""

from __future__ import annotations

import wave
from importlib.util import find_spec
from pathlib import Path

import numpy as np

__all__ = ["RATE", "TEST", "TRAIN", "mixed", "noise", "recordings", "snr_db"]

RATE = 8000
"""Samples a second."""

TRAIN = ("two_cities", "endgame_nagg_nell")
TEST = ("beckett", "clone-test")

NOISES = ("white", "pink", "hum", "knocks")
"""What `noise` makes. There are no recordings of noise in the package, so it is synthetic."""


def recordings(names: tuple[str, ...]) -> list[np.ndarray]:
    """Each recording as float32 samples `(time,)`, its largest at 0.5."""
    from scipy.signal import resample_poly

    spec = find_spec("moonshine_voice")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'moonshine_voice'", name="moonshine_voice")
    found: list[np.ndarray] = []
    for name in names:
        with wave.open(str(Path(spec.origin).parent / "assets" / f"{name}.wav")) as file:
            pulses = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32)
            samples = resample_poly(pulses, RATE, file.getframerate())
        found.append((samples / np.abs(samples).max() * 0.5).astype(np.float32))
    return found


def noise(kind: str, length: int, rng: np.random.Generator) -> np.ndarray:
    """`length` samples of a noise of `NOISES`, float32, of mean square 1."""
    made: np.ndarray
    if kind == "hum":
        pitch = rng.uniform(48, 62)
        time = np.arange(length) / RATE
        made = rng.normal(0, 0.2, length)
        for k in range(1, 16):
            phase, level = rng.uniform(0, 7), rng.uniform(0.2, 1) / k**0.5
            made += level * np.sin(2 * np.pi * pitch * k * time + phase)
    elif kind == "knocks":
        hits = (rng.random(length) < 3 / RATE) * rng.uniform(1, 4, length)
        ringing = np.exp(-np.arange(RATE // 10) / 100) * rng.normal(size=RATE // 10)
        made = np.convolve(hits, ringing)[:length] + rng.normal(0, 0.05, length)
    else:
        spectrum = np.fft.rfft(rng.normal(size=length))
        if kind == "pink":
            spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
        made = np.fft.irfft(spectrum, length)
    scaled: np.ndarray = made / np.sqrt(np.mean(np.square(made)))
    return scaled.astype(np.float32)


def mixed(clean: np.ndarray, kind: str, snr: float, rng: np.random.Generator) -> np.ndarray:
    """`clean` with a noise of `kind` on top, `snr` decibels below it."""
    level = np.sqrt(np.mean(np.square(clean)) / 10 ** (snr / 10))
    heard: np.ndarray = clean + level * noise(kind, len(clean), rng)
    return heard.astype(np.float32)


def snr_db(clean: np.ndarray, other: np.ndarray) -> float:
    """Signal-to-noise ratio of `other` beside `clean`, in decibels."""
    error = np.square(np.subtract(clean, other, dtype=np.float64)).sum()
    return float(10 * np.log10(np.square(clean, dtype=np.float64).sum() / error))
