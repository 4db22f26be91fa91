"""The device suites run only where `-m` names them: each needs an environment of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.bundle import Bundle
from tests.conftest import write_bundle
from tests.devices.models import MODELS

#: Provider -> the options with which all of the models run. The simulator of the oldest NPU, which
#: is what Qualcomm's package takes without a model of chip, has no float16.
OPTIONS: dict[str, dict[str, str]] = {
    "webgpu": {},
    "qnn": {"soc_model": "69"},
    "openvino": {},
}
#: Provider -> the precision that it computes a float32 model in.
COMPUTES = {"webgpu": "fp32", "qnn": "fp16", "openvino": "fp32"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what `-m` does not ask for by name; "not keras" asks for no device."""
    asked = str(config.getoption("-m"))
    marks = {*OPTIONS, "cuda", "xnnpack"}
    left_out = [
        item
        for item in items
        if any(mark.name in marks and mark.name not in asked for mark in item.iter_markers())
    ]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def cnn(tmp_path: Path) -> Bundle:
    """A bundle of the small convolutional network, with reference, calibration and evaluation."""
    return write_bundle(tmp_path / "artifacts" / "cnn", MODELS["cnn"](tmp_path / "cnn.onnx"))
