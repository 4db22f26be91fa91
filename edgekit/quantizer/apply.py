"""A recipe applied to one file: prepare, choose, quantise, clean up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit.errors import QuantizeError
from edgekit.quantizer import bias, choose, graph, tools
from edgekit.quantizer.equalize import equalize

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgekit.quantizer.calibration import Calibration
    from edgekit.quantizer.recipes import Recipe, Settings

QUANTISED = ("DequantizeLinear", "MatMulInteger", "ConvInteger", "QLinearConv", "QLinearMatMul")
#: The float file in the work folder that a recipe rounds: folded, fused, perhaps equalised.
PREPARED = "prepared.onnx"
CONTROL_FLOW = ("If", "Loop", "Scan")
#: What fp16 can say: its smallest positive and its largest number.
FP16_TINY, FP16_MAX = 5.96e-08, 65504.0


@dataclass(frozen=True)
class Applied:
    """What became of the nodes: `counts` is `{op type: (done, total)}`."""

    counts: dict[str, tuple[int, int]]
    notes: tuple[str, ...]
    opset: int


def apply(
    recipe: Recipe,
    source: Path,
    target: Path,
    work: Path,
    *,
    calibration: Calibration | None,
    settings: Settings,
) -> Applied:
    """Write the quantised form of `source` to `target`, with `work` for files on the way.

    Raises `QuantizeError` where the recipe finds nothing to do, or a tool fails.
    """
    model = graph.load(source)
    graph.name_nodes(model)
    _check_exclude(model, settings.exclude, source)
    plain = work / "float.onnx"
    graph.save(model, plain)
    if recipe.precision == "fp16":
        return _fp16(recipe, model, plain, target, settings)
    if graph.count(model, QUANTISED):
        raise QuantizeError(
            f"The model {str(source)!r} is quantised already: give the float model that it was "
            "made from."
        )
    return _int8(recipe, model, plain, target, calibration=calibration, settings=settings)


def _int8(
    recipe: Recipe,
    source: Any,
    plain: Path,
    target: Path,
    *,
    calibration: Calibration | None,
    settings: Settings,
) -> Applied:
    if graph.opset(source) < recipe.min_opset:
        graph.raise_opset(plain, plain, recipe.min_opset)
    prepared = plain.with_name(PREPARED)
    tools.preprocess(plain, prepared)
    model = graph.load(prepared)
    graph.name_nodes(model)
    graph.plain_gemms(model)
    notes = equalize(model) if settings.equalize else []
    core = choose.candidates(model, recipe, settings.exclude)
    if not core:
        raise _nothing(recipe, model, settings.exclude)
    counts = _counts(model, recipe, core)
    notes += _left_in_float(model, recipe)
    if settings.correct_bias:
        bias.add_biases(model, core)
    quantised = plain.with_name("quantised.onnx")
    if calibration is None:
        graph.save(model, prepared)
        tools.run_dynamic(prepared, quantised, nodes=[node.name for node in core], recipe=recipe)
        result = graph.load(quantised)
        notes.append(
            "activation ranges are found in every run: a row's answer depends a little on "
            "the others in its batch"
        )
    elif recipe.whole:
        graph.save(model, prepared)
        left_out = _excluded(model, settings)
        tools.run_npu(
            prepared,
            quantised,
            calibration,
            settings.method,
            exclude=left_out,
            recipe=recipe,
        )
        result = graph.load(quantised)
    else:
        result = _static(recipe, model, core, prepared, quantised, calibration, settings)
    if settings.correct_bias and calibration is not None:
        notes += bias.correct(prepared, result, [node.name for node in core], calibration)
    graph.finish(result, source, recipe)
    graph.save(result, target)
    return Applied(counts, tuple(notes), graph.opset(result))


def _static(
    recipe: Recipe,
    model: Any,
    core: list[Any],
    prepared: Path,
    quantised: Path,
    calibration: Calibration,
    settings: Settings,
) -> Any:
    travel = choose.travellers(model, core, recipe, settings.exclude)
    floats = choose.float_results(core, travel)
    graph.part_biases(model, core)
    graph.save(model, prepared)
    nodes = [*core, *travel]
    tools.run_static(
        prepared,
        quantised,
        calibration,
        settings.method,
        op_types=sorted({node.op_type for node in nodes}),
        nodes=[node.name for node in nodes],
        recipe=recipe,
    )
    result = graph.load(quantised)
    graph.restore_float(result, [node.name for node in nodes], floats)
    return result


def _fp16(recipe: Recipe, source: Any, plain: Path, target: Path, settings: Settings) -> Applied:
    notes = _clamped(source)
    blocked = _excluded(source, settings)
    halved = plain.with_name("halved.onnx")
    failure: QuantizeError | None = None
    for keep in ((), CONTROL_FLOW):
        try:
            tools.run_fp16(plain, halved, op_types=keep, nodes=blocked)
            result = graph.load(halved)
            counts = _halved(result, recipe)
            graph.finish(result, source, recipe)
            graph.save(result, target)
            tools.check_opens(target)
        except QuantizeError as error:
            failure = failure or error
            continue
        if keep:
            notes.append("what is inside of loops and branches stays in float")
        return Applied(counts, tuple(notes), graph.opset(result))
    raise failure or AssertionError("no attempt was made")


def _excluded(model: Any, settings: Settings) -> list[str]:
    return [
        node.name
        for node in model.graph
        if any(choose.matches(node.name, name) for name in settings.exclude)
    ]


def _counts(model: Any, recipe: Recipe, core: Sequence[Any]) -> dict[str, tuple[int, int]]:
    done = [node.op_type for node in core]
    totals = graph.count(model, recipe.core)
    return {op: (done.count(op), totals[op]) for op in recipe.core if totals[op]}


def _halved(model: Any, recipe: Recipe) -> dict[str, tuple[int, int]]:
    import onnx_ir as ir

    totals = graph.count(model, recipe.core)
    done = [
        node.op_type
        for node in graph.all_nodes(model)
        if node.inputs
        and node.inputs[0] is not None
        and node.inputs[0].dtype == ir.DataType.FLOAT16
    ]
    return {op: (done.count(op), totals[op]) for op in recipe.core if totals[op]}


def _left_in_float(model: Any, recipe: Recipe) -> list[str]:
    notes = []
    inside = sum(
        node.op_type in recipe.core and node.graph is not model.graph
        for node in graph.all_nodes(model)
    )
    if inside:
        notes.append(f"what is inside of loops and branches stays in float ({inside} nodes)")
    recurrent = graph.count(model, graph.RECURRENT)
    if recurrent:
        names = ", ".join(f"{count} {op}" for op, count in sorted(recurrent.items()))
        notes.append(f"the recurrent layers stay in float ({names})")
    return notes


def _nothing(recipe: Recipe, model: Any, exclude: Sequence[str]) -> QuantizeError:
    kinds = " or ".join((", ".join(recipe.core[:-1]), recipe.core[-1]))
    found = graph.count(model, (*recipe.core, "Conv", *graph.RECURRENT))
    has = ", ".join(f"{count} {op}" for op, count in sorted(found.items())) or "none of them"
    if exclude:
        advice = "exclude less"
    elif found["Conv"] and not recipe.needs_calibration:
        advice = "use static-int8 for convolutions"
    else:
        advice = "use fp16, or keep the float model"
    return QuantizeError(
        f"The recipe {recipe.name!r} takes {kinds} nodes with constant float weights of their own "
        f"and finds none that qualifies (the model has {has}): {advice}."
    )


def _check_exclude(model: Any, exclude: Sequence[str], source: Path) -> None:
    names = [node.name for node in model.graph]
    for wanted in exclude:
        if not any(choose.matches(name, wanted) for name in names):
            raise QuantizeError(
                f"The model {str(source)!r} has no node or layer {wanted!r} to exclude: it has "
                f"{', '.join(map(repr, names[:3]))}, ..."
            )


def _clamped(model: Any) -> list[str]:
    """Note the constants that fp16 cannot say; raises `QuantizeError` for a model in fp16."""
    import numpy as np
    import onnx_ir as ir

    values = [v for v in model.graph.initializers.values() if v.const_value is not None]
    kinds = {value.dtype for value in values}
    if ir.DataType.FLOAT16 in kinds and ir.DataType.FLOAT not in kinds:
        raise QuantizeError("The model has fp16 weights already: give the float model.")
    large = tiny = 0
    for value in values:
        if value.dtype == ir.DataType.FLOAT:
            size = np.abs(value.const_value.numpy())
            large += int((size > FP16_MAX).sum())
            tiny += int(((size > 0) & (size < FP16_TINY)).sum())
    notes = []
    if large:
        notes.append(f"constants that were clamped to {FP16_MAX:g}, the most fp16 can say: {large}")
    if tiny:
        notes.append(f"constants that were raised to {FP16_TINY:g}, the least fp16 can say: {tiny}")
    return notes
