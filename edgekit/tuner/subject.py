"""What measurements are of: all that a value in the ledger depends on, beside the candidate."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import edgekit
from edgekit import files
from edgekit.errors import require

if TYPE_CHECKING:
    from edgekit.runtime.runner import ProviderOptions
    from edgekit.tuner.task import Task
    from edgekit.tuner.workplace import Workplace


def subject_of(
    place: Workplace,
    task: Task,
    options: ProviderOptions,
    seed: int,
) -> dict[str, Any]:
    """Give the model, the data, the versions and the machine as JSON values."""
    ort = require("onnxruntime", "run models")
    data = place.bundle.manifest.data if place.bundle else {}
    return {
        "model": files.digest(place.source),
        "data": {name: entry.sha256 for name, entry in data.items()},
        "task": [task.metric_name, task.digest],
        "calibration": [
            _digest(place.quantizing.get("calibration")),
            place.quantizing.get("samples"),
        ],
        "options": {key: str(value) for key, value in sorted(options.items())},
        "seed": seed,
        "versions": [edgekit.__version__, ort.__version__, platform.python_version()],
        "machine": [platform.machine(), platform.system(), platform.node(), os.cpu_count()],
    }


def _digest(given: Any) -> str | None:
    """Tell one calibration from another: files and arrays by their content, the rest by name."""
    if given is None:
        return None
    found = hashlib.sha256()
    if not isinstance(given, str | Path):
        arrays = given if isinstance(given, Mapping) else {"": given}
        for name, array in sorted(arrays.items()):
            found.update(name.encode() + np.ascontiguousarray(array).tobytes())
        return found.hexdigest()
    path = Path(given)
    for file in [path] if path.is_file() else sorted(path.rglob("*")):
        if file.is_file():
            found.update(file.name.encode() + files.digest(file).encode())
    found.update(str(given).encode())
    return found.hexdigest()
