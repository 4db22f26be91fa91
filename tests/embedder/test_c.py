"""The target `c`: its preprocessing built with the C compiler that is there, and as a whole.

What reaches the registries for onnxruntime is marked `native`, and runs where `-m` names it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgekit import preprocess
from edgekit.bundle import Bundle
from edgekit.embedder import csource
from edgekit.embedder.project import embed
from edgekit.errors import EmbedError
from tests.conftest import LABELS
from tests.embedder.conftest import KINDS, RAW

needs_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler")
#: What knows nothing of onnxruntime.
PARTS = ("error", "tensor", "spec", "picture", "preprocess")
#: Texts, one a line, as their ids; or a picture as the pixels that fit the model.
DRIVER = r"""
#include <stdlib.h>
#include <string.h>
#include "preprocess.h"
int main(int argc, char **argv) {
    struct error error;
    struct tensor input = {0};
    char line[4096];
    if (argc == 3) {
        struct picture picture = {0}, fitting = {0};
        if (!picture_read(stdin, &picture, &error) ||
            !picture_fit(&picture, atoi(argv[1]), atoi(argv[2]), 3, &fitting)) return 1;
        fwrite(fitting.pixels, 3, fitting.width * fitting.height, stdout);
        picture_free(&fitting);
        picture_free(&picture);
        return 0;
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = 0;
        bool ok = preprocess_text(&model_spec, line, &input, &error);
        for (int64_t i = 0; ok && i < input.shape[1]; i++) printf("%g ", tensor_get(&input, i));
        puts(ok ? "" : error.text);
        tensor_free(&input);
    }
    return 0;
}
"""


def build(project: Path, *sources: str, flags: str = "-O1") -> Path:
    made = project / "driver"
    names = [str(project / "src" / f"{part}.c") for part in PARTS]
    warnings = ("-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror")
    command = ("cc", "-std=c11", *flags.split(), *warnings, f"-I{project / 'src'}")
    subprocess.run([*command, *names, *sources, "-lm", "-o", str(made)], check=True)
    return made


@pytest.fixture
def driver(text_bundle: Bundle, tmp_path: Path) -> Path:
    embed(text_bundle, "c", tmp_path / "app")
    (tmp_path / "driver.c").write_text(DRIVER, encoding="utf-8")
    flags = "-O1 -fsanitize=address,undefined -fno-sanitize-recover=all"
    return build(tmp_path / "app", str(tmp_path / "driver.c"), flags=flags)


@needs_compiler
@pytest.mark.parametrize("kind", KINDS)
def test_its_own_test_of_the_preprocessing_passes(
    bundles: dict[str, Bundle], tmp_path: Path, kind: str
) -> None:
    app = tmp_path / "app"
    embed(bundles[kind], "c", app)
    tests = [str(app / "tests" / name) for name in ("test_preprocess.c", "texts.c")]
    said = subprocess.run([build(app, *tests)], check=True, capture_output=True, text=True).stdout
    assert said.endswith(" passed, 0 failed\n")


@needs_compiler
@pytest.mark.parametrize("takes", RAW)
def test_its_own_test_passes_where_the_file_does_the_preprocessing(
    bundles: dict[str, Bundle], tmp_path: Path, takes: str
) -> None:
    app = tmp_path / "app"
    embed(bundles[RAW[takes]], "c", app, with_preprocessing=True)
    tests = [str(app / "tests" / name) for name in ("test_preprocess.c", "texts.c")]
    flags = "-O1 -fsanitize=address,undefined -fno-sanitize-recover=all"
    made = build(app, *tests, flags=flags)
    said = subprocess.run([made], check=True, capture_output=True, text=True).stdout
    assert said.endswith(" passed, 0 failed\n")


@needs_compiler
def test_texts_are_encoded_as_edgekit_does(driver: Path, text_bundle: Bundle) -> None:
    rule: dict[str, Any] = text_bundle.manifest.preprocessing or {}
    # One rule takes more than a character: a capital sigma at the end of a word.
    line = st.text(min_size=1, max_size=40).filter(
        lambda text: text.strip() and not set(text) & set("\0\n\u03a3")
    )

    @given(st.lists(line, min_size=50, max_size=200))
    @settings(max_examples=5, deadline=None)
    def agree(texts: list[str]) -> None:
        given_lines = "\n".join(texts).encode()
        said = subprocess.run([driver], input=given_lines, check=True, capture_output=True).stdout
        want = [preprocess.texts([text], rule)[rule["input"]][0].tolist() for text in texts]
        assert [list(map(int, row.split())) for row in said.decode().splitlines()] == want

    agree()


@needs_compiler
@pytest.mark.parametrize("given_text", [b"", b"   \t", b"\xff", b"\xc3", b"\xed\xa0\x80"])
def test_a_bad_text_is_refused_in_a_sentence(driver: Path, given_text: bytes) -> None:
    said = subprocess.run([driver], input=given_text + b"\n", check=True, capture_output=True)
    assert said.stdout.startswith(b"The text is ")


@needs_compiler
@pytest.mark.parametrize("size", [(28, 28), (100, 80), (7, 300), (5, 4), (1, 1)], ids=str)
def test_pictures_are_resized_to_the_byte_as_by_pillow(driver: Path, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    header = f"P6 # a comment\n{size[1]} {size[0]}\n255\n".encode()
    for width, height in ((28, 20), (9, 33)):
        said = subprocess.run(
            [driver, str(width), str(height)],
            input=header + pixels.tobytes(),
            check=True,
            capture_output=True,
        ).stdout
        want = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
        assert said == np.asarray(want).tobytes()


@pytest.mark.parametrize(
    ("ir_version", "opset", "minor"),
    [(8, 13, 14), (8, 18, 14), (9, 18, 15), (10, 18, 18), (8, 21, 18), (8, 25, 24), (13, 18, 24)],
)
def test_the_first_version_that_opens_a_model(ir_version: int, opset: int, minor: int) -> None:
    assert csource.minimum_minor(ir_version, {"ai.onnx": opset}) == minor


def test_a_tensor_of_too_many_axes_is_refused_by_name() -> None:
    tensor = {"name": "wide", "dtype": "float32", "shape": [1] * 9}
    spec: dict[str, Any] = {
        "inputs": [tensor],
        "outputs": [],
        "labels": [],
        "preprocessing": None,
        "needs": {},
    }
    with pytest.raises(EmbedError, match="'wide' has 9 axes"):
        csource.values(spec)


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of headers and libraries for all projects."""
    return tmp_path_factory.mktemp("deps")


def project(bundle: Bundle, folder: Path, fetched: Path) -> Path:
    embed(bundle, "c", folder)
    (folder / "deps").symlink_to(fetched)
    return folder


def make(folder: Path, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def predict(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / "build" / "predict", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.native
class TestNative:
    @pytest.mark.parametrize("kind", KINDS)
    def test_the_golden_vectors_hold(
        self, bundles: dict[str, Bundle], tmp_path: Path, fetched: Path, kind: str
    ) -> None:
        app = project(bundles[kind], tmp_path / "app", fetched)
        assert "FAIL" not in make(app, "test")

    @pytest.mark.parametrize("takes", RAW)
    def test_a_file_with_its_preprocessing_inside_is_proven_and_answers(
        self, bundles: dict[str, Bundle], tmp_path: Path, fetched: Path, takes: str
    ) -> None:
        app = tmp_path / "app"
        embed(bundles[RAW[takes]], "c", app, with_preprocessing=True)
        (app / "deps").symlink_to(fetched)
        said = make(app, "test")
        assert "ok    label: texts" in said
        assert "FAIL" not in said
        (tmp_path / "a.ppm").write_bytes(b"P6 20 20 255\n" + bytes(range(200)) * 6)
        (tmp_path / "a.csv").write_text("1,2,3,4,5\n6,7,8,9,10\n")
        words = {"text": "Rossi", "pixels": "a.ppm", "series": "a.csv"}
        word = words[takes] if takes == "text" else str(tmp_path / words[takes])
        done = predict(app, "--top", "1", word)
        label, _, share = done.stdout.partition("\t")
        assert label in LABELS
        assert 0 < float(share) <= 1

    def test_another_label_fails_and_no_text_leaks(
        self, text_bundle: Bundle, tmp_path: Path, fetched: Path
    ) -> None:
        app = tmp_path / "app"
        embed(text_bundle, "c", app, with_preprocessing=True)
        (app / "deps").symlink_to(fetched)
        assert make(app, "check").count("0 failed") == 4
        path = app / "data" / "golden.bin"
        data = path.read_bytes()
        start = data.index(b"label") + len(b"label")
        found = min(at for at in (data.find(w.encode(), start) for w in LABELS) if at > 0)
        path.write_bytes(data[:found] + b"Z" + data[found + 1 :])
        with pytest.raises(AssertionError, match=r"FAIL  case \d, label"):
            make(app, "test")

    def test_nothing_leaks(self, text_bundle: Bundle, tmp_path: Path, fetched: Path) -> None:
        app = project(text_bundle, tmp_path / "app", fetched)
        assert make(app, "check").count("0 failed") == 4

    def test_a_leak_would_be_found(
        self, text_bundle: Bundle, tmp_path: Path, fetched: Path
    ) -> None:
        app = project(text_bundle, tmp_path / "app", fetched)
        source = app / "src" / "model.c"
        text = source.read_text(encoding="utf-8")
        source.write_text(text.replace("api->ReleaseTypeInfo(info)", "(void)0"), encoding="utf-8")
        with pytest.raises(AssertionError, match=r"LeakSanitizer|definitely lost"):
            make(app, "check")

    def test_arm64_answers_the_same(
        self, image_bundle: Bundle, tmp_path: Path, fetched: Path
    ) -> None:
        app = project(image_bundle, tmp_path / "app", fetched)
        assert make(app, "arm64").count("0 failed") == 2

    def test_cmake_builds_it_too(self, image_bundle: Bundle, tmp_path: Path, fetched: Path) -> None:
        app = project(image_bundle, tmp_path / "app", fetched)
        make(app, "deps")
        for command in ("cmake -S . -B b", "cmake --build b", "ctest --test-dir b"):
            subprocess.run(command.split(), cwd=app, check=True, capture_output=True)

    def test_the_command_says_what_is_missing(
        self, text_bundle: Bundle, tmp_path: Path, fetched: Path
    ) -> None:
        app = project(text_bundle, tmp_path / "app", fetched)
        make(app)
        assert predict(app, "abc").returncode == 0
        (app / "build" / "libonnxruntime.so.1").unlink()
        for given_options, words in (
            ((), "is not on this machine"),
            (("--library", "/nowhere.so"), "cannot be loaded"),
            (("--library", str(next(Path("/lib").rglob("libm.so.6")))), "has no OrtGetApiBase"),
        ):
            done = predict(app, *given_options, "abc")
            assert done.returncode == 1
            assert words in done.stderr
            assert done.stderr.count("\n") == 1
