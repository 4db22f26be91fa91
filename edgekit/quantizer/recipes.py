"""The recipes: what each does to a model, by name. A recipe never changes its meaning.

=============  ==================================================================================
dynamic-int8   MatMul and Gemm with constant weights: int8 weights, one scale a column;
               activations become int8 as they come, with a range of their own for every run. An
               LSTM becomes a DynamicQuantizeLSTM, in the same way. No calibration. Convolutions
               are computed in float (ConvInteger is 8 times slower), and GRU and RNN.
static-int8    Conv, MatMul and Gemm with constant weights, in QDQ form: weights int8, symmetric,
               one scale a channel; activations uint8 with ranges fixed by calibration (min-max,
               where no other method is asked for).
               Shape, pool and join operators between them travel in int8; LayerNormalization,
               Softmax, attention products and recurrent layers are computed in float. Forms:
               u8s8 (as said); s8s8 (activations int8 and symmetric, biases float: what TensorRT
               takes; on a CPU its convolutions run in float); qoperator (QLinearConv, QGemm, ...
               instead of QDQ).
mixed          static-int8 with the named layers left in float, weights too.
npu-int8       Every operator in QDQ form, by onnxruntime's rules for Qualcomm's NPU, which has no
               float: weights and activations uint8, one scale a tensor, ranges fixed by
               calibration, outputs rounded too. For an NPU; slower on most CPUs.
a16w8          As npu-int8, with activations in uint16.
weight-int8    Weights alone: int8 in the file, one scale a channel (a row, of a table), and float
               again as soon as an engine opens it: a quarter of the size, the speed of float.
               Form blockwise: MatMul and Gemm as MatMulNBits of 8 bits, a scale for every 64
               numbers, int8 in memory too.
weight-int4    MatMul and Gemm as MatMulNBits of 4 bits, a scale for every 32 numbers; the other
               weights as weight-int8 has them.
fp16           Weights and activations in half precision; inputs and outputs keep their dtype.
=============  ==================================================================================

What dynamic-int8, static-int8 and mixed compute in float keeps its weights as weight-int8 does:
tables, recurrent layers, convolutions. What is excluded keeps float weights.

The weights that dynamic-int8 and static-int8 multiply by use 7 of their 8 bits (-64..64). On x86
without VNNI the kernels add two products of a uint8 and an int8 in 16 bits and saturate at 8: a
Transformer's answers were at 18 dB SQNR there instead of 45, silently, in every app that does not
set onnxruntime's `session.x64quantprecision`, and that setting costs up to a quarter of the speed.
7 bits cost up to 5 dB of some 45, give the same answers on every CPU without a setting, and are as
fast as 8.

The kernels for the uint8 weights of npu-int8 add in 32 bits, and are slower for it. npu-int8 and
a16w8 say a mask's -1e9 as -64, which Softmax makes the same of and an integer can bear
(`masks.py`), and GELU and layer normalisation as one operator each, as an NPU has them.

The weights of weight-int8 are float again in a file that an engine optimised and wrote: an .ort
file, a compiled model.

MatMulNBits rounds activations to int8, in blocks of a row (accuracy level 4: the kernels for float
activations are slower than float, those of 8 bits 20 times). For one row at a time it reads a
quarter or an eighth of float's memory, and is up to 3 times as fast; for many rows, 4 bits are as
fast as float and 8 bits slower.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace

from edgekit.errors import QuantizeError
from edgekit.runtime import providers


@dataclass(frozen=True)
class Recipe:
    """One way to quantise.

    `tool` is who does the work, a row of `apply.TOOLS`. `variant` names what a bundle gets, in
    `model.VARIANT.onnx`. `core` are the operators that the recipe is for, the ones that
    `Quantized.quantized_ops` counts; `travel` those that only go along, so that nothing goes back
    and forth between int8 and float; `stored` those whose weights are int8 in the file and float
    in memory where they are not taken otherwise. `activations` and `weights` are dtypes in ONNX's
    words; `weight_bits` is how many bits of it the weights use; `min_opset` is the least that the
    result needs. `forms` are ways to write the same, the default first. A recipe that
    `needs_exclusions` leaves layers in float: those that are named, else the most sensitive.
    """

    name: str
    tool: str
    variant: str
    precision: str
    needs_calibration: bool
    summary: str
    core: tuple[str, ...]
    travel: tuple[str, ...] = ()
    stored: tuple[str, ...] = ()
    activations: str = "FLOAT16"
    weights: str = "FLOAT16"
    weight_bits: int = 16
    min_opset: int = 1
    forms: tuple[str, ...] = ()
    needs_exclusions: bool = False

    @property
    def whole(self) -> bool:
        """Whether it takes all operators, not those of `core` alone."""
        return self.tool == "npu"


@dataclass(frozen=True)
class Settings:
    """How a recipe is applied to one model.

    `exclude` names nodes, or layers by a part of their nodes' path, that stay float. `form` is one
    of the recipe's forms, None its default. `method` is how the calibration chooses ranges
    (`ranges.METHODS`). `equalize` and `correct_bias` turn on what the modules of these names do,
    for recipes that calibrate.
    """

    exclude: tuple[str, ...] = ()
    form: str | None = None
    method: str = "minmax"
    equalize: bool = False
    correct_bias: bool = False

    def check(self, recipe: Recipe) -> None:
        """Raise `QuantizeError` where the recipe has no such form."""
        if self.form is not None and self.form not in recipe.forms:
            known = " or ".join(recipe.forms) or "one form only: leave it out"
            raise QuantizeError(
                f"The recipe {recipe.name!r} has no form {self.form!r}: it has {known}."
            )


#: Operators whose weights are worth keeping in 8 bits, whoever computes with them.
_WEIGHTS = ("Conv", "ConvTranspose", "GRU", "Gather", "Gemm", "LSTM", "MatMul", "RNN")

_DYNAMIC = Recipe(
    name="dynamic-int8",
    tool="dynamic",
    variant="int8-dynamic",
    precision="int8",
    needs_calibration=False,
    summary="int8 MatMul and LSTM weights, activation ranges found at run time; for Transformers",
    core=("LSTM", "MatMul", "Gemm"),
    stored=_WEIGHTS,
    activations="UINT8",
    weights="INT8",
    weight_bits=7,
    min_opset=13,
)
_STATIC = Recipe(
    name="static-int8",
    tool="static",
    variant="int8",
    precision="int8",
    needs_calibration=True,
    summary="int8 weights and activations, ranges from calibration data; for convolutional nets",
    core=("Conv", "MatMul", "Gemm"),
    travel=(
        "Add", "AveragePool", "Clip", "Concat", "Flatten", "GlobalAveragePool", "MaxPool", "Mul",
        "Pad", "Relu", "Reshape", "Resize", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
    ),
    stored=_WEIGHTS,
    activations="UINT8",
    weights="INT8",
    weight_bits=7,
    min_opset=13,
    forms=("u8s8", "s8s8", "qoperator"),
)  # fmt: skip
_MIXED = replace(
    _STATIC,
    name="mixed",
    variant="int8-mixed",
    summary="static-int8 with named layers left in float; where some layers do not bear int8",
    needs_exclusions=True,
)
_NPU = Recipe(
    name="npu-int8",
    tool="npu",
    variant="int8-npu",
    precision="int8",
    needs_calibration=True,
    summary="every operator in 8 bits, ranges from calibration data; for NPUs without float",
    core=("Conv", "MatMul", "Gemm"),
    activations="UINT8",
    weights="UINT8",
    weight_bits=8,
    min_opset=20,  # the first that has Gelu
    stored=("GRU", "LSTM", "RNN"),
)
_A16W8 = replace(
    _NPU,
    name="a16w8",
    variant="a16w8",
    summary="every operator with 16-bit activations and 8-bit weights; for NPUs, more precise",
    activations="UINT16",
    weights="UINT8",
    min_opset=21,  # the first whose QuantizeLinear has 16 bits
)
_WEIGHT8 = Recipe(
    name="weight-int8",
    tool="weights",
    variant="int8-weight",
    precision="int8",
    needs_calibration=False,
    summary="weights in 8 bits in the file, float when it runs; a quarter of the size",
    core=_WEIGHTS,
    stored=_WEIGHTS,
    activations="FLOAT",
    weights="INT8",
    weight_bits=8,
    min_opset=7,
    forms=("folded", "blockwise"),
)
_WEIGHT4 = replace(
    _WEIGHT8,
    name="weight-int4",
    variant="int4-weight",
    precision="int4",
    summary="MatMul weights in 4 bits by blocks, the others in 8; for large MatMul weights",
    weights="UINT4",
    weight_bits=4,
    forms=("blockwise",),
)
_FP16 = Recipe(
    name="fp16",
    tool="fp16",
    variant="fp16",
    precision="fp16",
    needs_calibration=False,
    summary="half precision, half the size; for GPUs and NPUs (slower than float on most CPUs)",
    core=("Conv", "ConvTranspose", "Gemm", "GRU", "LSTM", "MatMul", "RNN"),
)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (_STATIC, _DYNAMIC, _MIXED, _NPU, _A16W8, _WEIGHT8, _WEIGHT4, _FP16)
}
ALIASES = {"int8": "static-int8", "int8-dynamic": "dynamic-int8"}


def resolve(name: str) -> Recipe:
    """Give a recipe by name or alias; raises `QuantizeError` that suggests the nearest."""
    known = ALIASES.get(name, name)
    if known in RECIPES:
        return RECIPES[known]
    near = difflib.get_close_matches(name, [*RECIPES, *ALIASES], n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(map(repr, RECIPES))}."
    raise QuantizeError(f"There is no recipe {name!r}: {hint}")


def recipes_for(provider: str) -> tuple[tuple[Recipe, str | None], ...]:
    """Give the recipes that suit a provider, best first, each with the form that it wants.

    None is a recipe's default form. Raises `ProviderError` for an unknown name.
    """
    named = [name.partition(":") for name in providers.resolve(provider).recipes]
    return tuple((RECIPES[recipe], form or None) for recipe, _, form in named)
