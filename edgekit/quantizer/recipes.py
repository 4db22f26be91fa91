"""The recipes: what each does to a model, by name. A recipe never changes its meaning.

=============  ==================================================================================
dynamic-int8   MatMul and Gemm with constant weights: int8 weights, one scale a column;
               activations become int8 as they come, with a range of their own for every run. No
               calibration. Convolutions stay float (ConvInteger is 8 times slower than float).
static-int8    Conv, MatMul and Gemm with constant weights, in QDQ form: weights int8, symmetric,
               one scale a channel; activations uint8 with ranges fixed by calibration (min-max).
               Shape, pool and join operators between them travel in int8; LayerNormalization,
               Softmax, attention products and recurrent layers stay float.
npu-int8       Every operator in QDQ form, by onnxruntime's rules for Qualcomm's NPU, which has no
               float: weights and activations uint8, one scale a tensor, ranges fixed by
               calibration (min-max), outputs rounded too. For an NPU; slower on most CPUs.
fp16           Weights and activations in half precision; inputs and outputs keep their dtype.
=============  ==================================================================================

The weights of dynamic-int8 and static-int8 use 7 of their 8 bits (-64..64). On x86 without VNNI the
kernels add two products of a uint8 and an int8 in 16 bits and saturate at 8: a Transformer's
answers were at 18 dB SQNR there instead of 45, silently, in every app that does not set
onnxruntime's `session.x64quantprecision`, and that setting costs up to a quarter of the speed. 7
bits cost up to 5 dB of some 45, give the same answers on every CPU without a setting, and are as
fast as 8.

The kernels for the uint8 weights of npu-int8 add in 32 bits, and are slower for it. It rounds a
mask's large negative number too: a masked Transformer loses its signal, which the
parity of the result says; fp16 is for those.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from edgekit.errors import QuantizeError


@dataclass(frozen=True)
class Recipe:
    """One way to quantise.

    `variant` names what a bundle gets, in `model.VARIANT.onnx`. `core` are the operators that the
    recipe is for, the ones that `Quantized.quantized_ops` counts; `travel` those that only go
    along, so that nothing goes back and forth between int8 and float. `activations` and `weights`
    are dtypes in ONNX's words; `weight_bits` is how many bits of it the weights use; `min_opset` is
    the least that the result needs. A `whole` recipe takes all other operators too.
    """

    name: str
    variant: str
    precision: str
    needs_calibration: bool
    summary: str
    core: tuple[str, ...]
    travel: tuple[str, ...] = ()
    activations: str = "FLOAT16"
    weights: str = "FLOAT16"
    weight_bits: int = 16
    min_opset: int = 1
    whole: bool = False


@dataclass(frozen=True)
class Settings:
    """How a recipe is applied to one model.

    `exclude` names nodes, or layers by a part of their nodes' path, that stay float. `method` is
    how the calibration chooses ranges (`ranges.METHODS`). `equalize` and `correct_bias` turn on
    what the modules of these names do, for recipes that calibrate.
    """

    exclude: tuple[str, ...] = ()
    method: str = "minmax"
    equalize: bool = False
    correct_bias: bool = False


_DYNAMIC = Recipe(
    name="dynamic-int8",
    variant="int8-dynamic",
    precision="int8",
    needs_calibration=False,
    summary="int8 MatMul weights, activation ranges found at run time; for Transformers",
    core=("MatMul", "Gemm"),
    activations="UINT8",
    weights="INT8",
    weight_bits=7,
    min_opset=13,
)
_STATIC = Recipe(
    name="static-int8",
    variant="int8",
    precision="int8",
    needs_calibration=True,
    summary="int8 weights and activations, ranges from calibration data; for convolutional nets",
    core=("Conv", "MatMul", "Gemm"),
    travel=(
        "Add", "AveragePool", "Clip", "Concat", "Flatten", "GlobalAveragePool", "MaxPool", "Mul",
        "Pad", "Relu", "Reshape", "Resize", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
    ),
    activations="UINT8",
    weights="INT8",
    weight_bits=7,
    min_opset=13,
)  # fmt: skip
_NPU = Recipe(
    name="npu-int8",
    variant="int8-npu",
    precision="int8",
    needs_calibration=True,
    summary="every operator in 8 bits, ranges from calibration data; for NPUs without float",
    core=("Conv", "MatMul", "Gemm"),
    whole=True,
    activations="UINT8",
    weights="UINT8",
    weight_bits=8,
    min_opset=13,
)
_FP16 = Recipe(
    name="fp16",
    variant="fp16",
    precision="fp16",
    needs_calibration=False,
    summary="half precision, half the size; for GPUs and NPUs (slower than float on most CPUs)",
    core=("Conv", "ConvTranspose", "Gemm", "GRU", "LSTM", "MatMul", "RNN"),
)

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (_STATIC, _DYNAMIC, _NPU, _FP16)}
ALIASES = {"int8": "static-int8", "int8-dynamic": "dynamic-int8"}


def resolve(name: str) -> Recipe:
    """Give a recipe by name or alias; raises `QuantizeError` that suggests the nearest."""
    known = ALIASES.get(name, name)
    if known in RECIPES:
        return RECIPES[known]
    near = difflib.get_close_matches(name, [*RECIPES, *ALIASES], n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(map(repr, RECIPES))}."
    raise QuantizeError(f"There is no recipe {name!r}: {hint}")
