"""Whether a phone's accelerator will take a model: partitions, unsupported operators, advice.

NNAPI and CoreML cannot be asked on a build machine. onnxruntime's own checker knows the operators
that each takes and how a graph falls apart around the others; this module runs it on the model as
it is and with its free axes fixed, and says what follows. Left of the wall: it reads the graph, so
it needs the package onnx.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.errors import ModelError, needs_extra, one_line
from edgekit.graph import fix_shapes
from edgekit.runtime.runner import open_runner
from edgekit.runtime.shapes import fix_axes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekit.signature import Signature

#: Target -> onnxruntime's list of its operators, None where the checker has it built in.
TARGETS = {
    "nnapi": None,
    "coreml-neuralnetwork": "coreml_supported_neuralnetwork_ops.md",
    "coreml-mlprogram": "coreml_supported_mlprogram_ops.md",
}
#: Operators that only some targets have -> the variant for the others.
VARIANTS = (
    (frozenset({"QuantizeLinear", "DequantizeLinear"}), "the float variant"),
    (
        frozenset({"DynamicQuantizeLinear", "MatMulInteger", "ConvInteger"}),
        "a variant that is quantised ahead (static-int8), or float",
    ),
)
#: The least opset that `edgekit export` writes.
LEAST_OPSET = 13


@dataclass(frozen=True)
class Partitions:
    """How a graph falls apart: the nodes that a target takes, in parts that it runs whole.

    `verdict` is onnxruntime's: `yes` for one part with more than 75% of the nodes, `maybe` for one
    with more than half or two with more than 75%, else `no`; each hand-over costs a copy.
    `dynamic` counts nodes that are left out for a free axis, `rank` names operators on tensors of
    more axes than the target has.
    """

    verdict: str
    nodes: int
    taken: int
    sizes: tuple[int, ...]
    dynamic: int
    rank: tuple[str, ...]


@dataclass(frozen=True)
class Readiness:
    """One target: the graph as it is and with its free axes fixed.

    `unsupported` counts the nodes of each operator that the target does not take; `caveats` tells
    of operators that it takes under conditions, which nobody has checked. `fixed` is None for a
    model without free axes.
    """

    target: str
    as_is: Partitions
    fixed: Partitions | None
    unsupported: dict[str, int]
    caveats: dict[str, str]

    @property
    def best(self) -> Partitions:
        """The graph with fixed axes, as an app should open it."""
        return self.fixed or self.as_is


@dataclass(frozen=True)
class MobileReport:
    """A model before the accelerators of phones, and what to do; `axes` are the lengths tried."""

    path: Path
    axes: dict[str, int]
    targets: tuple[Readiness, ...]
    advice: tuple[str, ...]


def readiness(path: Path, axes: Mapping[str, int] | None = None) -> MobileReport:
    """Check a model for NNAPI and CoreML by the lists of operators in onnxruntime's package.

    `axes` gives free axes a length; left out, the batch is 1 and any other axis what
    `Signature.sample` gives it. Raises `ModelError` for a file that is no model, `FeedError` for an
    axis that it does not have.
    """
    with open_runner(path) as runner:
        signature = runner.signature
    fix_axes(signature, axes or {})
    lengths = signature.lengths(signature.sample(axes=axes))
    with needs_extra("check a model for phones", "quantize"):
        as_is = _graph(path, None)
    fixed = _graph(path, fix_axes(signature, lengths)) if lengths else None
    targets = tuple(_target(name, as_is, fixed) for name in TARGETS)
    return MobileReport(path, lengths, targets, _advice(targets, lengths, as_is))


def _graph(path: Path, fixed: Signature | None) -> Any:
    """Load a model as onnxruntime's basic optimisations leave it, with the shapes inside."""
    from onnxruntime.tools import onnx_model_utils as tools

    try:
        with tempfile.TemporaryDirectory() as folder:
            given, made = path, Path(folder) / "optimised.onnx"
            if fixed is not None:
                given = Path(folder) / "fixed.onnx"
                fix_shapes(path, given, fixed)
            tools.optimize_model(given, made)
            return tools.ModelProtoWithShapeInfo(made).model_with_shape_info
    except Exception as error:  # the tools raise whatever they meet
        raise ModelError(
            f"The model {str(path)!r} cannot be checked for phones ({one_line(error)}): "
            "give a model that `edgekit inspect` opens."
        ) from error


def _target(name: str, as_is: Any, fixed: Any) -> Readiness:
    first = _check(name, as_is)
    last = _check(name, fixed) if fixed is not None else first
    graph = fixed if fixed is not None else as_is
    counts = Counter(f"{node.domain or 'ai.onnx'}:{node.op_type}" for node in graph.graph.node)
    caveats = (line.split(":", 2) for line in last.supported_ops_checker.get_caveats())
    return Readiness(
        target=name,
        as_is=_partitions(first),
        fixed=_partitions(last) if fixed is not None else None,
        unsupported={_short(op): counts[op] for op in sorted(last.unsupported_ops)},
        caveats={_short(f"{domain}:{op}"): text for domain, op, text in caveats},
    )


def _check(name: str, model: Any) -> Any:
    from onnxruntime.tools.mobile_helpers import usability_checker as checker

    operators = TARGETS[name]
    if operators is None:
        return checker.check_nnapi_partitions(model, require_fixed_input_sizes=True)
    return checker.check_coreml_partitions(
        model, require_fixed_input_sizes=True, config_filename=operators
    )


def _partitions(found: Any) -> Partitions:
    return Partitions(
        verdict=found.suitability().name.lower(),
        nodes=found.num_nodes,
        taken=found.num_supported_nodes,
        sizes=tuple(len(group) for group in found.supported_groups),
        dynamic=found.nodes_unsupported_due_to_dynamic_input,
        rank=tuple(sorted(map(_short, found.ops_with_unsupported_rank))),
    )


def _short(operator: str) -> str:
    return operator.removeprefix("ai.onnx:")


def _advice(targets: tuple[Readiness, ...], axes: Mapping[str, int], model: Any) -> tuple[str, ...]:
    rules = (
        _fix_axes_advice(targets, axes),
        *(_variant_advice(targets, operators, variant) for operators, variant in VARIANTS),
        *_opset_advice(targets, model),
    )
    able = [each.target for each in targets if each.best.verdict != "no"]
    last = "No accelerator is worth its copies: `edgekit compile --format ort` is for the CPU."
    if able:
        last = (
            f"For {' and '.join(able)}: `edgekit compile --format ort --style runtime` leaves the "
            "CPU its optimisations for the other nodes; time it on a phone."
        )
    return (*filter(None, rules), last)


def _fix_axes_advice(targets: tuple[Readiness, ...], axes: Mapping[str, int]) -> str | None:
    more = [each.target for each in targets if each.best.taken > each.as_is.taken]
    if not more:
        return None
    lengths = " and ".join(f"{axis}={length}" for axis, length in axes.items())
    return (
        f"Fix {lengths}, with --fix-axis of `edgekit compile`, or in the session options of an app "
        f"that opens the .onnx file: more nodes are then taken by {' and '.join(more)}."
    )


def _variant_advice(
    targets: tuple[Readiness, ...], operators: frozenset[str], variant: str
) -> str | None:
    without = [each.target for each in targets if operators & each.unsupported.keys()]
    if not without:
        return None
    found = sorted({op for each in targets for op in operators & each.unsupported.keys()})
    return f"Give {' and '.join(without)}, which has no {', '.join(found)}, {variant}."


def _opset_advice(targets: tuple[Readiness, ...], model: Any) -> list[str]:
    """Name operators that came with a later opset than edgekit can write."""
    import onnx

    opset = next((each.version for each in model.opset_import if not each.domain), LEAST_OPSET)
    since: dict[str, int] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if not schema.domain:
            first = since.get(schema.name, schema.since_version)
            since[schema.name] = min(first, schema.since_version)
    lines = []
    for op in dict.fromkeys(op for each in targets for op in each.unsupported):
        if LEAST_OPSET < since.get(op, 0) <= opset:
            without = [each.target for each in targets if op in each.unsupported]
            lines.append(
                f"Try `edgekit export --opset {since[op] - 1}` for {' and '.join(without)}: {op} "
                "came later, and is then written as operators that more providers have."
            )
    return lines
