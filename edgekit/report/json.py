"""Results -> JSON values, with the field names that scripts rely on.

JSON has no NaN and no infinity: they become null.
"""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.bundle import Bundle
    from edgekit.exporter import Exported
    from edgekit.infer import Inference
    from edgekit.ingraph import Raw
    from edgekit.runtime.survey import Survey
    from edgekit.verdicts import ParityReport
    from edgekit.whole import Comparison


def dumps(value: Any) -> str:
    """Write a result as one JSON object."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=2)


def plain(value: Any) -> Any:
    """Turn dataclasses, arrays and paths into what JSON has."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def parity(report: ParityReport) -> dict[str, Any]:
    """`passed`, `variants` with their failures, `refused`, and a row an output of each check."""
    return {
        "passed": report.passed,
        "model": report.model,
        "provider": report.variants[0].provider if report.variants else None,
        "providers": list(report.providers),
        "variants": [
            {
                "variant": variant.variant,
                "precision": variant.precision,
                "passed": variant.passed,
                "degenerate": variant.degenerate,
                "batch_dependent": variant.batch_dependent,
                "batch_effect": plain(variant.batch_effect),
                "failures": plain(variant.failures),
                "asked": variant.asked,
                "provider": variant.provider,
                "placement": plain(variant.placement),
                "tolerance": plain(variant.tolerance),
                "metric_name": report.metric_name,
                "metric": variant.metric,
                "finding": plain(variant.finding),
            }
            for variant in report.variants
        ],
        "refused": [plain(row) | {"counted": row.counted} for row in report.refused],
        "outputs": [
            {
                "variant": variant.variant,
                "asked": variant.asked,
                "inputs": check.inputs,
                "batch": check.batch,
                "axes": check.axes,
                "expected_from": check.expected_from,
                "counted": check.counted,
            }
            | plain(output)
            for variant in report.variants
            for check in variant.checks
            for output in check.outputs
        ],
        "notes": list(report.notes),
    }


def comparison(report: Comparison) -> dict[str, Any]:
    """`passed`, a row a variant, and `quantized`: how each was made, calibrated and guarded."""
    value: dict[str, Any] = {"passed": report.passed} | plain(
        dataclasses.replace(report, quantized=())
    )
    value["quantized"] = [plain(dataclasses.replace(one, bundle=None)) for one in report.quantized]
    for one in value["quantized"]:
        del one["bundle"]
    return value


def survey(found: Survey) -> dict[str, Any]:
    """`passed`, `onnxruntime`, `wheels`, `conflict`, and `providers` with a row a provider."""
    value: dict[str, Any] = plain(found)
    return {"passed": found.passed, "conflict": found.conflict} | value


def inference(result: Inference) -> dict[str, Any]:
    """`outputs` as nested lists by name, and `predictions` where there are labels."""
    value: dict[str, Any] = plain(result)
    if not result.predictions:
        del value["predictions"]
        return value
    for row in value["predictions"]:
        row["top"] = [{"label": label, "score": score} for label, score in row["top"]]
    return value


def raw(made: Raw) -> dict[str, Any]:
    """What `with_preprocessing` wrote; `bundle` is the folder's path, or null."""
    folder = None if made.bundle is None else str(made.bundle.path)
    value: dict[str, Any] = plain(dataclasses.replace(made, bundle=None))
    return value | {"bundle": folder}


def exports(made: Sequence[Bundle | Exported]) -> dict[str, Any]:
    """One object for one export; `parts` for a model that is exported in parts."""
    rows = []
    for one in made:
        row = plain(one)
        manifest = row.pop("manifest", {})
        rows.append(row | manifest)
    return rows[0] if len(rows) == 1 else {"parts": rows}
