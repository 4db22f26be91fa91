"""What rounding does to a model's channels and ranges, found in the file and on real inputs.

=================  ==============================================================================
`saturation`       values of an activation lie beyond the range that was calibrated, and cutting
                   them alone leaves less signal than an int8 file has to keep; said of the
                   accumulator too: pairs of 8-bit weights whose products with a uint8 do not fit
                   into the 16 bits that x86 without VNNI adds them in
`dead-channels`    a channel that is alive in float is all zero as integers: its weights or its
                   values are smaller than half a step of a scale that it shares with larger ones
=================  ==============================================================================

A failure is what costs the answer; the rest is a note, and so are channels of an activation that
are lost: they are small, and parity tells whether they mattered. Both forms are read, QDQ and
QOperator: nodes and tensors have their names of the float file, but for what `_plain` takes away.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.parity import TOLERANCES
from edgekit.quantizer import graph
from edgekit.quantizer.observe import observe
from edgekit.verdicts import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from edgekit.signature import Feeds

Array = np.ndarray[Any, np.dtype[Any]]

#: The signal that has to be left where values are cut, in dB.
MIN_CUT_DB = TOLERANCES["int8"].min_sqnr_db or 0.0
#: A layer whose weights lose this share of its channels has failed.
MAX_DEAD = 1 / 8
#: A share of cut values that is worth a note.
NOTED = 1e-3
#: Two products of 255 with weights whose sum is beyond it do not fit into 16 bits.
MAX_PAIR = (2**15 - 1) // 255
#: Activations that onnxruntime's tool makes a part of the node before them.
FUSED = ("Clip", "Relu")
#: Where the scale of what a node rounds is among its inputs; the zero point comes after it.
SCALE_OF_OUTPUT = {
    "QuantizeLinear": 1, "QLinearConv": 6, "QLinearMatMul": 6, "QLinearAdd": 6, "QLinearMul": 6,
    "QGemm": 7, "QLinearAveragePool": 3, "QLinearGlobalAveragePool": 3, "QLinearLeakyRelu": 3,
    "QLinearConcat": 0,
}  # fmt: skip
WEIGHTS_AT_3 = ("QGemm", "QLinearConv", "QLinearMatMul")


@dataclass
class _Seen:
    """What was seen of one tensor that has a range: sums over all inputs, and each channel."""

    low: float
    high: float
    step: float
    values: int = 0
    cut: int = 0
    power: float = 0.0
    lost: float = 0.0
    ends: tuple[float, float] = (0.0, 0.0)
    channels: Array = field(default_factory=lambda: np.zeros(0))

    def add(self, array: Array) -> None:
        x = array.astype(np.float64)
        beyond = x - x.clip(self.low, self.high)
        self.values += x.size
        self.cut += int(np.count_nonzero(np.abs(beyond) > self.step / 2))
        self.power += float(np.square(x).sum())
        self.lost += float(np.square(beyond).sum())
        self.ends = (min(self.ends[0], float(x.min())), max(self.ends[1], float(x.max())))
        largest = np.abs(_by_channel(x)).max(0)
        if self.channels.shape not in {(0,), largest.shape}:
            return  # a free axis that stands where channels do
        self.channels = np.maximum(self.channels, largest) if self.channels.size else largest

    @property
    def cut_db(self) -> float:
        """The signal beside what was cut alone, in dB."""
        return float("inf") if not self.lost else 10 * float(np.log10(self.power / self.lost))


def inspect(
    floats: Path, made: Path, feeds: Iterable[Feeds], where: str
) -> tuple[list[Failure], list[str]]:
    """Compare a quantised file with the float one that it was made from, on these inputs.

    `where` says in reports which inputs they are. Gives failures, and notes on what is not one.
    """
    float_model, model = graph.load(floats), graph.load(made)
    seen = _watch(floats, float_model, model, feeds)
    failures: list[Failure] = []
    notes: list[str] = []
    for dead, what, total in _dead_weights(float_model, model):
        detail = f"{_lost(dead, total)}: use --equalize, or a recipe with a scale for each channel"
        if dead >= MAX_DEAD * total:
            failures.append(Failure("dead-channels", what, detail))
        else:
            notes.append(f"dead-channels: {what}: {detail}")
    notes += _dead_values(seen)
    for name, tensor in seen.items():
        share = tensor.cut / max(tensor.values, 1)
        detail = (
            f"{share:.2%} of its values lie beyond {tensor.low:g} to {tensor.high:g}, where the "
            f"integers end: they go from {tensor.ends[0]:g} to {tensor.ends[1]:g} in {where}"
        )
        if tensor.cut and tensor.cut_db < MIN_CUT_DB:
            fix = "calibrate with data as the model meets it, or with --method minmax"
            failures.append(Failure("saturation", f"tensor {name!r}", f"{detail}; {fix}"))
        elif share > NOTED:
            notes.append(f"saturation: tensor {name!r}: {detail}")
    return failures, notes + _saturating_weights(float_model, model)


def _constant(value: Any) -> Array | None:
    """Give a constant as an array, None for anything else."""
    return None if value is None or value.const_value is None else value.const_value.numpy()


def _plain(name: str) -> str:
    """Give the name in the float file of a node or tensor that the tool named anew."""
    for suffix in ("_QuantizeLinear_Input", "__rounded", "_quantized", "_quant"):
        name = name.removesuffix(suffix)
    return name


def _watch(floats: Path, float_model: Any, model: Any, feeds: Iterable[Feeds]) -> dict[str, _Seen]:
    """Run the float file and see how its tensors fit the ranges of the quantised one."""
    tensors = _activations(float_model)
    there = {node.name for node in model.graph}
    seen: dict[str, _Seen] = {}
    for name, scale, zero in _scales(model):
        if name not in tensors or scale is None or zero is None or scale.size != 1:
            continue
        limits, step, offset = np.iinfo(zero.dtype), float(scale.reshape(())), int(zero.reshape(()))
        low, high = (limits.min - offset) * step, (limits.max - offset) * step
        seen[_after_activation(tensors[name], there)] = _Seen(low, high, step)
    for outputs in observe(floats, list(seen), feeds) if seen else ():
        for name, array in outputs.items():
            if array.size and np.isfinite(array).all():
                seen[name].add(array)
    return seen


def _scales(model: Any) -> Iterator[tuple[str, Array | None, Array | None]]:
    """Give the float name of each tensor that is rounded, with its scale and zero point."""
    for node in model.graph:
        place = SCALE_OF_OUTPUT.get(node.op_type)
        if place is not None and node.outputs and len(node.inputs) > place + 1:
            tensor = node.inputs[0] if node.op_type == "QuantizeLinear" else node.outputs[0]
            if tensor is not None:
                scale, zero = (_constant(value) for value in node.inputs[place : place + 2])
                yield _plain(tensor.name), scale, zero


def _activations(model: Any) -> dict[str, Any]:
    inner = {value.name: value for node in model.graph for value in node.outputs}
    return inner | {value.name: value for value in model.graph.inputs}


def _after_activation(value: Any, there: set[str]) -> str:
    """Name the tensor that a range is of: behind a Relu that became a part of the node before."""
    uses = value.uses()
    if len(uses) == 1 and uses[0].node.op_type in FUSED and uses[0].node.name not in there:
        return str(uses[0].node.outputs[0].name)
    return str(value.name)


def _by_channel(x: Array) -> Array:
    """Give values as (the rest, channel): axis 1 of pictures and series of them, else the last."""
    moved = np.moveaxis(x, 1, -1) if x.ndim > 3 else x
    return moved.reshape(-1, moved.shape[-1]) if moved.ndim else moved.reshape(1, 1)


def _lost(dead: int, total: int) -> str:
    return f"{dead} of {total} channels are alive in float and all zero as integers"


def _dead_values(seen: dict[str, _Seen]) -> list[str]:
    """Note the tensor that loses most of its channels, and how many others lose some."""
    lost = []
    for name, tensor in seen.items():
        dead = int(((tensor.channels > 0) & (tensor.channels < tensor.step / 2)).sum())
        if dead:
            lost.append((dead / tensor.channels.size, dead, tensor.channels.size, name))
    if not lost:
        return []
    _, dead, total, name = max(lost)
    others = f", and some of {len(lost) - 1} other tensors" if len(lost) > 1 else ""
    return [
        f"dead-channels: tensor {name!r}: {_lost(dead, total)}{others}: if parity suffers, use "
        "--equalize or leave the layer in float with --exclude"
    ]


def _dead_weights(float_model: Any, model: Any) -> Iterator[tuple[int, str, int]]:
    for node, rows, codes in _weights(float_model, model):
        alive = np.abs(rows).max(1) > 0
        dead = int((alive & ~codes.any(1)).sum())
        if dead:
            yield dead, f"weights of {node.name!r}", len(rows)


def _saturating_weights(float_model: Any, model: Any) -> list[str]:
    """Note layers with pairs of weights that 16 bits cannot add; those of 7 bits have none."""
    found = []
    for node, _, codes in _weights(float_model, model):
        if codes.dtype != np.int8 or node.attributes.get_int("group", 1) > 1:
            continue
        even = codes[:, : codes.shape[1] // 2 * 2].astype(np.int32)
        sums = np.abs(even[:, ::2] + even[:, 1::2])
        if (sums > MAX_PAIR).any():
            found.append((float((sums > MAX_PAIR).mean()), node.name))
    if not found:
        return []
    share, name = max(found)
    return [
        f"saturation: {len(found)} layers have pairs of 8-bit weights that overflow the 16 bits in "
        f"which x86 CPUs without VNNI add them ({share:.1%} of the pairs of {name!r}): answers "
        "differ there"
    ]


def _weights(float_model: Any, model: Any) -> Iterator[tuple[Any, Array, Array]]:
    """Give layers with their weights in float and as integers less the zero point, by channel."""
    layers = {node.name: node for node in float_model.graph if len(node.inputs) > 1}
    for made in model.graph:
        node = layers.get(_plain(made.name))
        if node is None or node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        weight = _constant(node.inputs[1])
        codes, zero = _codes(made)
        if weight is None or codes is None or codes.shape != weight.shape or weight.ndim < 2:
            continue
        if node.op_type != "Conv" and not node.attributes.get_int("transB", 0):
            codes, weight = codes.T, weight.T
        rows, kept = weight.reshape(len(weight), -1), codes.reshape(len(codes), -1)
        if zero is not None and zero.any():
            offset = zero.reshape(-1, 1) if zero.size > 1 else zero.reshape(())
            kept = kept.astype(np.int32) - offset
        yield node, rows, kept


def _codes(made: Any) -> tuple[Array | None, Array | None]:
    """Give the integers of a layer's weight and their zero point."""
    if made.op_type in WEIGHTS_AT_3:
        return _constant(made.inputs[3]), _constant(made.inputs[5])
    maker = made.inputs[1].producer() if len(made.inputs) > 1 and made.inputs[1] else None
    if maker is None or maker.op_type != "DequantizeLinear":
        return None, None
    return _constant(maker.inputs[0]), _constant(maker.inputs[2] if len(maker.inputs) > 2 else None)
