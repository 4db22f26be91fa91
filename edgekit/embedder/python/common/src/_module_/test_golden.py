"""The golden vectors: this machine's answers are those of the model that was trained."""

from __future__ import annotations

import json
import unittest
from typing import Any

import numpy as np

from .model import FOLDER, Array, Model
from .preprocess import encode

GOLDEN: dict[str, Any] = json.loads((FOLDER / "golden.json").read_text("utf-8"))


def arrays(tensors: list[dict[str, Any]]) -> dict[str, Array]:
    """Read tensors of golden.json."""
    return {
        tensor["name"]: np.array(
            tensor["data"], object if tensor["dtype"] == "str" else tensor["dtype"]
        ).reshape(tensor["shape"])
        for tensor in tensors
    }


class GoldenVectors(unittest.TestCase):
    """One model for all of them."""

    model: Model

    @classmethod
    def setUpClass(cls) -> None:
        """Open the model."""
        cls.model = Model()

    def test_the_answers_are_the_expected_ones(self) -> None:
        """Every output, every element, by the tolerance of the model's precision."""
        for number, case in enumerate(GOLDEN["cases"]):
            outputs = self.model.run(arrays(case["inputs"]))
            for want, expected in zip(
                case["outputs"], arrays(case["outputs"]).values(), strict=True
            ):
                with self.subTest(case=number, output=want["name"]):
                    self.compare(expected, outputs[want["name"]], want["atol"])

    def test_a_text_becomes_the_expected_ids(self) -> None:
        """Letters, capitals, unknown characters, and a text that is too long."""
        for each in GOLDEN.get("texts", ()):
            with self.subTest(text=each["text"]):
                (ids,) = encode(each["text"], self.model.spec).values()
                self.assertEqual(ids[0].tolist(), each["ids"])

    def compare(self, want: Array, got: Array, atol: float | None) -> None:
        """Compare shape and dtype, then elements, then the noise of the whole."""
        self.assertEqual((got.shape, got.dtype), (want.shape, want.dtype))
        if want.dtype == object:
            self.assertEqual(got.tolist(), want.tolist())
            return
        self.assertTrue(np.isfinite(got).all(), "NaN or infinity")
        signal, error = want.astype(np.float64), np.abs(got.astype(np.float64) - want)
        if atol is not None:
            over = float((error - GOLDEN["rtol"] * np.abs(signal)).max(initial=0))
            self.assertLessEqual(over, atol)
        noise, power = float((error**2).sum()), float((signal**2).sum())
        if GOLDEN["min_sqnr_db"] is not None and noise and power:
            self.assertGreaterEqual(10 * np.log10(power / noise), GOLDEN["min_sqnr_db"])


if __name__ == "__main__":
    unittest.main()
