"""The device suites: each needs an environment of its own, and runs only where `-m` names it."""

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


@pytest.fixture
def cnn(tmp_path: Path) -> Bundle:
    """A bundle of the small convolutional network, with reference, calibration and evaluation."""
    return write_bundle(tmp_path / "artifacts" / "cnn", MODELS["cnn"](tmp_path / "cnn.onnx"))
