"""The denoiser: its stream, its data, and a network trained for a moment."""

from __future__ import annotations

import subprocess
import sys
import wave
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from examples import speech
from examples.audio_denoising import app
from tests.conftest import write_model

needs_speech = pytest.mark.skipif(
    find_spec("moonshine_voice") is None,
    reason="moonshine-voice is not installed: pip install '.[examples]'",
)
APP = Path(app.__file__)
BINS = app.HOP + 1
TONE = (0.5 * np.sin(np.arange(3001) / 7)).astype(np.float32)


@pytest.fixture
def halving(tmp_path: Path) -> Path:
    """A mask of one half everywhere, and a state that counts its blocks."""
    return write_model(
        tmp_path / "half.onnx",
        [
            helper.make_node("Mul", ["magnitude", "zero"], ["nothing"]),
            helper.make_node("Add", ["nothing", "half"], ["mask"]),
            helper.make_node("Add", ["state", "one"], ["next_state"]),
        ],
        [
            ("magnitude", TensorProto.FLOAT, ["batch", "time", BINS]),
            ("state", TensorProto.FLOAT, ["batch", 2]),
        ],
        [
            ("mask", TensorProto.FLOAT, ["batch", "time", BINS]),
            ("next_state", TensorProto.FLOAT, ["batch", 2]),
        ],
        zero=np.float32(0),
        half=np.float32(0.5),
        one=np.float32(1),
    )


def test_frames_overlap_to_the_signal_itself(halving: Path) -> None:
    np.testing.assert_allclose(app.denoise(str(halving), TONE), TONE / 2, atol=1e-6)


def test_the_state_goes_from_block_to_block(halving: Path) -> None:
    stream = app.Denoiser(str(halving))
    for _ in range(3):
        stream.process(np.zeros(app.HOP, np.float32))
    np.testing.assert_array_equal(stream.state, [[3, 3]])


def test_the_app_cleans_a_wav_file(halving: Path, tmp_path: Path) -> None:
    noisy, clean = tmp_path / "noisy.wav", tmp_path / "clean.wav"
    with wave.open(str(noisy), "wb") as file:
        file.setparams((1, 2, app.RATE, 0, "NONE", ""))
        file.writeframes((TONE * 32767).astype("<i2").tobytes())
    subprocess.run([sys.executable, APP, halving, noisy, clean], check=True)
    with wave.open(str(clean)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767
    np.testing.assert_allclose(samples, TONE / 2, atol=1e-4)


def test_another_rate_is_refused_in_one_sentence(halving: Path, tmp_path: Path) -> None:
    noisy = tmp_path / "noisy.wav"
    with wave.open(str(noisy), "wb") as file:
        file.setparams((1, 2, 44100, 0, "NONE", ""))
    command: list[str | Path] = [sys.executable, APP, halving, noisy, tmp_path / "clean.wav"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == f"{noisy} is not mono, 16 bit, 8000 Hz: convert it first."


@pytest.mark.parametrize("kind", speech.NOISES)
@pytest.mark.parametrize("snr", [-5, 10])
def test_a_mixture_has_the_ratio_that_was_asked_for(kind: str, snr: float) -> None:
    mixed = speech.mixed(TONE, kind, snr, np.random.default_rng(0))
    assert speech.snr_db(TONE, mixed) == pytest.approx(snr, abs=1e-3)


@needs_speech
def test_the_recordings_are_speech_at_8_khz() -> None:
    for name, samples in zip(speech.TEST, speech.recordings(speech.TEST), strict=True):
        assert samples.dtype == np.float32, name
        assert 4 < len(samples) / speech.RATE < 10, name
        assert np.abs(samples).max() == pytest.approx(0.5), name
    assert not set(speech.TRAIN) & set(speech.TEST)


@needs_speech
@pytest.mark.keras
def test_a_denoiser_trained_for_a_moment(tmp_path: Path) -> None:
    import edgekit
    from examples.audio_denoising import build

    path = tmp_path / "denoiser.onnx"
    edgekit.export(build.train(steps=40), path)
    gains = build.evaluate(path, names=("clone-test",))
    assert np.mean([gain["network"] for gain in gains.values()]) > 2
    assert gains["knocks"]["network"] > gains["knocks"]["wiener"], "it is not a steady noise"

    (clean,) = speech.recordings(("clone-test",))
    noisy = speech.mixed(clean, "pink", 5, np.random.default_rng(2))
    with edgekit.open(path) as runner:
        heard = build.spectra(noisy)
        feeds = {"magnitude": np.abs(heard)[None].astype(np.float32)}
        units = runner.signature.inputs[1].shape[1]
        found = runner.run({**feeds, "state": np.zeros((1, units), np.float32)})
    whole = build.synthesize(heard * found["mask"][0], len(noisy))
    np.testing.assert_allclose(app.denoise(str(path), noisy), whole, atol=1e-4)
