"""README's commands are run, in its order, in one folder; needs TensorFlow for the tour."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import edgekit
from edgekit.cli import COMMANDS

ROOT = Path(edgekit.__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def commands() -> list[str]:
    lines = [line for block in blocks("console") for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def test_every_command_is_shown() -> None:
    shown = {shlex.split(line)[1] for line in commands() if line.startswith("edgekit ")}
    assert shown == set(COMMANDS)


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = re.findall(r"\bmake ([a-z][a-z-]+)", README + (ROOT / "CONTRIBUTING.md").read_text())
    assert set(named) <= targets
    assert {"demo", "test"} <= set(named)


def test_linked_files_exist() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.keras
def test_the_tour_runs_as_written(tmp_path: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    tour = [line for line in commands() if line.startswith("edgekit ")]
    for line in tour:
        expected = 3 if "--provider cuda" in line and "--allow-fallback" not in line else 0
        done = subprocess.run(
            line,
            shell=True,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == expected, f"{line}\n{done.stderr}"
    (python,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", python],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
