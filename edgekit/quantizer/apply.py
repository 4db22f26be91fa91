"""A recipe applied to one file: prepare, choose, quantise, clean up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit.errors import QuantizeError
from edgekit.quantizer import bias, choose, graph, masks, slim, stored, tools
from edgekit.quantizer.equalize import equalize

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edgekit.quantizer.calibration import Calibration
    from edgekit.quantizer.recipes import Recipe, Settings

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


@dataclass(frozen=True)
class _Job:
    """One file on its way: `plain` is `source`, the model as it came, with its nodes named."""

    recipe: Recipe
    settings: Settings
    source: Any
    plain: Path
    target: Path
    calibration: Calibration | None

    @property
    def form(self) -> str | None:
        return self.settings.form or (self.recipe.forms[0] if self.recipe.forms else None)


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
    if recipe.tool != "fp16" and graph.is_quantised(model):
        raise QuantizeError(
            f"The model {str(source)!r} is quantised already: give the float model that it was "
            "made from."
        )
    plain = work / "float.onnx"
    graph.save(model, plain)
    return TOOLS[recipe.tool](_Job(recipe, settings, model, plain, target, calibration))


def _int8(job: _Job) -> Applied:
    """Quantise nodes with the tool of the recipe; keep the weights of the others in 8 bits."""
    recipe, exclude = job.recipe, job.settings.exclude
    if graph.opset(job.source) < recipe.min_opset:
        graph.raise_opset(job.plain, job.plain, recipe.min_opset)
    prepared = job.plain.with_name(PREPARED)
    tools.preprocess(job.plain, prepared)
    model = graph.load(prepared)
    graph.name_nodes(model)
    graph.plain_gemms(model)
    notes = equalize(model) if job.settings.equalize else []
    core = choose.candidates(model, recipe, exclude)
    if not core:
        raise _nothing(recipe, model, exclude)
    counts = _counts(model, recipe, core)
    notes += _left_in_float(model, job)
    if job.settings.correct_bias:
        bias.add_biases(model, core)
    result = _MAKERS[recipe.tool](job, model, core, prepared)
    if job.settings.correct_bias and job.calibration is not None:
        with tools.tool_errors("corrected", "leave --correct-bias out"):
            notes += bias.correct(prepared, result, [node.name for node in core], job.calibration)
    kept = stored.store(result, recipe.stored, exclude)
    notes += _kept(kept)
    if recipe.tool == "dynamic":
        notes += _dynamic_notes(core)
    slim.slim(result, job.source)
    return _finished(job, result, counts, notes)


def _finished(
    job: _Job, result: Any, counts: dict[str, tuple[int, int]], notes: Sequence[str]
) -> Applied:
    graph.finish(result, job.source, job.recipe)
    graph.save(result, job.target)
    return Applied(counts, tuple(notes), graph.opset(result))


def _dynamic(job: _Job, model: Any, core: list[Any], prepared: Path) -> Any:
    quantised = prepared.with_name("quantised.onnx")
    graph.save(model, prepared)
    tools.run_dynamic(prepared, quantised, nodes=[node.name for node in core], recipe=job.recipe)
    return graph.load(quantised)


def _npu(job: _Job, model: Any, core: list[Any], prepared: Path) -> Any:
    quantised = prepared.with_name("quantised.onnx")
    masks.bound(model)
    graph.save(model, prepared)
    tools.fuse_for_npu(prepared)
    tools.run_npu(
        prepared,
        quantised,
        _calibration(job),
        job.settings.method,
        exclude=_excluded(model, job.settings),
        recipe=job.recipe,
    )
    return graph.load(quantised)


def _static(job: _Job, model: Any, core: list[Any], prepared: Path) -> Any:
    recipe, exclude = job.recipe, job.settings.exclude
    quantised = prepared.with_name("quantised.onnx")
    graph.pool_first(model, core)
    travel = choose.travellers(model, core, recipe, exclude)
    floats = choose.float_results(core, travel)
    graph.part_biases(model, core)
    graph.save(model, prepared)
    nodes = [*core, *travel]
    tools.run_static(
        prepared,
        quantised,
        _calibration(job),
        job.settings.method,
        op_types=sorted({node.op_type for node in nodes}),
        nodes=[node.name for node in nodes],
        recipe=recipe,
        form=tools.FORMS[job.form or ""],
    )
    result = graph.load(quantised)
    if job.form != "qoperator":
        graph.restore_float(result, [node.name for node in nodes], floats)
    return result


def _calibration(job: _Job) -> Calibration:
    if job.calibration is None:
        raise ValueError(f"the recipe {job.recipe.name} was given no calibration data")
    return job.calibration


_MAKERS = {"dynamic": _dynamic, "static": _static, "npu": _npu}


def _weights(job: _Job) -> Applied:
    """Keep weights in 8 or 4 bits, and compute in float."""
    recipe, exclude = job.recipe, job.settings.exclude
    totals = graph.count(job.source, recipe.core)
    if graph.opset(job.source) < recipe.min_opset:
        graph.raise_opset(job.plain, job.plain, recipe.min_opset)
    model = graph.load(job.plain)
    blocked: list[Any] = []
    if job.form == "blockwise":
        graph.plain_gemms(model)
        blocked = choose.large_products(model, exclude, tools.BLOCKS[recipe.weight_bits])
        kinds = [node.op_type for node in blocked]
        names = graph.as_matmuls(model, blocked)
        graph.save(model, job.plain)
        quantised = job.plain.with_name("quantised.onnx")
        tools.run_blockwise(job.plain, quantised, nodes=names, bits=recipe.weight_bits)
        model = graph.load(quantised)
    else:
        kinds = []
    kinds += [node.op_type for node in stored.store(model, recipe.stored, exclude)]
    if not kinds:
        raise _nothing(recipe, model, exclude)
    counts = {op: (kinds.count(op), totals[op]) for op in recipe.core if totals[op]}
    return _finished(job, model, counts, [])


def _fp16(job: _Job) -> Applied:
    recipe, source = job.recipe, job.source
    notes = _clamped(source)
    blocked = _excluded(source, job.settings)
    halved = job.plain.with_name("halved.onnx")
    failure: QuantizeError | None = None
    for keep in ((), CONTROL_FLOW):
        try:
            tools.run_fp16(job.plain, halved, op_types=keep, nodes=blocked)
            result = graph.load(halved)
            counts = _halved(result, recipe)
            graph.finish(result, source, recipe)
            graph.save(result, job.target)
            tools.check_opens(job.target)
        except QuantizeError as error:
            failure = failure or error
            continue
        if keep:
            notes.append("what is inside of loops and branches stays in float")
        return Applied(counts, tuple(notes), graph.opset(result))
    raise failure or AssertionError("no attempt was made")


#: Who does the work of a recipe.
TOOLS: dict[str, Callable[[_Job], Applied]] = {
    "dynamic": _int8,
    "static": _int8,
    "npu": _int8,
    "weights": _weights,
    "fp16": _fp16,
}


def _excluded(model: Any, settings: Settings, op_types: Sequence[str] = ()) -> list[str]:
    return [
        node.name
        for node in model.graph
        if choose.excluded(node, settings.exclude) and (not op_types or node.op_type in op_types)
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


def _left_in_float(model: Any, job: _Job) -> list[str]:
    recipe = job.recipe
    notes = []
    if recipe.needs_exclusions:
        named = _excluded(job.source, job.settings, recipe.stored)
        notes.append(f"left in float as asked: {', '.join(named)}")
    inside = sum(
        node.op_type in recipe.core and node.graph is not model.graph
        for node in graph.all_nodes(model)
    )
    if inside:
        notes.append(f"what is inside of loops and branches is computed in float ({inside} nodes)")
    recurrent = {
        op: count
        for op, count in sorted(graph.count(model, graph.RECURRENT).items())
        if op not in recipe.core
    }
    if recurrent:
        names = ", ".join(f"{count} {op}" for op, count in recurrent.items())
        notes.append(
            f"the recurrent layers are computed in float ({names}): onnxruntime has no int8 kernel "
            "for them"
        )
    return notes


def _kept(nodes: Sequence[Any]) -> list[str]:
    if not nodes:
        return []
    kinds = [node.op_type for node in nodes]
    names = ", ".join(f"{kinds.count(op)} {op}" for op in sorted(set(kinds)))
    return [f"computed in float with weights of 8 bits in the file: {names}"]


def _dynamic_notes(core: Sequence[Any]) -> list[str]:
    notes = [
        "activation ranges are found in every run: a row's answer depends a little on the others "
        "in its batch"
    ]
    if any(node.op_type == "LSTM" and node.inputs[4:] and node.inputs[4] for node in core):
        notes.append(
            "the range of an LSTM's input takes in what is beyond a sequence's length: fill it "
            "with zeros"
        )
    return notes


def _nothing(recipe: Recipe, model: Any, exclude: Sequence[str]) -> QuantizeError:
    kinds = " or ".join((", ".join(recipe.core[:-1]), recipe.core[-1]))
    found = graph.count(model, {*recipe.core, "Conv", *graph.RECURRENT})
    has = ", ".join(f"{count} {op}" for op, count in sorted(found.items())) or "none of them"
    if exclude:
        advice = "exclude less"
    elif found["Conv"] and recipe.tool == "dynamic":
        advice = "use static-int8 for convolutions"
    elif recipe.tool != "weights" and graph.count(model, recipe.stored):
        advice = "use weight-int8, which keeps weights in 8 bits and computes in float"
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
