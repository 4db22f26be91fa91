"""Train the denoiser, export it, and set it beside a Wiener filter.

python -m examples.audio_denoising.build --out artifacts/denoiser
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

import edgekit
from examples.audio_denoising.app import HOP, WINDOW, denoise
from examples.measure import latency_line
from examples.speech import NOISES, RATE, TEST, TRAIN, mixed, recordings, snr_db

BINS = HOP + 1
SECONDS = 2
SNRS = (0, 5, 10)


class SharedGRU(keras.layers.Layer):  # type: ignore[misc]  # keras has no types
    """One GRU, run over time at each frequency with the same weights."""

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.units = units
        self.gru = keras.layers.GRU(units, return_sequences=True, return_state=True, name="gru")

    def build(self, x_shape: tuple[int | None, ...], state_shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        self.gru.build((None, None, x_shape[-1]))

    def call(self, x: Any, state: Any) -> tuple[Any, Any]:
        """`(batch, time, bins, depth)` and `(batch, bins * units)` -> the same, with `units`."""
        _, time, bins, depth = ops.shape(x)
        x = ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, time, depth))
        x, last = self.gru(x, initial_state=ops.reshape(state, (-1, self.units)))
        x = ops.reshape(x, (-1, bins, time, self.units))
        return ops.transpose(x, (0, 2, 1, 3)), ops.reshape(last, (-1, bins * self.units))


def build(units: int = 24) -> tuple[Any, Any]:
    """The denoiser, and the model that is trained: the two share their layers.

    One small GRU, its weights shared, follows each frequency and its neighbours over time: what it
    learns of a noise in one place holds in all. The denoiser takes `magnitude`
    `(batch, time, 129)` and `state` `(batch, 129 * units)`, and gives `mask` (between 0 and 1, the
    shape of `magnitude`) and `next_state`. The other one gives the masked magnitude.
    """
    magnitude = keras.Input((None, BINS), name="magnitude")
    state = keras.Input((BINS * units,), name="state")
    x = ops.expand_dims(ops.log(magnitude + 1e-3), -1)
    x = keras.layers.Conv2D(units, (1, 9), padding="same", activation="relu", name="near")(x)
    x, next_state = SharedGRU(units, name="next_state")(x, state)
    x = keras.layers.Conv2D(8, (1, 5), padding="same", activation="relu", name="smooth")(x)
    x = keras.layers.Dense(1, activation="sigmoid", name="gain")(x)
    mask = keras.layers.Reshape((-1, BINS), name="mask")(x)
    masked = keras.layers.Multiply(name="masked")([mask, magnitude])
    outputs = {"mask": mask, "next_state": next_state}
    return keras.Model([magnitude, state], outputs), keras.Model([magnitude, state], masked)


def train(*, steps: int = 250, batch: int = 8, units: int = 24, seed: int = 0) -> Any:
    """The denoiser, trained on fresh mixtures in each step."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    denoiser, trained = build(units)
    rate = keras.optimizers.schedules.CosineDecay(5e-3, steps)
    trained.compile(keras.optimizers.Adam(rate, clipnorm=1.0), loss=_log_error)
    speech = recordings(TRAIN)
    state = np.zeros((batch, BINS * units), np.float32)
    for _ in range(steps):
        magnitudes, targets = _batch(speech, batch, rng)
        trained.train_on_batch([magnitudes, state], targets)
    return denoiser


def _log_error(targets: Any, masked: Any) -> Any:
    """The error's power beside the target's, as a logarithm: the negative SNR."""
    error = ops.sum(ops.square(targets - masked), axis=(1, 2))
    return ops.log(error / (ops.sum(ops.square(targets), axis=(1, 2)) + 1e-3) + 1e-3)


def _batch(
    speech: list[np.ndarray], size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Magnitudes of mixtures, and the best real factors' answers: |S| cos(phase difference)."""
    magnitudes, targets = [], []
    length = SECONDS * RATE
    for _ in range(size):
        recording = speech[rng.choice(len(speech), p=_shares(speech))]
        start = rng.integers(len(recording) - length)
        clean = recording[start : start + length] * np.float32(10 ** rng.uniform(-0.7, 0.3))
        noisy = mixed(clean + 1e-4, str(rng.choice(NOISES)), rng.uniform(-5, 15), rng)
        wanted, heard = spectra(clean), spectra(noisy)
        magnitudes.append(np.abs(heard))
        aligned = (wanted * heard.conj()).real / (np.abs(heard) + 1e-9)
        targets.append(np.clip(aligned, 0, None))
    return np.array(magnitudes, np.float32), np.array(targets, np.float32)


def _shares(speech: list[np.ndarray]) -> list[float]:
    total = sum(map(len, speech))
    return [len(recording) / total for recording in speech]


def spectra(samples: np.ndarray) -> np.ndarray:
    """Windowed spectra `(time, 129)` of half-overlapping frames, the first one half empty."""
    padded = np.pad(samples, (HOP, HOP + -len(samples) % HOP))
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * HOP)[::HOP]
    return np.fft.rfft(frames * WINDOW)


def synthesize(found: np.ndarray, length: int) -> np.ndarray:
    """The samples that `spectra` came from, where `found` is as it was."""
    frames = np.fft.irfft(found) * WINDOW
    joined = frames[:-1, HOP:] + frames[1:, :HOP]
    return joined.reshape(-1)[:length].astype(np.float32)


def wiener(noisy: np.ndarray) -> np.ndarray:
    """The classic that needs no training: a causal Wiener filter.

    The a priori SNR is Ephraim and Malah's decision-directed one (1984), the noise power the least
    of the smoothed power over the last second, as in Martin's minimum statistics (2001).
    """
    heard = spectra(noisy)
    power = np.abs(heard) ** 2
    smoothed = power.copy()
    for step in range(1, len(power)):
        smoothed[step] = 0.85 * smoothed[step - 1] + 0.15 * power[step]
    second = RATE // HOP
    gains = np.ones_like(power)
    before = np.zeros(BINS)
    for step in range(len(power)):
        floor = 1.5 * smoothed[max(0, step - second) : step + 1].min(axis=0) + 1e-12
        prior = 0.98 * before / floor + 0.02 * np.maximum(power[step] / floor - 1, 0)
        gains[step] = np.maximum(prior / (1 + prior), 0.05)
        before = gains[step] ** 2 * power[step]
    return synthesize(heard * gains, len(noisy))


def evaluate(
    path: Path, names: tuple[str, ...] = TEST, seed: int = 1
) -> dict[str, dict[str, float]]:
    """The mean SNR gain in dB of each filter, by noise, on voices that training never heard."""
    rng = np.random.default_rng(seed)
    gains: dict[str, dict[str, float]] = {}
    for kind in NOISES:
        found: dict[str, list[float]] = {"network": [], "wiener": []}
        for clean in recordings(names):
            for snr in SNRS:
                noisy = mixed(clean, kind, snr, rng)
                before = snr_db(clean, noisy)
                found["network"].append(snr_db(clean, denoise(str(path), noisy)) - before)
                found["wiener"].append(snr_db(clean, wiener(noisy)) - before)
        gains[kind] = {name: float(np.mean(values)) for name, values in found.items()}
    return gains


def picture(path: Path, out: Path) -> None:
    """Spectrograms of one mixture, cleaned, and as it was spoken."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    clean = recordings(TEST)[0]
    noisy = mixed(clean, "white", 5, np.random.default_rng(1))
    figure, axes = plt.subplots(3, 1, figsize=(8, 6), sharex=True, layout="constrained")
    shown = {"noisy, 5 dB": noisy, "cleaned": denoise(str(path), noisy), "as spoken": clean}
    for axis, (title, samples) in zip(axes, shown.items(), strict=True):
        levels = 20 * np.log10(np.abs(spectra(samples)).T + 1e-3)
        extent = (0, len(samples) / RATE, 0, RATE / 2000)
        axis.imshow(levels, origin="lower", aspect="auto", extent=extent, vmin=-40, vmax=20)
        axis.set(title=title, ylabel="kHz")
    axes[-1].set_xlabel("s")
    figure.savefig(out)


def main() -> None:
    """Train, export, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("artifacts/denoiser"))
    parser.add_argument("--steps", type=int, default=250)
    arguments = parser.parse_args()
    path = arguments.out / "denoiser.onnx"
    edgekit.export(train(steps=arguments.steps), path, force=True)
    print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")
    print("SNR gain in dB   network   Wiener")
    for kind, gain in evaluate(path).items():
        print(f"{kind:<14}   {gain['network']:7.1f}   {gain['wiener']:6.1f}")
    print("one block of 16 ms:", latency_line(path, axes={"magnitude_time": 1}))
    picture(path, arguments.out / "spectrograms.png")


if __name__ == "__main__":
    main()
