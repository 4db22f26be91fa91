"""The codec: its files, and a network trained for a moment beside a transform codec."""

from __future__ import annotations

import subprocess
import sys
import wave
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from examples.audio_compression import app
from tests.conftest import write_model

needs_speech = pytest.mark.skipif(
    find_spec("moonshine_voice") is None,
    reason="moonshine-voice is not installed: pip install '.[examples]'",
)
APP = Path(app.__file__)
TONE = (0.5 * np.sin(np.arange(1001) / 7)).astype(np.float32)


@pytest.fixture
def scaling(tmp_path: Path) -> Path:
    """A codec whose codes are the samples, 100 times as large."""
    for name, factor in (("encoder", 100), ("decoder", 0.01)):
        write_model(
            tmp_path / f"{name}.onnx",
            [helper.make_node("Mul", ["x", "factor"], ["y"])],
            [("x", TensorProto.FLOAT, ["batch", "time", app.FRAME])],
            [("y", TensorProto.FLOAT, ["batch", "time", app.FRAME])],
            factor=np.float32(factor),
        )
    return tmp_path


def test_there_and_back_costs_the_rounding_alone(scaling: Path) -> None:
    again = app.expand(scaling, app.compress(scaling, TONE))
    assert again.shape == TONE.shape
    np.testing.assert_allclose(again, TONE, atol=0.005 + 1e-6)


def test_codes_saturate(scaling: Path) -> None:
    again = app.expand(scaling, app.compress(scaling, np.full(64, 2.0, np.float32)))
    np.testing.assert_allclose(again, 1.27, rtol=1e-6)


def test_silence_takes_next_to_nothing(scaling: Path) -> None:
    assert len(app.compress(scaling, np.zeros(app.RATE, np.float32))) < 50


def test_the_app_compresses_and_expands_files(scaling: Path, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("in.wav", "codes", "out.wav")]
    with wave.open(str(files[0]), "wb") as file:
        file.setparams((1, 2, app.RATE, 0, "NONE", ""))
        file.writeframes((TONE * 32767).astype("<i2").tobytes())
    for way, first in (("compress", 0), ("expand", 1)):
        command: list[str | Path] = [sys.executable, APP, way, scaling, *files[first:][:2]]
        subprocess.run(command, check=True)
    with wave.open(str(files[2])) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767
    np.testing.assert_allclose(samples, TONE, atol=0.006)


@needs_speech
@pytest.mark.keras
def test_a_codec_trained_for_a_moment_keeps_up_with_the_transform_it_began_as(
    tmp_path: Path,
) -> None:
    from examples.audio_compression import build

    build.export(build.train(steps=60), tmp_path)
    found = build.evaluate(tmp_path)
    snr, smaller = found["autoencoder"]
    assert snr > found["fewer samples, mu-law"][0] + 3
    assert snr > found["rounded DCT, deflated"][0] - 0.5
    assert smaller > 10
