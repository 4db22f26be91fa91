"""{{title}}: `predict(...)` runs the model that is in this package.

The model's file, its description and its golden vectors are beside this module; numpy and
onnxruntime are all that it needs. `python -m unittest {{module}}.test_golden` proves an
installed package on the machine that it is installed on.
"""

from __future__ import annotations

import functools

from .model import Answer, Label, Model, ModelError
from .preprocess import Input

__all__ = ["Answer", "Input", "Label", "Model", "ModelError", "predict"]


def predict(given: Input, top: int = 3) -> Answer:
    """Run the model on one input and say what it answers, with the `top` likeliest labels.

    The model is opened by the first call, which takes longer. Raises `ValueError` for an input
    that does not fit, `ModelError` where the installed onnxruntime cannot run the model.
    """
    return _opened().predict(given, top)


@functools.cache
def _opened() -> Model:
    return Model()
