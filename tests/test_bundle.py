from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest

from edgekit import bundle as bundles
from edgekit.bundle import Bundle, FileEntry, Manifest, Variant
from edgekit.errors import BundleError


def test_a_manifest_comes_back_as_it_was(bundle: Bundle) -> None:
    again = Manifest.from_json(bundle.manifest.to_json(), Path("manifest.json"))
    assert again == bundle.manifest


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        pytest.param(["format"], "edgekit-bundle/9", "edgekit-bundle/9", id="format"),
        pytest.param(["name"], 3, "at 'name'", id="name"),
        pytest.param(["labels"], [1], "at 'labels'", id="labels"),
        pytest.param(["variants"], [], "at 'variants'", id="no variants"),
        pytest.param(["variants", 0, "file", "path"], "../model.onnx", "bare file", id="escape"),
        pytest.param(["variants", 0, "file", "path"], "/etc/passwd", "bare file", id="absolute"),
        pytest.param(["variants", 0, "file", "size_bytes"], True, "size_bytes", id="bool size"),
        pytest.param(["signature", "inputs", 0, "shape"], [None], "shape", id="axis"),
        pytest.param(["data", "reference"], "x", "data.reference", id="data entry"),
    ],
)
def test_a_wrong_manifest_names_the_key(
    bundle: Bundle, path: list[Any], value: Any, message: str
) -> None:
    raw = json.loads(bundle.manifest.to_json())
    place = raw
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    (bundle.path / "manifest.json").write_text(json.dumps(raw))
    with pytest.raises(BundleError, match=message):
        Bundle.open(bundle.path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "not JSON"), ("[]", "an object"), ('{"format": 1}', "'format'"), ("\udc80", "utf-8")],
)
def test_text_that_is_no_manifest(bundle: Bundle, text: str, message: str) -> None:
    (bundle.path / "manifest.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(BundleError, match=message):
        Bundle.open(bundle.path)


def test_a_changed_file_is_refused(bundle: Bundle) -> None:
    model = bundle.path / "model.onnx"
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    with pytest.raises(BundleError, match="sha256"):
        bundle.file(bundle.variant().file)


def test_a_missing_file_is_refused(bundle: Bundle) -> None:
    (bundle.path / "model.onnx").unlink()
    with pytest.raises(BundleError, match="which its manifest names"):
        bundle.file(bundle.variant().file)


def _touched(path: Path) -> Path:
    path.touch()
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda p: p / "nothing", "does not exist", id="missing"),
        pytest.param(lambda p: p, "no manifest.json", id="folder"),
        pytest.param(lambda p: _touched(p / "f"), "is a file", id="file"),
    ],
)
def test_a_path_that_is_no_bundle(tmp_path: Path, make: Any, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        Bundle.open(make(tmp_path))


def test_variants_are_added_replaced_and_found(bundle: Bundle) -> None:
    (bundle.path / "model.int8.onnx").write_bytes(b"x")
    entry = FileEntry.of(bundle.path / "model.int8.onnx")
    made = bundle.add(Variant("int8", entry, "int8", "static-int8", 18))
    again = made.add(Variant("int8", entry, "int8", "other", 18))
    assert [v.name for v in Bundle.open(bundle.path).manifest.variants] == ["fp32", "int8"]
    assert again.variant("int8").recipe == "other"
    assert again.variant().name == "fp32"
    with pytest.raises(BundleError, match="no variant 'int9': it has 'fp32', 'int8'"):
        again.variant("int9")


def test_measurements_are_kept_by_their_conditions(bundle: Bundle) -> None:
    bundle.record("fp32", "latency", "cpu, batch 1", {"p50_ms": 1.0}).record(
        "fp32", "latency", "cpu, batch 8", {"p50_ms": 2.0}
    )
    measured = Bundle.open(bundle.path).variant().measured
    assert measured["latency"] == {
        "cpu, batch 1": {"p50_ms": 1.0},
        "cpu, batch 8": {"p50_ms": 2.0},
    }


def test_the_newest_bundle_is_found(bundle: Bundle, text_bundle: Bundle) -> None:
    root = bundle.path.parent
    os.utime(text_bundle.path / "manifest.json", (1, 1))
    assert bundles.find(None, root) == bundle.path
    os.utime(bundle.path / "manifest.json", (0, 0))
    assert bundles.find(None, root) == text_bundle.path
    with pytest.raises(BundleError, match="edgekit export transformer"):
        bundles.find(None, root / "nothing")


def test_equal_manifests_give_the_same_bytes(bundle: Bundle) -> None:
    assert dataclasses.replace(bundle.manifest).to_json() == bundle.manifest.to_json()
