"""Every class of `keras.layers`, in each of its modes."""

from __future__ import annotations

from tests.exporter.cases.layers import (
    attention,
    basic,
    convolution,
    policies,
    preprocessing,
    recurrent,
)

CASES = (
    *basic.CASES,
    *convolution.CASES,
    *recurrent.CASES,
    *attention.CASES,
    *preprocessing.CASES,
    *policies.CASES,
)

#: Classes that compute nothing of their own at inference, or that cannot run here.
WITHOUT_ROWS = {
    "Layer": "the base class of layers; a subclass is exported as it computes",
    "Wrapper": "the base class of wrappers",
    "InputLayer": "an input; every row has one",
    "InputSpec": "a description of inputs, no layer",
    "FlaxLayer": "runs with JAX only",
    "JaxLayer": "runs with JAX only",
    "TorchModuleWrapper": "runs with PyTorch only",
}
