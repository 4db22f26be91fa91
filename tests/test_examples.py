"""Each example runs on a bundle, and answers as `edgekit infer` does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import edgekit
from edgekit.bundle import Bundle
from edgekit.infer import infer

EXAMPLES = Path(edgekit.__file__).parents[1] / "examples"


def test_the_python_app(text_bundle: Bundle) -> None:
    app = EXAMPLES / "python_app" / "app.py"
    texts = ["Edge", "kits", "Über"]
    done = subprocess.run(
        [sys.executable, app, text_bundle.path, *texts],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = [
        f"{text}: {prediction.label} ({prediction.score:.0%})"
        for text in texts
        for prediction in infer(text_bundle.path, text).predictions
    ]
    assert done.stdout.splitlines() == expected
    code = [line for line in app.read_text().splitlines() if line.strip()]
    assert len(code) < 60
    assert not any("edgekit" in line for line in code if "import" in line and "never" not in line)
