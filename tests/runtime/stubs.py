"""Shared libraries made of a line of C, in the place of a vendor's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def built(folder: Path, name: str, source: str, *libraries: Path) -> Path:
    """Compile a C file to a shared library in `folder`."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to build the stub with")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stub.c").write_text(source)
    made = folder / name
    command = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", str(made)]
    subprocess.run([*command, str(folder / "stub.c"), *map(str, libraries)], check=True)
    return made
