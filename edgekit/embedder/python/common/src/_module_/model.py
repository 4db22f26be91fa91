"""The model: an onnxruntime session, what goes in and out of it, and what the answer means."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from .preprocess import Input, encode

FOLDER = Path(__file__).parent
Array = np.ndarray[Any, np.dtype[Any]]


class ModelError(RuntimeError):
    """The installed onnxruntime cannot open the model, or cannot run it."""


@dataclass(frozen=True)
class Label:
    """One label, and the score that the model gave it."""

    name: str
    score: float


@dataclass(frozen=True)
class Answer:
    """What the model answered: `outputs` by name, and the likeliest labels, best first.

    `top` is empty for a model without labels. A model that names its labels itself gives as many
    as it has in `top_labels`.
    """

    outputs: dict[str, Array]
    top: tuple[Label, ...]

    @property
    def label(self) -> str:
        """The likeliest label."""
        if not self.top:
            raise ValueError("this model has no labels: read `outputs`")
        return self.top[0].name


class Model:
    """An open model. One can be used by several threads at once.

    `threads` is what onnxruntime may use inside of a run; left out, all cores. `providers` are
    onnxruntime's names, such as `("CUDAExecutionProvider", "CPUExecutionProvider")`.
    """

    def __init__(
        self,
        threads: int | None = None,
        providers: Sequence[str] = ("CPUExecutionProvider",),
    ) -> None:
        self.spec: dict[str, Any] = json.loads((FOLDER / "model.json").read_text("utf-8"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        try:
            self.session = onnxruntime.InferenceSession(
                FOLDER / self.spec["file"], options, providers=list(providers)
            )
        except Exception as error:  # onnxruntime's own have no other base
            raise ModelError(self._missing(error)) from error

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model on arrays by name, as `model.json` lists them, and give the outputs."""
        names = [output["name"] for output in self.spec["outputs"]]
        return dict(zip(names, self.session.run(names, dict(feeds)), strict=True))

    def predict(self, given: Input, top: int = 3) -> Answer:
        """Run the model on one input of the kind that it was trained with."""
        outputs = self.run(encode(given, self.spec))
        if "top_labels" in outputs:
            named = zip(outputs["top_labels"][0], outputs["top_probabilities"][0], strict=True)
            return Answer(outputs, tuple(Label(str(name), float(p)) for name, p in named)[:top])
        scores, labels = next(iter(outputs.values())), self.spec["labels"]
        if scores.shape != (1, len(labels)):
            return Answer(outputs, ())
        best = np.argsort(-scores[0], kind="stable")[:top]
        return Answer(outputs, tuple(Label(labels[i], float(scores[0, i])) for i in best))

    def _missing(self, error: Exception) -> str:
        """Say what the model asks for, and what there is."""
        needs, runtime = self.spec["needs"], self.spec["runtime"]
        opsets = ", ".join(
            f"opset {version} of {name}" for name, version in needs["opsets"].items()
        )
        return (
            f"{self.spec['file']} needs IR version {needs['ir_version']} and {opsets}, and "
            f"onnxruntime {onnxruntime.__version__} does not open it (it is proven with "
            f"{runtime['version']}): {error}"
        )
