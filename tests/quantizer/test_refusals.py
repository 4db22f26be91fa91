"""What cannot be quantised: one sentence, nothing written, nothing left behind."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from edgekit.bundle import Bundle
from edgekit.errors import BundleError, FeedError, ModelError, OutputError, QuantizeError
from edgekit.quantizer import quantize, tools
from edgekit.runtime.runner import open_runner
from tests.quantizer import models


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    return models.mlp(folder / "model.onnx")


def alone(source: Path) -> bool:
    """Whether nothing but the model is in its folder."""
    return [path.name for path in source.parent.iterdir()] == [source.name]


def test_an_unknown_recipe_suggests_the_nearest(source: Path) -> None:
    with pytest.raises(QuantizeError, match="no recipe 'static-int4': did you mean 'static-int8'"):
        quantize(source, "static-int4")
    with pytest.raises(
        QuantizeError, match="there are 'static-int8', 'dynamic-int8', 'mixed', 'npu-int8', 'a16w8'"
    ):
        quantize(source, "zzz")


def test_static_needs_calibration_data(source: Path) -> None:
    with pytest.raises(QuantizeError, match="give --calibration with inputs of the model: an"):
        quantize(source)
    with pytest.raises(FeedError, match="unknown 'y'"):
        quantize(source, calibration={"y": np.zeros((1, 32))})
    assert alone(source)


def test_an_existing_output_is_refused_without_force(source: Path) -> None:
    target = source.with_name("model.int8-dynamic.onnx")
    target.write_text("precious")
    with pytest.raises(OutputError, match="exists already"):
        quantize(source, "dynamic-int8")
    assert target.read_text() == "precious"
    assert quantize(source, "dynamic-int8", force=True).path == target


def test_the_model_itself_is_never_the_output(source: Path) -> None:
    before = source.read_bytes()
    with pytest.raises(OutputError, match="the model itself"):
        quantize(source, "fp16", out=source, force=True)
    assert source.read_bytes() == before


@pytest.mark.parametrize("recipe", ["static-int8", "dynamic-int8", "fp16"])
@pytest.mark.parametrize("content", [b"", b"not a model", None])
def test_a_file_that_is_no_model(source: Path, recipe: str, content: bytes | None) -> None:
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(ModelError, match="cannot open"):
        quantize(source, recipe, calibration=models.data("mlp"))
    assert alone(source)


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        quantize(tmp_path / "missing.onnx", "fp16")
    with pytest.raises(BundleError, match=r"no manifest\.json"):
        quantize(tmp_path, "fp16")


def test_a_damaged_bundle(bundle: Bundle) -> None:
    path = bundle.path / "model.onnx"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(BundleError, match="does not match"):
        quantize(bundle, "fp16")


def test_a_convolutional_model_has_nothing_for_dynamic_int8(tmp_path: Path) -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"])]
    source = models.write(
        tmp_path / "m.onnx",
        nodes,
        {"x": ["batch", 3, 8, 8]},
        {"y": ["batch", 4, 6, 6]},
        {"w": models.normal(0, 4, 3, 3, 3)},
    )
    with pytest.raises(QuantizeError, match=r"1 Conv\): use static-int8 for convolutions"):
        quantize(source, "dynamic-int8")


def test_a_model_without_weights_has_nothing_for_int8(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    shape: list[int | str] = ["batch", 3]
    source = models.write(tmp_path / "m.onnx", nodes, {"x": shape}, {"y": shape}, {})
    with pytest.raises(QuantizeError, match=r"none of them\): use fp16, or keep the float model"):
        quantize(source, calibration={"x": models.normal(0, 8, 3)})


def test_a_quantised_model_is_not_quantised_again(source: Path) -> None:
    once = quantize(source, calibration=models.data("mlp")).path
    with pytest.raises(QuantizeError, match="quantised already"):
        quantize(once, "dynamic-int8")
    half = onnx.load(source)
    for tensor in half.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    for value in (*half.graph.input, *half.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    onnx.save(half, source)
    with pytest.raises(QuantizeError, match="fp16 weights already"):
        quantize(source, "fp16")
    with pytest.raises(QuantizeError, match="constant float weights"):
        quantize(source, "dynamic-int8")


def test_an_excluded_name_must_be_there(source: Path) -> None:
    with pytest.raises(QuantizeError, match="no node or layer 'dense9' to exclude: it has 'dense0"):
        quantize(source, "dynamic-int8", exclude=["dense9"])
    with pytest.raises(QuantizeError, match="exclude less"):
        quantize(source, "dynamic-int8", exclude=["dense0", "dense1"])


def test_a_result_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Mul", ["m", "big"], ["b"]),
        helper.make_node("Transpose", ["b"], ["t"], perm=[1, 0]),
        helper.make_node("Transpose", ["t"], ["u"], perm=[1, 0]),
        helper.make_node("Split", ["u", "halves"], ["l", "r"], axis=1),
        helper.make_node("Concat", ["r", "l"], ["c"], axis=1),
        helper.make_node("Mul", ["c", "small"], ["y"]),
    ]
    weights = {
        "w": models.normal(0, 8, 8),
        "big": np.array([6e4], np.float32),
        "small": np.array([1e-4], np.float32),
        "halves": np.array([4, 4], np.int64),
    }
    shape: list[int | str] = ["batch", 8]
    source = models.write(tmp_path / "m.onnx", nodes, {"x": shape}, {"y": shape}, weights)
    with pytest.raises(QuantizeError, match="NaN or infinite where the float model gives"):
        quantize(source, "fp16")


def test_a_result_with_another_interface_is_refused(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgekit.quantizer import graph

    finish = graph.finish

    def rename(model: Any, *rest: Any) -> None:
        finish(model, *rest)
        model.graph.outputs[0].name = "other"

    monkeypatch.setattr(graph, "finish", rename)
    with pytest.raises(QuantizeError, match="this is a defect"):
        quantize(source, "dynamic-int8")
    assert alone(source)


def test_a_full_disk_is_an_output_error(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(onnx, "save", full)
    with pytest.raises(OutputError, match="No space left on device"):
        quantize(source, "fp16")
    assert alone(source)


@pytest.mark.parametrize("error", [ValueError("one\ntwo"), AssertionError(), KeyError("k")])
def test_what_a_tool_raises_becomes_one_sentence(
    error: Exception, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("onnxruntime.quantization.quantize_dynamic", fail)
    with pytest.raises(QuantizeError, match=f"cannot be quantised .{type(error).__name__}") as seen:
        quantize(source, "dynamic-int8")
    assert seen.value.__cause__ is error
    assert "\n" not in str(seen.value)
    assert alone(source)


def test_an_interrupt_passes_and_leaves_nothing(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tools, "run_dynamic", stop)
    with pytest.raises(KeyboardInterrupt):
        quantize(source, "dynamic-int8")
    assert alone(source)


def test_a_model_too_large_for_the_tools(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgekit.quantizer import graph

    monkeypatch.setattr(graph, "MAX_MODEL_BYTES", 1000)
    with pytest.raises(QuantizeError, match="the quantisation tools take up to 1000"):
        quantize(source, "fp16")


def test_a_model_that_takes_no_made_up_sample_is_not_run(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Reshape", ["m", "shape"], ["y"]),
    ]
    weights = {"w": models.normal(0, 8, 8), "shape": np.array([-1, 40], np.int64)}
    source = models.write(
        tmp_path / "m.onnx", nodes, {"x": ["batch", 8]}, {"y": ["rows", 40]}, weights
    )
    made = quantize(source, "dynamic-int8")
    assert any("it was opened and not run" in note for note in made.notes)
    with open_runner(made.path) as runner:
        assert runner.run({"x": np.zeros((5, 8), np.float32)})["y"].shape == (1, 40)


def test_samples_is_at_least_one(source: Path) -> None:
    with pytest.raises(ValueError, match="samples is 0"):
        quantize(source, calibration=models.data("mlp"), samples=0)
