"""Frozen TensorFlow graph -> ONNX, by tf2onnx. The one place that calls it.

tf2onnx's errors are translated here, with the cause kept; it logs an unknown op and goes on, so
its log is read back and such a graph refused.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit.errors import ExportError, needs_extra, one_line
from edgekit.exporter import blame, frameworks, lowering, ops

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgekit.exporter.foreign import LiteModel
    from edgekit.exporter.trace import Graph

#: What is exported unless another is asked for: every provider in the table runs it, mobile builds
#: of onnxruntime since 1.14 among them, and no later operator is faster there than its pattern is.
OPSET = 18
MIN_OPSET = 13
#: tf2onnx 1.17 knows none later; onnxscript converts on to the newest.
TF2ONNX_OPSET = 18
MAX_OPSET = 25


@dataclass(frozen=True)
class Problem:
    """What tf2onnx logged as an error: the node and its op where it says them."""

    text: str
    node: str | None = None
    op: str | None = None
    cause: BaseException | None = None


def convert(graph: Graph, keras_model: Any, name: str, opset: int = OPSET) -> Any:
    """Convert a frozen graph to an `onnx_ir.Model`.

    Raises `ExportError` that names the layer of `keras_model` and the op at fault.
    """
    return _checked(functools.partial(_from_graph, graph), keras_model, name, opset)


def convert_lite(lite: LiteModel, opset: int = OPSET) -> Any:
    """Convert a `.tflite` file as `convert` does a graph; quantised it stays so, as QDQ."""
    return _checked(functools.partial(_from_lite, lite), lite, lite.name, opset)


def _checked(convert: Callable[[int], Any], source: Any, name: str, opset: int) -> Any:
    """Convert with tf2onnx, and take what it only logs for an error."""
    import onnx_ir as ir
    from onnxscript.version_converter import convert_version

    with needs_extra("convert to ONNX"):
        import tf2onnx  # noqa: F401 - the import is the effect
    proto: Any = None
    with _captured_log() as problems:
        try:
            with warnings.catch_warnings():
                # tf2onnx calls numpy and TensorFlow in ways that both deprecate.
                warnings.simplefilter("ignore")
                proto = convert(min(opset, TF2ONNX_OPSET)).make_model(name)
        except Exception as error:  # noqa: BLE001 - tf2onnx raises whatever an op provokes
            problems.append(Problem(one_line(error), cause=error))
    if problems:
        raise ExportError(_refusal(source, name, problems[0])) from problems[0].cause
    model = ir.from_proto(proto)
    if opset > TF2ONNX_OPSET:
        convert_version(model, opset)
    return model


def _refusal(source: Any, name: str, problem: Problem) -> str:
    layer = blame.layer_of_node(source, problem.node) if problem.node else None
    layer = layer or blame.layer_in_text(source, problem.text)
    subject = f"The layer {layer!r}" if layer else f"The model {name!r}"
    detail = problem.text
    if problem.op and problem.cause is None:
        detail = f"its op {problem.op} has no form in ONNX"
    elif problem.op:
        detail = f"its op {problem.op}: {one_line(problem.cause or ValueError())}"
    return (
        f"{subject} cannot be converted ({detail}): write it with other functions of keras.ops, "
        "replace it, or export the model without it."
    )


def _from_graph(graph: Graph, opset: int) -> Any:
    """Do what `tf2onnx.convert` does, but for its optimizers.

    They take half of the time; `passes.fold` and `layout` do more, and sooner.
    """
    import tensorflow as tf
    from tf2onnx import tf_loader, tfonnx
    from tf2onnx.convert import make_default_custom_op_handler

    inputs, outputs = list(graph.inputs), list(graph.outputs)
    marker = make_default_custom_op_handler(lowering.DOMAIN)
    with tf.Graph().as_default() as tf_graph:
        tf.import_graph_def(tf_loader.tf_optimize(inputs, outputs, graph.graph_def), name="")
        return tfonnx.process_tf_graph(
            tf_graph,
            continue_on_error=True,
            opset=opset,
            custom_op_handlers={**ops.HANDLERS, lowering.OPERATOR: (marker, [])},
            input_names=inputs,
            output_names=outputs,
        )


def _from_lite(lite: LiteModel, opset: int) -> Any:
    from tf2onnx import tfonnx

    with frameworks.stderr_closed():  # TensorFlow Lite announces its delegate
        return tfonnx.process_tf_graph(
            None,
            tflite_path=str(lite.path),
            continue_on_error=True,
            opset=opset,
            input_names=list(lite.tensors),
            output_names=list(lite.outputs.values()),
        )


@contextlib.contextmanager
def _captured_log() -> Iterator[list[Problem]]:
    """Collect what tf2onnx logs as errors, and keep the rest off the terminal."""
    problems: list[Problem] = []

    class Collect(logging.Handler):
        """Keep each error."""

        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.ERROR:
                problems.append(_problem(record))

    logger = logging.getLogger("tf2onnx")
    handler, before = Collect(), (logger.propagate, logger.level)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield problems
    finally:
        logger.removeHandler(handler)
        logger.propagate, level = before
        logger.setLevel(level)


def _problem(record: logging.LogRecord) -> Problem:
    """Read the node and the op from where tf2onnx has them: its messages' arguments."""
    text = record.getMessage().strip().splitlines()[0]
    arguments = record.args if isinstance(record.args, tuple) else ()
    cause = record.exc_info[1] if record.exc_info else None
    if record.msg.startswith("Tensorflow op [%s: %s]"):
        return Problem(text, str(arguments[0]), str(arguments[1]))
    if record.msg.startswith("Failed to convert node"):
        op = re.search(r"OP=(\w+)", str(arguments[2]))
        return Problem(text, str(arguments[0]), op.group(1) if op else None, cause)
    return Problem(text, cause=cause)
