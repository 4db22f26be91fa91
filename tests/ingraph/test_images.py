"""Pictures in the graph: equal to Pillow's resize and `edgekit.preprocess`, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgekit import preprocess
from edgekit.errors import FeedError
from edgekit.ingraph import with_preprocessing
from edgekit.runtime.runner import Runner, open_runner
from tests.ingraph.models import image_spec, write_image_echo

SPECS = {
    "grey": image_spec(),
    "RGB": image_spec(channels=3, height=9, width=14),
    "RGB in -1..1": image_spec(channels=3, range=[-1, 1]),
    "grey in 0..255": image_spec(height=20, width=3, range=[0, 255]),
}


@pytest.fixture(scope="module")
def runners(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Runner]:
    folder = tmp_path_factory.mktemp("images")
    opened = {}
    for i, (name, spec) in enumerate(SPECS.items()):
        model = write_image_echo(folder / f"{i}.onnx", spec)
        raw = with_preprocessing(model, preprocessing=spec)
        opened[name] = open_runner(raw.path, threads=1)
    return opened


def check(runner: Runner, pixels: np.ndarray[Any, Any], spec: dict[str, Any]) -> None:
    pictures = [Image.fromarray(p.squeeze(2) if p.shape[2] == 1 else p) for p in pixels]
    expected = [preprocess.scaled(picture, spec)["picture"] for picture in pictures]
    got = runner.run({"image": pixels})["values"]
    assert np.array_equal(got, np.concatenate(expected))


SIZES = [(1, 1), (1, 7), (12, 16), (11, 16), (13, 17), (3, 200), (200, 3), (90, 90), (61, 33)]


class TestPixels:
    @pytest.mark.parametrize("name", SPECS)
    @pytest.mark.parametrize("size", SIZES, ids=str)
    @pytest.mark.parametrize("channels", [1, 2, 3, 4])
    def test_a_picture_of_any_size_and_channels(
        self, runners: dict[str, Runner], name: str, size: tuple[int, int], channels: int
    ) -> None:
        rng = np.random.default_rng(channels)
        pixels = rng.integers(0, 256, (1, *size, channels), np.uint8)
        check(runners[name], pixels, SPECS[name])

    @settings(max_examples=60, deadline=None)
    @given(
        batch=st.integers(1, 3),
        height=st.integers(1, 120),
        width=st.integers(1, 120),
        channels=st.integers(1, 4),
        seed=st.integers(0, 9),
    )
    def test_a_batch_of_noise(
        self,
        runners: dict[str, Runner],
        batch: int,
        height: int,
        width: int,
        channels: int,
        seed: int,
    ) -> None:
        rng = np.random.default_rng(seed)
        pixels = rng.integers(0, 256, (batch, height, width, channels), np.uint8)
        check(runners["RGB"], pixels, SPECS["RGB"])

    @pytest.mark.parametrize("value", [0, 255], ids=["black", "white"])
    def test_one_colour_stays_what_it_is(self, runners: dict[str, Runner], value: int) -> None:
        check(runners["grey"], np.full((1, 37, 51, 3), value, np.uint8), SPECS["grey"])

    def test_five_channels_are_refused(self, runners: dict[str, Runner]) -> None:
        with pytest.raises(FeedError, match=r"refused .* 1 to 4 channels"):
            runners["grey"].run({"image": np.zeros((1, 5, 5, 5), np.uint8)})

    def test_floats_are_refused(self, runners: dict[str, Runner]) -> None:
        with pytest.raises(FeedError, match="uint8"):
            runners["grey"].run({"image": np.zeros((1, 5, 5, 3), np.float32)})

    def test_photographs(self, runners: dict[str, Runner]) -> None:
        from sklearn.datasets import load_sample_images

        for photograph in load_sample_images().images:
            check(runners["RGB"], photograph[None], SPECS["RGB"])
            check(runners["grey"], photograph[None], SPECS["grey"])


def file_of(pixels: np.ndarray[Any, Any], path: Path, mode: str = "RGB", **options: Any) -> Path:
    Image.fromarray(pixels).convert(mode).save(path, **options)
    return path


@pytest.fixture(scope="module")
def photograph() -> np.ndarray[Any, Any]:
    from sklearn.datasets import load_sample_image

    return np.asarray(load_sample_image("china.jpg"))[:240, 60:421]


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    pytest.importorskip("onnxruntime_extensions", reason="the decoder of files is in it")
    folder = tmp_path_factory.mktemp("encoded")
    spec = image_spec(channels=3)
    model = write_image_echo(folder / "echo.onnx", spec)
    raw = with_preprocessing(model, preprocessing=spec, encoded=True)
    assert raw.packages == ("onnxruntime", "onnxruntime-extensions")
    return open_runner(raw.path, threads=1)


def decoded(decoder: Runner, path: Path) -> np.ndarray[Any, Any]:
    return decoder.run({"image": np.frombuffer(path.read_bytes(), np.uint8)[None]})["values"]


class TestEncoded:
    @pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "1"])
    def test_a_png_is_equal(
        self, decoder: Runner, photograph: np.ndarray[Any, Any], tmp_path: Path, mode: str
    ) -> None:
        path = file_of(photograph, tmp_path / "picture.png", mode)
        expected = preprocess.image(path, image_spec(channels=3))["picture"]
        assert np.array_equal(decoded(decoder, path), expected)

    @pytest.mark.parametrize(
        ("mode", "options", "levels"),
        [
            ("RGB", {"quality": 95, "subsampling": 0}, 1),
            ("RGB", {"quality": 75}, 4),
            ("RGB", {"quality": 75, "progressive": True}, 4),
            ("L", {"quality": 60}, 0),
        ],
        ids=["4:4:4", "4:2:0", "progressive", "grey"],
    )
    def test_a_jpeg_is_near(
        self,
        decoder: Runner,
        photograph: np.ndarray[Any, Any],
        tmp_path: Path,
        mode: str,
        options: dict[str, Any],
        levels: int,
    ) -> None:
        path = file_of(photograph, tmp_path / "picture.jpg", mode, **options)
        expected = preprocess.image(path, image_spec(channels=3))["picture"]
        error = np.abs(decoded(decoder, path) - expected).max() * 255
        assert error <= levels + 1e-3

    @pytest.mark.parametrize(
        "case", ["text", "nothing", "a cut off JPEG", "16 bits", "GIF", "CMYK"]
    )
    def test_what_the_decoder_cannot_take_is_refused(
        self, decoder: Runner, photograph: np.ndarray[Any, Any], tmp_path: Path, case: str
    ) -> None:
        path = tmp_path / "picture"
        if case == "text":
            path.write_bytes(b"no picture at all")
        elif case == "nothing":
            path.write_bytes(b"")
        elif case == "a cut off JPEG":
            whole = file_of(photograph, tmp_path / "whole.jpg").read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
        elif case == "16 bits":
            Image.fromarray(photograph[..., 0].astype(np.uint16) * 257).save(path, "PNG")
        elif case == "GIF":
            Image.fromarray(photograph).save(path, "GIF")
        else:
            Image.fromarray(photograph).convert("CMYK").save(path, "JPEG")
        with pytest.raises(FeedError, match="refused"):
            decoded(decoder, path)
