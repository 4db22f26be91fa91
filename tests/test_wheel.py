"""What is shipped: the wheel, in an environment with the base and the extra `cpu` alone."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import edgekit
from edgekit.bundle import Bundle

pytestmark = pytest.mark.wheel

ROOT = Path(edgekit.__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", out, ROOT],
        check=True,
        capture_output=True,
    )
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def device(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of a fresh environment that has the wheel and the extra `cpu`."""
    folder = tmp_path_factory.mktemp("device")
    venv.create(folder, with_pip=True)
    bin_ = folder / "bin"
    constraints = ROOT / "constraints.txt"
    subprocess.run(
        [bin_ / "python", "-m", "pip", "install", "-q", "-c", constraints, f"{wheel}[cpu]"],
        check=True,
        capture_output=True,
    )
    return bin_


def test_the_wheel_has_the_two_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"edgekit", "model_defs", f"edgekit_onnx-{edgekit.__version__}.dist-info"}
    assert not [name for name in names if name.endswith((".keras", ".onnx", ".npz", ".pyc"))]
    assert "edgekit/py.typed" in names


def test_the_wheel_has_every_template(wheel: Path) -> None:
    folder = Path(edgekit.__file__).parent / "embedder"
    files = {path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    listed = {f"edgekit/embedder/{path.relative_to(folder)}" for path in files}
    assert {"edgekit/embedder/node/common/.gitignore"} < listed
    assert listed <= set(zipfile.ZipFile(wheel).namelist())


def test_the_device_has_none_of_the_build_machine(device: Path) -> None:
    listed = subprocess.run(
        [device / "python", "-m", "pip", "list", "--format", "json"],
        check=True,
        capture_output=True,
        text=True,
    )
    installed = {row["name"].lower() for row in json.loads(listed.stdout)}
    assert installed.isdisjoint({"keras", "tensorflow", "tf2onnx", "onnx", "onnx-ir"})


@pytest.mark.parametrize(
    "command",
    [
        ["infer", "BUNDLE", "--json"],
        ["validate", "BUNDLE", "--json"],
        ["bench", "BUNDLE", "--duration", "0.05", "--json"],
        ["providers", "--json"],
        ["embed", "BUNDLE", "--target", "web", "--out", "app", "--json"],
    ],
    ids=lambda command: command[0],
)
def test_the_device_runs_a_bundle(
    device: Path, bundle: Bundle, tmp_path: Path, command: list[str]
) -> None:
    args = [str(bundle.path) if arg == "BUNDLE" else arg for arg in command]
    done = subprocess.run(
        [device / "edgekit", *args], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (["export", "transformer"], "export"),
        (["train", "cnn"], "export"),
        (["inspect", "BUNDLE"], "quantize"),
        (["inspect", "BUNDLE", "--mobile"], "quantize"),
        (["compile", "BUNDLE", "--format", "ort"], "quantize"),
        (["quantize", "BUNDLE"], "quantize"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_missing_extra_is_named(
    device: Path, bundle: Bundle, tmp_path: Path, command: list[str], extra: str
) -> None:
    args = [str(bundle.path) if arg == "BUNDLE" else arg for arg in command]
    done = subprocess.run(
        [device / "edgekit", *args], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
    assert f"pip install 'edgekit-onnx[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_an_engine_the_extra_is_named(wheel: Path, tmp_path: Path, bundle: Bundle) -> None:
    venv.create(tmp_path / "base", with_pip=True)
    bin_ = tmp_path / "base" / "bin"
    constraints = ROOT / "constraints.txt"
    subprocess.run(
        [bin_ / "python", "-m", "pip", "install", "-q", "-c", constraints, wheel],
        check=True,
        capture_output=True,
    )
    # `providers` is what tells which engine to install, and so runs without one.
    for command, code in ((["infer", str(bundle.path)], 3), (["providers"], 0)):
        done = subprocess.run(
            [bin_ / "edgekit", *command], capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        assert "pip install 'edgekit-onnx[cpu]'" in done.stdout + done.stderr
