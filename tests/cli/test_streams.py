"""What goes to which stream, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

#: Runs a command with a native library that prints on the process's own stdout.
NOISY = """
import os
from edgekit.report import json
quiet = json.dumps
json.dumps = lambda value: (os.write(1, b"noise\\n"), quiet(value))[1]
from edgekit.__main__ import main
main()
"""


def test_what_a_native_library_prints_does_not_spoil_a_result(classifier: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", NOISY, "infer", classifier, "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["provider"] == "cpu"
    assert done.stderr == "noise\n"
