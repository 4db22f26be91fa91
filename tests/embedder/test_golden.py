"""Golden vectors: both forms give back what was written, to the last bit."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgekit.embedder import golden
from edgekit.errors import EmbedError
from edgekit.parity import TOLERANCES, Tolerance
from edgekit.reference import Reference
from edgekit.signature import Signature, TensorSpec

SIGNATURE = Signature(
    (TensorSpec("x", "float32", ("batch", 2)), TensorSpec("ids", "int64", ("batch",))),
    (TensorSpec("y", "float32", ("batch", 2)),),
)
NAMES = {kind: name for name, kind in golden.DTYPES.items()}


def reference(samples: int, scale: float = 1.0) -> Reference:
    rng = np.random.default_rng(0)
    return Reference(
        {
            "x": rng.normal(size=(samples, 2)).astype(np.float32),
            "ids": rng.integers(-(2**40), 2**40, samples),
        },
        {"y": (scale * rng.normal(size=(samples, 2))).astype(np.float32)},
    )


def write(path: Path, cases: list[Reference], tolerance: Tolerance, **options: Any) -> Path:
    golden.write(
        path,
        cases,
        SIGNATURE,
        model="tiny",
        precision="fp32",
        tolerance=tolerance,
        preprocessing=options.get("preprocessing"),
    )
    return path


class Reader:
    """Reads golden.bin by its description alone."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, form: str) -> Any:
        values = struct.unpack_from(f"<{form}", self.data, self.at)
        self.at += struct.calcsize(f"<{form}")
        return values if len(values) > 1 else values[0]

    def tensor(self) -> tuple[str, np.ndarray[Any, Any], float]:
        name = self.take(f"{self.take('I')}s").decode()
        kind, rank = self.take("II")
        shape = [self.take("q") for _ in range(rank)]
        atol, size = self.take("dQ")
        raw = self.take(f"{size}s")
        return name, np.frombuffer(raw, NAMES[kind]).reshape(shape), atol


@given(
    hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(width=32, allow_nan=False)),
)
@settings(max_examples=300, deadline=None)
def test_a_decimal_reads_back_as_the_same_float(values: np.ndarray[Any, Any]) -> None:
    values = values[np.isfinite(values)]
    text = json.dumps(golden.decimals(values))
    # As languages that know doubles only read it, and as those that read a float at once.
    assert np.asarray(json.loads(text), np.float32).tobytes() == values.tobytes()
    words = [np.float32(word) for word in text.strip("[]").split(",") if word]
    assert np.asarray(words, np.float32).tobytes() == values.tobytes()


def test_a_decimal_is_as_short_as_it_can_be() -> None:
    assert golden.decimals(np.array([0.1, 1 / 3], np.float32)) == [0.1, 0.33333334]


def test_json_gives_back_every_case(tmp_path: Path) -> None:
    cases = golden.cases_of(reference(3), SIGNATURE)
    value = json.loads(write(tmp_path / "golden.json", cases, TOLERANCES["fp32"]).read_text())
    assert (value["rtol"], value["min_sqnr_db"]) == (1e-3, 60.0)
    for case, written in zip(cases, value["cases"], strict=True):
        assert [each["name"] for each in written["inputs"]] == ["x", "ids"]
        for each in (*written["inputs"], *written["outputs"]):
            array = np.asarray(each["data"], each["dtype"]).reshape(each["shape"])
            want = (case.inputs | case.outputs)[each["name"]]
            np.testing.assert_array_equal(array, want)
            assert array.dtype == want.dtype


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_bin_gives_back_every_case(tmp_path: Path, precision: str) -> None:
    cases, tolerance = golden.cases_of(reference(3), SIGNATURE), TOLERANCES[precision]
    data = write(tmp_path / "golden.bin", cases, tolerance).read_bytes()
    reader = Reader(data)
    assert reader.take("8s") == golden.MAGIC
    rtol, floor, count = reader.take("ddI")
    assert (rtol, floor, count) == (tolerance.rtol, tolerance.min_sqnr_db, 3)
    for case in cases:
        inputs, outputs = reader.take("II")
        for _ in range(inputs):
            name, array, atol = reader.tensor()
            assert array.tobytes() == case.inputs[name].tobytes()
            assert math.isnan(atol)
        for _ in range(outputs):
            name, array, atol = reader.tensor()
            assert array.tobytes() == case.outputs[name].tobytes()
            assert math.isnan(atol) == (precision == "int8")
    assert reader.at == len(data)


def test_the_tolerance_grows_with_outputs_above_one(tmp_path: Path) -> None:
    cases = golden.cases_of(reference(1, scale=1e4), SIGNATURE)
    value = json.loads(write(tmp_path / "golden.json", cases, TOLERANCES["fp32"]).read_text())
    (output,) = value["cases"][0]["outputs"]
    assert output["atol"] == TOLERANCES["fp32"].allowed(cases[0].outputs["y"].astype(np.float64))
    assert output["atol"] > 0.1


def test_large_references_are_cut_and_small_ones_are_whole() -> None:
    wide = Signature(
        (TensorSpec("x", "float32", ("batch", 200_000)),), (TensorSpec("y", "float32", ("batch",)),)
    )
    big = Reference({"x": np.zeros((8, 200_000), np.float32)}, {"y": np.zeros(8, np.float32)})
    assert len(golden.cases_of(big, wide)) == golden.MOST_BYTES // 800_004
    assert len(golden.cases_of(reference(8), SIGNATURE)) == 8


def test_strings_are_read_back_and_an_unknown_output_is_left_out(tmp_path: Path) -> None:
    outputs = (TensorSpec("label", "str", ("batch", 2)), TensorSpec("y", "float32", ("batch",)))
    signature = Signature((TensorSpec("text", "str", ("batch",)),), outputs)
    case = Reference(
        {"text": np.array(["M\u00fcller \U0001f600"])}, {"label": np.array([["a", ""]], object)}
    )
    for name in ("golden.json", "golden.bin"):
        golden.write(
            tmp_path / name,
            [case],
            signature,
            model="m",
            precision="fp32",
            tolerance=TOLERANCES["fp32"],
            preprocessing=None,
        )
    (written,) = json.loads((tmp_path / "golden.json").read_text())["cases"]
    assert written["inputs"][0]["data"] == ["M\u00fcller \U0001f600"]
    assert [each["name"] for each in written["outputs"]] == ["label"]
    assert written["outputs"][0]["data"] == ["a", ""]
    reader = Reader((tmp_path / "golden.bin").read_bytes())
    assert reader.take("8sddI")[-1] == 1
    assert reader.take("II") == (1, 1)
    for title, shape, texts in (
        ("text", (1,), ["M\u00fcller \U0001f600"]),
        ("label", (1, 2), ["a", ""]),
    ):
        assert reader.take(f"{reader.take('I')}s").decode() == title
        assert reader.take("II") == (8, len(shape))
        assert tuple(reader.take("q") for _ in shape) == shape
        _, size = reader.take("dQ")
        assert size == sum(4 + len(text.encode()) for text in texts)
        found = [reader.take(f"{reader.take('I')}s") for _ in texts]
        assert [text.decode() if text else "" for text in found] == texts
    assert reader.at == len(reader.data)


def test_what_no_language_has_is_refused_by_bin(tmp_path: Path) -> None:
    signature = Signature(SIGNATURE.inputs, (TensorSpec("y", "float16", ("batch",)),))
    case = Reference(reference(1).inputs, {"y": np.zeros(1, np.float16)})
    with pytest.raises(EmbedError, match=r"'y' is float16, which golden\.bin cannot hold"):
        golden.write(
            tmp_path / "golden.bin",
            [case],
            signature,
            model="m",
            precision="fp32",
            tolerance=TOLERANCES["fp32"],
            preprocessing=None,
        )
