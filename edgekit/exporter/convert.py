"""Frozen TensorFlow graph -> ONNX, by tf2onnx. The one place that calls it.

tf2onnx's errors are translated here, with the cause kept; it logs an unknown op and goes on, so
its log is read back and such a graph refused.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from typing import TYPE_CHECKING, Any

from edgekit.errors import ExportError, needs_extra, one_line
from edgekit.exporter import lowering, ops

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgekit.exporter.trace import Graph

#: tf2onnx 1.17 knows no later opset; every provider in the table runs it.
OPSET = 18
MIN_OPSET = 13


def convert(graph: Graph, name: str, opset: int = OPSET) -> Any:
    """Convert a frozen graph to an ONNX ModelProto; raises `ExportError` naming the op at fault."""
    with needs_extra("convert to ONNX"):
        import tf2onnx
    with _captured_log() as problems:
        try:
            with warnings.catch_warnings():
                # tf2onnx calls numpy and TensorFlow in ways that both deprecate.
                warnings.simplefilter("ignore")
                proto, _ = tf2onnx.convert.from_graph_def(
                    graph.graph_def,
                    name=name,
                    input_names=list(graph.inputs),
                    output_names=list(graph.outputs),
                    opset=opset,
                    custom_ops={lowering.OPERATOR: lowering.DOMAIN},
                    custom_op_handlers=dict(ops.HANDLERS),
                )
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
    return proto


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
