"""A denoiser for speech at 8 kHz, block by block, with numpy and onnxruntime only.

    python app.py denoiser.onnx noisy.wav clean.wav

Each call of `process` takes the next 16 ms and gives 16 ms that are one block (16 ms) old. What
it remembers in between, the network's state among it, is in the object: one a stream.
"""

from __future__ import annotations

import sys
import wave

import numpy as np
import onnxruntime as ort

RATE = 8000
HOP = 128
WINDOW = np.sqrt(np.hanning(2 * HOP + 1)[:-1]).astype(np.float32)


class Denoiser:
    """`process(block) -> block`, for blocks of `HOP` float32 samples between -1 and 1."""

    def __init__(self, path: str) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1  # a block is too little work to share
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        shapes = {value.name: value.shape for value in self.session.get_inputs()}
        self.state = np.zeros((1, shapes["state"][1]), np.float32)
        self.before = np.zeros(HOP, np.float32)
        self.tail = np.zeros(HOP, np.float32)

    def process(self, block: np.ndarray) -> np.ndarray:
        """Clean the next block; the answer lags by one block."""
        spectrum = np.fft.rfft(np.concatenate([self.before, block]) * WINDOW)
        magnitude = np.abs(spectrum).astype(np.float32)[None, None]
        mask, self.state = self.session.run(
            ["mask", "next_state"], {"magnitude": magnitude, "state": self.state}
        )
        frame = np.fft.irfft(spectrum * mask[0, 0]).astype(np.float32) * WINDOW
        done = self.tail + frame[:HOP]
        self.before, self.tail = block, frame[HOP:]
        return done


def denoise(path: str, samples: np.ndarray) -> np.ndarray:
    """All of `samples` `(time,)`, through one stream, the lag taken off."""
    stream = Denoiser(path)
    padded = np.pad(samples, (0, HOP + -len(samples) % HOP)).astype(np.float32)
    blocks = [stream.process(block) for block in padded.reshape(-1, HOP)]
    return np.concatenate(blocks)[HOP:][: len(samples)]


def main() -> None:
    """Clean a WAV file of 16-bit samples."""
    if len(sys.argv) != 4:
        sys.exit(f"usage: {sys.argv[0]} MODEL NOISY.wav CLEAN.wav")
    with wave.open(sys.argv[2]) as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, RATE):
            sys.exit(f"{sys.argv[2]} is not mono, 16 bit, {RATE} Hz: convert it first.")
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / np.float32(32768)
    cleaned = denoise(sys.argv[1], samples)
    with wave.open(sys.argv[3], "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((np.clip(cleaned, -1, 1) * 32767).astype("<i2").tobytes())
    print(f"{sys.argv[3]}: {len(samples) / RATE:.1f} s")


if __name__ == "__main__":
    main()
