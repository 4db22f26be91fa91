"""Speech at 8 kHz in a twelfth of its bytes, with numpy and onnxruntime only.

    python app.py compress FOLDER speech.wav speech.codes
    python app.py expand FOLDER speech.codes again.wav

FOLDER has `encoder.onnx` and `decoder.onnx`; whoever compresses needs just the first, whoever
expands just the second. A file of codes is the number of samples (4 bytes, little-endian) and the
int8 codes, as many for each 64 samples, deflated.
"""

from __future__ import annotations

import sys
import wave
import zlib
from pathlib import Path

import numpy as np
import onnxruntime as ort

RATE = 8000
FRAME = 64
LEVELS = 127


def _run(model: Path, values: np.ndarray) -> np.ndarray:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {session.get_inputs()[0].name: values[None]})
    answer: np.ndarray = result[0]
    return answer


def compress(folder: Path, samples: np.ndarray) -> bytes:
    """A file's bytes for `samples` `(time,)`, float32 between -1 and 1."""
    frames = np.pad(samples, (0, -len(samples) % FRAME)).reshape(-1, FRAME).astype(np.float32)
    found = np.rint(_run(folder / "encoder.onnx", frames))
    codes = np.clip(found, -LEVELS, LEVELS).astype(np.int8)
    return len(samples).to_bytes(4, "little") + zlib.compress(codes.tobytes(), 9)


def expand(folder: Path, data: bytes) -> np.ndarray:
    """The samples of a file's bytes, about as they were."""
    length = int.from_bytes(data[:4], "little")
    frames = -(-length // FRAME)
    codes = np.frombuffer(zlib.decompress(data[4:]), np.int8).reshape(frames, -1)
    samples = _run(folder / "decoder.onnx", codes.astype(np.float32))
    return samples.reshape(-1)[:length]


def main() -> None:
    """Compress a WAV file, or expand one of codes."""
    if len(sys.argv) != 5 or sys.argv[1] not in ("compress", "expand"):
        sys.exit(f"usage: {sys.argv[0]} compress|expand FOLDER FROM TO")
    way, folder, source, target = sys.argv[1], *map(Path, sys.argv[2:])
    if way == "expand":
        samples = expand(folder, source.read_bytes())
        with wave.open(str(target), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    else:
        with wave.open(str(source)) as file:
            if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, RATE):
                sys.exit(f"{source} is not mono, 16 bit, {RATE} Hz: convert it first.")
            pulses = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        target.write_bytes(compress(folder, pulses / np.float32(32768)))
    print(f"{target}: {target.stat().st_size} bytes from {source.stat().st_size}")


if __name__ == "__main__":
    main()
