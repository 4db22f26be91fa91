"""Train an autoencoder for speech, export its two halves, and set it beside simple codecs.

python -m examples.audio_compression.build --out artifacts/codec
"""

from __future__ import annotations

import argparse
import zlib
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from scipy.fft import dct, idct
from scipy.optimize import brentq
from scipy.signal import resample

import edgekit
from examples.audio_compression.app import FRAME, LEVELS, RATE, compress, expand
from examples.measure import latency_line
from examples.speech import TEST, TRAIN, recordings, snr_db

STEP = 0.03
"""What a code of 1 stands for: more makes files smaller, and worse."""

PRICE = float(np.log(2)) / 6
"""What a bit costs in squared steps: as much as it saves where an error is even (2 ln 2 / 12)."""

SECONDS = 2


def build(width: int = 96) -> tuple[keras.Model, keras.Model]:
    """The encoder, `frames` `(batch, time, 64)` -> `codes` of that shape, to be rounded; and back.

    Each way begins as the cosine transform of a classic codec; a deep part, at first silent, learns
    to add what the frames around allow.
    """
    cosines = dct(np.eye(FRAME), norm="ortho")
    frames = keras.Input((None, FRAME), name="frames")
    x = layers.Rescaling(1 / STEP, name="in_steps")(frames)
    encoder = keras.Model([frames], _both_ways(x, width, cosines, "codes"), name="encoder")
    codes = keras.Input((None, FRAME), name="codes")
    x = _both_ways(codes, width, cosines.T, "steps")
    decoder = keras.Model([codes], layers.Rescaling(STEP, name="samples")(x), name="decoder")
    return encoder, decoder


def _both_ways(x: Any, width: int, matrix: np.ndarray, name: str) -> Any:
    deep = layers.Conv1D(width, 5, padding="same", activation="gelu", name="near")(x)
    deep = layers.Conv1D(width, 3, padding="same", activation="gelu", name="mix")(deep)
    deep = layers.Conv1D(FRAME, 1, kernel_initializer="zeros", name="deep")(deep)
    linear = layers.Dense(FRAME, name="linear")
    shallow = linear(x)
    linear.set_weights([matrix, np.zeros(FRAME)])
    return layers.Add(name=name)([shallow, deep])


def train(*, steps: int = 300, batch: int = 24, seed: int = 0) -> tuple[keras.Model, keras.Model]:
    """The two halves, trained together; gradients pass the rounding of the codes as it were not."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    encoder, decoder = build()
    codes = encoder.outputs[0]
    rounded = codes + ops.stop_gradient(ops.round(codes) - codes)
    both = keras.Model(encoder.inputs, [decoder(rounded), codes])
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    both.compile(
        keras.optimizers.Adam(rate, clipnorm=1.0), loss=[_error, _bits], loss_weights=[1.0, PRICE]
    )
    speech = np.concatenate(recordings(TRAIN))
    length = SECONDS * RATE
    for _ in range(steps):
        starts = rng.integers(len(speech) - length, size=batch)
        heard = np.array([speech[start : start + length] for start in starts])
        frames = heard.reshape(batch, -1, FRAME) * np.float32(rng.uniform(0.5, 1.2))
        both.train_on_batch(frames, [frames, frames])  # no target for the codes
    return encoder, decoder


def _error(frames: Any, samples: Any) -> Any:
    """The squared error of a frame, in steps."""
    return ops.mean(ops.sum(ops.square((frames - samples) / STEP), axis=-1), axis=-1)


def _bits(_: Any, codes: Any) -> Any:
    """About how many bits the codes of a frame take."""
    return ops.mean(ops.sum(ops.log2(1 + 4 * ops.square(codes)) / 2, axis=-1), axis=-1)


def export(models: tuple[keras.Model, keras.Model], folder: Path) -> None:
    """Write `encoder.onnx` and `decoder.onnx`."""
    for model in models:
        edgekit.export(model, folder / f"{model.name}.onnx", force=True)


def transform_codec(samples: np.ndarray, size_bytes: int) -> tuple[np.ndarray, bytes]:
    """The cosine transform of each frame, rounded so that it takes `size_bytes` deflated."""
    frames = np.pad(samples, (0, -len(samples) % FRAME)).reshape(-1, FRAME)
    found = dct(frames, norm="ortho")

    def codes(logarithm: float) -> np.ndarray:
        rounded: np.ndarray = np.clip(np.rint(found / np.exp(logarithm)), -LEVELS, LEVELS)
        return rounded.astype(np.int8)

    def too_many(logarithm: float) -> int:
        return len(zlib.compress(codes(logarithm).tobytes(), 9)) - size_bytes

    step = brentq(too_many, np.log(1e-3), 0.0, xtol=1e-3)
    again = idct(codes(step) * np.exp(step), n=FRAME, norm="ortho")
    return again.reshape(-1)[: len(samples)], zlib.compress(codes(step).tobytes(), 9)


def mu_law(samples: np.ndarray, size_bytes: int) -> tuple[np.ndarray, bytes]:
    """So few samples, each in eight bits of G.711's logarithm, that they take `size_bytes`."""
    fewer = np.clip(resample(samples, size_bytes), -1, 1)
    pressed = np.sign(fewer) * np.log1p(255 * np.abs(fewer)) / np.log(256)
    codes = np.rint(LEVELS * pressed).astype(np.int8)
    values = codes / LEVELS
    heard = np.sign(values) * np.expm1(np.abs(values) * np.log(256)) / 255
    return resample(heard, len(samples)), codes.tobytes()


def evaluate(folder: Path) -> dict[str, tuple[float, float]]:
    """Of each codec the SNR in dB and how many times smaller than 16-bit samples its file is.

    Over all voices that training never heard; the baselines get the bytes that the network took.
    """
    clean = np.concatenate(recordings(TEST))
    raw = (clean * 32767).astype("<i2").tobytes()
    data = compress(folder, clean)
    codecs = {
        "autoencoder": (expand(folder, data), data),
        "rounded DCT, deflated": transform_codec(clean, len(data)),
        "fewer samples, mu-law": mu_law(clean, len(data)),
        "16 bit, deflated": (np.frombuffer(raw, "<i2") / 32767, zlib.compress(raw, 9)),
    }
    return {
        name: (snr_db(clean, again), len(raw) / len(file)) for name, (again, file) in codecs.items()
    }


def picture(folder: Path, out: Path) -> None:
    """A tenth of a second as it was, and as each codec gives it back."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    clean = recordings(TEST)[1]
    shown = slice(RATE, RATE + RATE // 10)
    figure, axis = plt.subplots(figsize=(8, 3.5), layout="constrained")
    axis.plot(clean[shown], label="as spoken", color="0.6", linewidth=3)
    data = compress(folder, clean)
    axis.plot(expand(folder, data)[shown], label="autoencoder")
    axis.plot(transform_codec(clean, len(data))[0][shown], label="rounded DCT", linestyle=":")
    axis.set_xlabel("sample")
    axis.legend()
    figure.savefig(out)


def main() -> None:
    """Train, export, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("artifacts/codec"))
    parser.add_argument("--steps", type=int, default=300)
    arguments = parser.parse_args()
    folder = arguments.out
    export(train(steps=arguments.steps), folder)
    print("                        SNR dB   smaller")
    for name, (snr, smaller) in evaluate(folder).items():
        print(f"{name:<22}  {snr:6.1f}   {smaller:6.1f}x")
    for name in ("encoder", "decoder"):
        path = folder / f"{name}.onnx"
        line = latency_line(path, axes={"time": RATE // FRAME})
        print(f"{name}, {path.stat().st_size / 1024:.0f} KiB, one second of speech: {line}")
    picture(folder, folder / "waveforms.png")


if __name__ == "__main__":
    main()
