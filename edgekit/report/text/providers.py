"""Providers in words: what is ready, and what mends the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.report.text import table

if TYPE_CHECKING:
    from edgekit.runtime.survey import Device, Status, Survey, Trial

STATES = {
    "ready": "ready",
    "platform": "wrong platform",
    "wheel": "wheel missing",
    "conflict": "conflict",
    "library": "library missing",
    "device": "no device",
    "crash": "crashed",
    "hang": "hung",
}


def providers(found: Survey) -> list[Any]:
    """A row a provider with the command that mends it, then reasons, conflicts and licences."""
    tried = any(status.trial is not None for status in found.providers)
    columns = (
        "provider",
        "runs on",
        "state",
        "device",
        *(("check (max abs error)",) if tried else ()),
    )
    rows = [
        (
            status.alias,
            status.hardware,
            STATES[status.state],
            ", ".join(map(_device, status.devices)) or None,
            *((_trial(status.trial),) if tried else ()),
            status.fix,
        )
        for status in found.providers
    ]
    version = found.onnxruntime or "none"
    lines: list[Any] = [
        f"onnxruntime: {version} ({', '.join(found.wheels) or 'no wheel of it is installed'})",
        table((*columns, "what mends it"), rows),
    ]
    if found.conflict:
        lines.append(
            f"Conflict: {found.conflict}: pip uninstall -y {' '.join(found.wheels)}, then install "
            "the one that is needed."
        )
    return [*lines, *(line for status in found.providers for line in _remarks(status))]


def _remarks(status: Status) -> list[str]:
    lines = []
    if status.reason is not None and status.state not in {"platform", "wheel"}:
        lines.append(f"{status.alias}: {status.reason}")
    if status.trial is not None and status.trial.detail:
        lines.append(f"{status.alias}: {status.trial.detail}")
    if status.licence is not None and status.state not in {"platform", "wheel"}:
        lines.append(f"{status.alias}: licence: {status.licence}")
    return lines


def _device(device: Device) -> str:
    return " ".join(filter(None, (device.vendor, device.kind)))


def _trial(trial: Trial | None) -> str | None:
    if trial is None:
        return None
    error = "" if trial.max_abs_error is None else f" ({trial.max_abs_error:.1e})"
    return f"{'passed' if trial.passed else 'FAILED'}{error}"
