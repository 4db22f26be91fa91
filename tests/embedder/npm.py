"""npm in tests: one installation of a target's packages serves all projects of a session."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any


def run(*command: str | Path, cwd: Path, code: int = 0, **options: Any) -> str:
    """Run a command that has to end with `code`, and give what it printed."""
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=600, check=False, **options
    )
    assert done.returncode == code, done.stdout + done.stderr
    return f"{done.stdout}{done.stderr}"


def lend(modules: Path, project: Path) -> Path:
    """Give a project the installed packages of another one."""
    (project / "node_modules").symlink_to(modules, target_is_directory=True)
    return project
