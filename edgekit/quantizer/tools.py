"""The seam to the quantisation tools: their errors, logs and prints become ours here, once."""

from __future__ import annotations

import contextlib
import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit.errors import EdgekitError, QuantizeError, needs_extra, one_line, require
from edgekit.quantizer import ranges

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edgekit.quantizer.calibration import Calibration, Ranges
    from edgekit.quantizer.recipes import Recipe

logger = logging.getLogger(__name__)

#: onnxruntime's severities: 2 (warning) is its own default, 4 is fatal only.
_ORT_WARNING, _ORT_FATAL = 2, 4
#: Numbers of a column that share a scale in MatMulNBits, by bits; its `accuracy_level` of kernels
#: that round activations to int8.
BLOCKS = {4: 32, 8: 64}
INT8_ACTIVATIONS = 4


@contextlib.contextmanager
def tool_errors(step: str, advice: str) -> Iterator[None]:
    """Run one step of onnx's or onnxruntime's tools quietly; raises `QuantizeError`.

    `step` completes "... cannot be <step>", `advice` says what to do. edgekit's own errors, a
    missing package and a disk that is full pass through.
    """
    with needs_extra("quantise a model", "quantize"), _quiet():
        try:
            yield
        except (EdgekitError, ModuleNotFoundError, OSError):
            raise
        except Exception as error:
            # protobuf's DecodeError, onnx's ValidationError, InferenceError and ConvertError,
            # onnxruntime's Fail, InvalidGraph, ... have no base in common, and the tools answer a
            # graph that they did not expect with whatever Python raises.
            raise QuantizeError(
                f"The model cannot be {step} ({type(error).__name__}: {one_line(error)}): {advice}."
            ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Send what the tools log and print to this package's debug log; nothing goes to stdout.

    They log through the root logger, whose first message would install a handler of its own.
    """
    ort = require("onnxruntime", "quantise a model")
    root = logging.getLogger()
    placeholder = logging.NullHandler()
    root.addHandler(placeholder)
    handlers = list(root.handlers)
    for handler in handlers:
        handler.addFilter(_is_ours)
    ort.set_default_logger_severity(_ORT_FATAL)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        ort.set_default_logger_severity(_ORT_WARNING)
        for handler in handlers:
            handler.removeFilter(_is_ours)
        root.removeHandler(placeholder)


def _is_ours(record: logging.LogRecord) -> bool:
    """Keep a record that the tools did not write; theirs are told to the debug log."""
    if not any(f"/{package}/" in record.pathname for package in ("onnxruntime", "onnx")):
        return True
    logger.debug("%s", record.getMessage())
    return False


def preprocess(source: Path, target: Path) -> None:
    """Write the model with its constants folded, BatchNormalization fused and shapes inferred.

    Without the tool's symbolic shape inference: it gives up on many Transformers, finds no more
    nodes to quantise on the others, and leaves files in the working folder when it fails.
    """
    with tool_errors("prepared for quantisation", "check it with onnx.checker"):
        from onnxruntime.quantization.shape_inference import quant_pre_process

        quant_pre_process(source, target, skip_symbolic_shape=True)


@dataclass(frozen=True)
class Form:
    """How static int8 is written: the dtype of activations and their range, QDQ or QOperator.

    TensorRT takes symmetric activations alone, and no bias in int32.
    """

    activations: str
    qoperator: bool = False
    symmetric: bool = False
    int32_bias: bool = True


FORMS = {
    "u8s8": Form("UINT8"),
    "s8s8": Form("INT8", symmetric=True, int32_bias=False),
    "qoperator": Form("UINT8", qoperator=True),
}


def run_static(
    source: Path,
    target: Path,
    calibration: Calibration,
    method: str,
    *,
    op_types: Sequence[str],
    nodes: Sequence[str],
    recipe: Recipe,
    form: Form,
) -> None:
    """Write these nodes in int8, with ranges that the calibration's method finds."""
    with tool_errors("quantised", "exclude the node at fault, or try dynamic-int8"):
        quantize_static(
            source,
            target,
            ranges.find(source, calibration, method, op_types),
            op_types_to_quantize=list(op_types),
            nodes_to_quantize=list(nodes),
            qoperator=form.qoperator,
            per_channel=True,
            reduce_range=recipe.weight_bits == 7,
            activation_type=_type(form.activations),
            weight_type=_type(recipe.weights),
            extra_options={
                "WeightSymmetric": True,
                "ActivationSymmetric": form.symmetric,
                "QuantizeBias": form.int32_bias,
            },
        )


def quantize_static(
    source: Path,
    target: Path,
    found: Ranges,
    *,
    op_types_to_quantize: Sequence[str],
    nodes_to_quantize: Sequence[str] = (),
    nodes_to_exclude: Sequence[str] = (),
    qoperator: bool = False,
    per_channel: bool = False,
    reduce_range: bool = False,
    activation_type: Any,
    weight_type: Any,
    extra_options: dict[str, Any],
) -> None:
    """Do what onnxruntime's function of this name does, with ranges that are known.

    Its own takes them from a file since 1.28 only, and as JSON.
    """
    import numpy as np
    from onnxruntime.quantization import QDQQuantizer
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorData, TensorsData
    from onnxruntime.quantization.onnx_quantizer import ONNXQuantizer
    from onnxruntime.quantization.quant_utils import QuantizationMode, load_model_with_shape_infer

    data = TensorsData(
        CalibrationMethod.MinMax,
        {
            name: TensorData(lowest=np.array(low, np.float32), highest=np.array(high, np.float32))
            for name, (low, high) in found.items()
        },
    )
    options = (
        weight_type,
        activation_type,
        data,
        list(nodes_to_quantize),
        list(nodes_to_exclude),
        list(op_types_to_quantize),
        extra_options,
    )
    model = load_model_with_shape_infer(source)
    if qoperator:
        mode = QuantizationMode.QLinearOps
        quantizer = ONNXQuantizer(model, per_channel, reduce_range, mode, True, *options)
    else:
        quantizer = QDQQuantizer(model, per_channel, reduce_range, *options)
    quantizer.quantize_model()
    quantizer.model.save_model_to_file(str(target), False)


def fuse_for_npu(path: Path) -> None:
    """Let Gelu and layer normalisation be one operator each, as an NPU has them; in place."""
    with tool_errors("prepared for quantisation", "try static-int8"):
        import onnx
        from onnxruntime.quantization import fusions
        from onnxruntime.quantization.onnx_model import ONNXModel

        model = ONNXModel(onnx.load(path))
        for fusion in (fusions.FusionGelu, fusions.FusionLayerNormalization):
            fusion(model).apply()
        for node in model.model.graph.node:
            if node.op_type == "Gelu":
                node.domain = ""  # the operator of opset 20 says the same
        onnx.save(model.model, path)


def run_npu(
    source: Path,
    target: Path,
    calibration: Calibration,
    method: str,
    *,
    exclude: Sequence[str],
    recipe: Recipe,
) -> None:
    """Write every node in QDQ form by onnxruntime's rules for Qualcomm's NPU."""
    with tool_errors("quantised", "exclude the node at fault, or try static-int8"):
        from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config

        config = get_qnn_qdq_config(
            source,
            None,  # a reader, which it would only pass on
            activation_type=_type(recipe.activations),
            weight_type=_type(recipe.weights),
            nodes_to_exclude=list(exclude) or None,
        )
        quantize_static(
            source,
            target,
            ranges.find(source, calibration, method, config.op_types_to_quantize),
            op_types_to_quantize=config.op_types_to_quantize,
            nodes_to_exclude=exclude,
            activation_type=config.activation_type,
            weight_type=config.weight_type,
            extra_options=config.extra_options,
        )


def run_dynamic(source: Path, target: Path, *, nodes: Sequence[str], recipe: Recipe) -> None:
    """Write these MatMul, Gemm and LSTM nodes with int8 weights, one scale a column."""
    with tool_errors("quantised", "exclude the node at fault, or try static-int8"):
        from onnxruntime.quantization import quantize_dynamic

        quantize_dynamic(
            source,
            target,
            # The tool writes a Gemm as MatMul and Add before it looks at the names.
            op_types_to_quantize=["LSTM", "MatMul"],
            nodes_to_quantize=[*nodes, *(f"{name}_MatMul" for name in nodes)],
            per_channel=True,
            reduce_range=recipe.weight_bits == 7,
            weight_type=_type(recipe.weights),
        )


def run_blockwise(source: Path, target: Path, *, nodes: Sequence[str], bits: int) -> None:
    """Write these MatMul nodes as MatMulNBits, a scale for every block of a column's numbers."""
    with tool_errors("quantised", "exclude the node at fault, or try weight-int8"):
        import onnx
        from onnxruntime.quantization import matmul_nbits_quantizer as nbits

        model = onnx.load(source)
        names = set(nodes)
        config = nbits.DefaultWeightOnlyQuantConfig(
            block_size=BLOCKS[bits], is_symmetric=True, accuracy_level=INT8_ACTIVATIONS, bits=bits
        )
        others = [node.name for node in _matmuls(model.graph) if node.name not in names]
        quantizer = nbits.MatMulNBitsQuantizer(model, algo_config=config, nodes_to_exclude=others)
        quantizer.process()
        quantizer.model.save_model_to_file(str(target))


def _matmuls(graph: Any) -> Iterator[Any]:
    for node in graph.node:
        if node.op_type == "MatMul":
            yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _matmuls(inner)


def _type(name: str) -> Any:
    from onnxruntime.quantization import QuantType

    kinds = {"UINT8": QuantType.QUInt8, "INT8": QuantType.QInt8, "UINT16": QuantType.QUInt16}
    return kinds[name]


def run_fp16(source: Path, target: Path, *, op_types: Sequence[str], nodes: Sequence[str]) -> None:
    """Write the model in half precision but for its inputs and outputs and what is named.

    `op_types` and `nodes` stay in float. The nodes of the result are in no order.
    """
    with tool_errors("converted to fp16", "try another recipe"):
        import onnx
        from onnxruntime.transformers import float16

        proto = float16.convert_float_to_float16(
            onnx.load(source),
            keep_io_types=True,
            op_block_list=[*float16.DEFAULT_OP_BLOCK_LIST, *op_types],
            node_block_list=list(nodes),
        )
        onnx.save(proto, target)


def check_opens(path: Path) -> None:
    """Raise `QuantizeError` where onnxruntime refuses what a tool made."""
    with tool_errors("opened", "try another recipe"):
        ort = require("onnxruntime", "quantise a model")
        options = ort.SessionOptions()
        options.log_severity_level = _ORT_FATAL
        ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
