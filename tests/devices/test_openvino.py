"""What OpenVINO has of its own."""

from __future__ import annotations

import pytest

import edgekit
from edgekit.bundle import Bundle
from edgekit.errors import CompileError

pytestmark = pytest.mark.openvino


def test_what_it_compiles_is_kept_only_if_it_opens_again(cnn: Bundle) -> None:
    # OpenVINO 2025 in onnxruntime 1.24 writes a file that it cannot open on a CPU of AMD.
    before = {path.name for path in cnn.path.iterdir()}
    try:
        made = edgekit.compile(cnn, provider="openvino")
    except CompileError:
        assert {path.name for path in cnn.path.iterdir()} == before
    else:
        assert made.variant is not None
        assert edgekit.validate(cnn.path, variant=made.variant, provider="openvino").passed
