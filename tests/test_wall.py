"""The wall: the device side never loads the build machine's packages, and start-up is light."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

import edgekit
from edgekit.bundle import Bundle
from edgekit.cli import COMMANDS

BUILD_MACHINE = ("keras", "tensorflow", "tf2onnx", "onnx", "onnx_ir", "onnxscript")
HEAVY = (*BUILD_MACHINE, "onnxruntime", "numpy", "rich", "sklearn", "sktime", "PIL")

#: Runs a command and prints which of the packages it loaded.
REPORT = (
    "import sys\n"
    "from edgekit.__main__ import main\n"
    "sys.argv = ['edgekit', *sys.argv[1:]]\n"
    "try:\n    main()\n"
    "except SystemExit as done:\n    code = done.code\n"
    "print('LOADED', code, *sorted(name for name in sys.modules if '.' not in name))\n"
)


def loaded_by(*args: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", REPORT, *args], capture_output=True, text=True, check=True
    )
    code, *names = done.stdout.rpartition("LOADED ")[2].split()
    assert code == "0", done.stderr
    return set(names)


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_loads_nothing_heavy(command: str | None) -> None:
    args = ["--help"] if command is None else [command, "--help"]
    assert loaded_by(*args).isdisjoint(HEAVY)


@pytest.mark.parametrize("command", ["infer", "validate", "bench", "providers"])
def test_the_device_side_stays_on_its_side(bundle: Bundle, command: str) -> None:
    args = [] if command == "providers" else [str(bundle.path)]
    args += ["--duration", "0.05"] if command == "bench" else []
    assert loaded_by(command, *args).isdisjoint(BUILD_MACHINE)


def test_help_costs_less_than_a_fifth_of_a_second_of_cpu() -> None:
    def cpu() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    costs = []
    for _ in range(5):
        before = cpu()
        subprocess.run([sys.executable, "-m", "edgekit", "--help"], stdout=-3, check=True)
        costs.append(cpu() - before)
    assert min(costs) < 0.2


def test_the_public_names_are_these() -> None:
    # A name here is a promise: to add or remove one, change this list, README and CHANGELOG.md.
    assert edgekit.__all__ == [
        "Bundle",
        "EdgekitError",
        "Runner",
        "Signature",
        "TensorSpec",
        "Tolerance",
        "benchmark",
        "compile",
        "embed",
        "export",
        "open",
        "quantize",
        "tune",
        "validate",
    ]
    for name in edgekit.__all__:
        assert callable(getattr(edgekit, name)), name
    assert set(dir(edgekit)) == {*edgekit.__all__, "__version__"}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        edgekit.nothing  # noqa: B018 - the access is the test


def test_model_defs_never_imports_edgekit() -> None:
    sources = (Path(edgekit.__file__).parents[1] / "model_defs").rglob("*.py")
    for source in sources:
        assert "edgekit" not in [
            word
            for line in source.read_text().splitlines()
            if line.startswith(("import ", "from "))
            for word in line.replace(".", " ").split()
        ], source
