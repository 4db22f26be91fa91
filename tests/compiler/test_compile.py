"""Compiling ahead of time, as far as the CPU can tell; tests/devices has the real compilers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper

import edgekit
from edgekit import compiler
from edgekit.bundle import Bundle, FileEntry, Manifest, Variant
from edgekit.cli import cli
from edgekit.compiler import compile_model, writers
from edgekit.errors import BundleError, CompileError, FeedError, ModelError, OutputError
from edgekit.runtime.runner import RunOptions
from tests.conftest import write_classifier, write_model


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args])


def operators(config: Path) -> set[str]:
    lines = config.read_text(encoding="utf-8").splitlines()
    return {name for line in lines if line[0] != "#" for name in line.split(";")[2].split(",")}


@pytest.mark.parametrize(
    ("style", "name", "ending"),
    [("fixed", "fp32-ort", ".ort"), ("runtime", "fp32-ort-runtime", ".runtime.ort")],
    ids=["fixed", "runtime"],
)
def test_a_bundle_gets_an_ort_file_with_the_operators_it_needs(
    bundle: Bundle, style: str, name: str, ending: str
) -> None:
    made = compile_model(bundle, style=style)
    assert made.path == bundle.path / f"model.fp32{ending}"
    assert all(output.passed for output in made.outputs)
    (config,) = made.beside
    assert config.name == f"model.fp32{ending}.required_operators.config"
    assert operators(config) == {"MatMul", "Softmax"}
    assert str(bundle.path.parent) not in config.read_text(encoding="utf-8")
    again = Bundle.open(bundle.path)
    variant = again.variant(name)
    assert (variant.provider, variant.recipe) == ("cpu", f"ort:{style}:arm")
    assert again.manifest.data[config.name] == FileEntry.of(config)
    assert edgekit.validate(again, variant=name).passed
    with edgekit.open(made.path) as runner:
        assert runner.signature == bundle.manifest.signature


def test_a_plain_file_gets_one_beside_itself_and_is_left_as_it_is(classifier: Path) -> None:
    before = classifier.read_bytes()
    made = compile_model(classifier, style="fixed", platform="amd64")
    assert made.path == classifier.with_name("classifier.ort")
    assert (made.variant, made.bundle) == (None, None)
    assert classifier.read_bytes() == before
    beside = {path.name for path in classifier.parent.iterdir()}
    assert beside == {
        "classifier.onnx",
        "classifier.ort",
        "classifier.ort.required_operators.config",
    }
    with pytest.raises(OutputError, match="--force"):
        compile_model(classifier, style="fixed")
    assert compile_model(classifier, style="fixed", force=True).path == made.path


def test_an_ort_file_keeps_free_axes_unless_they_are_fixed(bundle: Bundle) -> None:
    made = compile_model(bundle, style="runtime", axes={"batch": 2})
    with edgekit.open(made.path) as runner:
        assert runner.signature.inputs[0].shape == (2, 4)
        assert runner.signature.outputs[0].shape == (2, 3)
    variant = Bundle.open(bundle.path).variant("fp32-ort-runtime")
    assert variant.axes == {"batch": 2}
    assert edgekit.validate(bundle.path).passed


def test_an_ort_file_opens_and_has_nothing_to_inspect(classifier: Path) -> None:
    made = compile_model(classifier, style="fixed")
    assert edgekit.validate(made.path, against=classifier).passed
    refused = run("inspect", made.path)
    assert refused.exit_code == 3
    assert "inspect the .onnx file" in refused.stderr


def test_a_name_that_tells_another_format_is_refused(classifier: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"does not end in '\.ort'"):
        compile_model(classifier, style="fixed", out=tmp_path / "out.onnx")


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"nothing" * 20)
    with pytest.raises(ModelError, match="cannot open"):
        compile_model(path, style="fixed")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({}, "'cpu' compiles no model", id="no provider"),
        pytest.param({"provider": "webgpu"}, "give one of .*qnn", id="one that compiles nothing"),
        pytest.param({"provider": "qnn,cpu"}, "'qnn,cpu' compiles no model", id="several"),
        pytest.param({"provider": "qnn", "style": "fixed"}, "not both", id="ort for a provider"),
    ],
)
def test_what_cannot_be_compiled(classifier: Path, options: Any, message: str) -> None:
    with pytest.raises(CompileError, match=message):
        compile_model(classifier, **options)


def copying(fixed_axes: bool, scale: float | None = None) -> Any:
    """A writer whose compiler copies the model, or writes one of other weights."""

    def write(source: Path, target: Path, case: Any) -> None:
        if scale is None:
            target.write_bytes(source.read_bytes())
        else:
            write_classifier(target, scale)

    return lambda *_: writers.Writer("npu", ".npu.onnx", "cpu", "compiled:npu", fixed_axes, write)


def test_a_file_that_answers_otherwise_is_not_written(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(bundle.path.iterdir())
    monkeypatch.setattr(compiler, "writer_of", copying(fixed_axes=False, scale=3.0))
    with pytest.raises(CompileError, match="answers otherwise"):
        compile_model(bundle)
    assert sorted(bundle.path.iterdir()) == before


def test_a_file_of_other_axes_is_not_written(
    classifier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "writer_of", copying(fixed_axes=True))
    with pytest.raises(CompileError, match=r"\(1, 4\).* into .*\(batch, 4\)"):
        compile_model(classifier)
    assert not classifier.with_name("classifier.npu.onnx").exists()


def test_what_is_compiled_is_not_compiled_again(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "writer_of", copying(fixed_axes=False))
    compile_model(bundle)
    assert Bundle.open(bundle.path).variant("fp32-npu").precision == "fp32"
    with pytest.raises(CompileError, match="compiled already, for 'cpu': give one of 'fp32'"):
        compile_model(bundle.path, variant="fp32-npu")


@pytest.mark.parametrize(
    ("axes", "error", "message"),
    [
        pytest.param({}, CompileError, "--fix-axis time=LENGTH", id="a length nobody tells"),
        pytest.param({"tim": 3}, FeedError, "no free axis 'tim'", id="an axis that is not there"),
    ],
)
def test_axes_without_a_reference(tmp_path: Path, axes: Any, error: Any, message: str) -> None:
    path = write_model(
        tmp_path / "m.onnx",
        [helper.make_node("Relu", ["x"], ["y"])],
        [("x", TensorProto.FLOAT, ["batch", "time"])],
        [("y", TensorProto.FLOAT, ["batch", "time"])],
    )
    with pytest.raises(error, match=message):
        compile_model(path, **RunOptions(provider="qnn", axes=axes))


def compiled_elsewhere(bundle: Bundle, alias: str) -> Bundle:
    path = write_classifier(bundle.path / f"model.{alias}.onnx")
    variant = Variant(
        alias, FileEntry.of(path), "int8", "compiled", 18, provider=alias, axes={"batch": 1}
    )
    return bundle.add(variant)


def test_what_another_provider_compiled_is_not_among_all_variants(bundle: Bundle) -> None:
    both = compiled_elsewhere(bundle, "qnn")
    assert [variant.name for variant in both.variants_on("cpu")] == ["fp32"]
    assert [variant.name for variant in both.variants_on(["qnn", "cpu"])] == ["fp32", "qnn"]
    assert [v.variant for v in edgekit.validate(both.path).variants] == ["fp32"]
    timed = edgekit.benchmark(both.path, variants="all", duration_s=0.05)
    assert [each.variant for each in timed.results] == ["fp32"]


@pytest.mark.parametrize("axes", [{"batch": 0}, {"batch": True}, {"batch": "1"}, [1]])
def test_a_manifest_with_strange_axes(bundle: Bundle, axes: Any) -> None:
    raw = json.loads(compiled_elsewhere(bundle, "qnn").manifest.to_json())
    raw["variants"][1]["axes"] = axes
    with pytest.raises(BundleError, match=r"variants\[1\]\.axes"):
        Manifest.from_json(json.dumps(raw), bundle.path)


def test_a_manifest_from_before_compiling(bundle: Bundle) -> None:
    raw = json.loads(bundle.manifest.to_json())
    for variant in raw["variants"]:
        del variant["provider"], variant["axes"]
    assert Manifest.from_json(json.dumps(raw), bundle.path) == bundle.manifest


@pytest.mark.parametrize("batch", [1, 3])
def test_a_fixed_batch_is_validated_and_timed_in_its_own_size(
    bundle: Bundle, tmp_path: Path, batch: int
) -> None:
    weights = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    write_model(
        bundle.path / "model.fixed.onnx",
        [
            helper.make_node("MatMul", ["x", "w"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
        ],
        [("x", TensorProto.FLOAT, [batch, 4])],
        [("probabilities", TensorProto.FLOAT, [batch, 3])],
        w=weights,
    )
    entry = FileEntry.of(bundle.path / "model.fixed.onnx")
    bundle.add(dataclasses.replace(bundle.variant(), name="fixed", file=entry))
    (found,) = edgekit.validate(bundle.path, variant="fixed").variants
    assert found.passed
    assert list(found.outputs) == [batch]
    assert found.metric == pytest.approx(1.0)
    timed = edgekit.benchmark(bundle.path, variants="fixed", batch=batch, duration_s=0.05)
    assert timed.results[0].p50_ms > 0


def test_compile_on_the_command_line(bundle: Bundle) -> None:
    for args in ((), ("--provider", "qnn", "--format", "ort")):
        assert run("compile", bundle.path, *args).exit_code == 2
    text = run("compile", bundle.path, "--format", "ort")
    assert text.exit_code == 0, text.stderr
    assert "model.fp32.ort.required_operators.config" in text.stdout
    assert "--variant fp32-ort --provider cpu" in text.stdout
    found = run("compile", bundle.path, "--format", "ort", "--force", "--json")
    assert json.loads(found.stdout)["variant"] == "fp32-ort"
    assert run("compile", bundle.path, "--provider", "cpu").exit_code == 3
