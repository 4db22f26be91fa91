"""Frozen TensorFlow graph -> ONNX, by tf2onnx. The one place that calls it.

tf2onnx's errors are translated here, with the cause kept; it logs an unknown op and goes on, so
its log is read back and such a graph refused.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import warnings
from typing import TYPE_CHECKING, Any

from edgekit.errors import ExportError, needs_extra, one_line
from edgekit.exporter import frameworks, lowering, ops

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


def convert(graph: Graph, name: str, opset: int = OPSET) -> Any:
    """Convert a frozen graph to an `onnx_ir.Model`; raises `ExportError` naming the op at fault."""
    return _checked(functools.partial(_from_graph, graph), name, opset)


def convert_lite(lite: LiteModel, opset: int = OPSET) -> Any:
    """Convert a `.tflite` file as `convert` does a graph; quantised it stays so, as QDQ."""
    return _checked(functools.partial(_from_lite, lite), lite.name, opset)


def _checked(convert: Callable[[int], Any], name: str, opset: int) -> Any:
    """Convert with tf2onnx, and take what it only logs for an error."""
    import onnx_ir as ir
    from onnxscript.version_converter import convert_version

    with needs_extra("convert to ONNX"):
        import tf2onnx  # noqa: F401 - the import is the effect
    with _captured_log() as problems:
        try:
            with warnings.catch_warnings():
                # tf2onnx calls numpy and TensorFlow in ways that both deprecate.
                warnings.simplefilter("ignore")
                proto = convert(min(opset, TF2ONNX_OPSET)).make_model(name)
        except Exception as error:  # tf2onnx raises whatever an op provokes
            raise ExportError(
                f"The model {name!r} cannot be converted ({one_line(error)}): replace the layer "
                "that uses this op, or export the model without it."
            ) from error
    if problems:
        raise ExportError(
            f"The model {name!r} cannot be converted ({problems[0]}): replace the layer that uses "
            "this op, or export the model without it."
        )
    model = ir.from_proto(proto)
    if opset > TF2ONNX_OPSET:
        convert_version(model, opset)
    return model


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
def _captured_log() -> Iterator[list[str]]:
    """Collect what tf2onnx logs as errors, and keep the rest off the terminal."""
    problems: list[str] = []

    class Collect(logging.Handler):
        """Keep the first line of each error."""

        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.ERROR:
                problems.append(record.getMessage().strip().splitlines()[0])

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
