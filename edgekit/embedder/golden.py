"""Golden vectors: reference inputs and outputs in files that any language reads.

Two forms of the same cases, each of them a feed and the answers expected for it. Both are read
in the order in which they are written, and an app judges every output by the same rule as
`edgekit.parity`:

- shape and dtype are equal, and nothing is NaN or infinite;
- `|got - want| <= atol + rtol * |want|` for every element, unless `atol` is none;
- over all elements, `10 log10(sum want^2 / sum (want - got)^2) >= min_sqnr_db`, unless that is
  none, or all of `want` is zero. Strings are equal.

`atol` stands with each output, because it grows with the output's size where that is above 1. A
case has all inputs of the model, and the outputs that are known for it: of two labels that are as
likely within the tolerance either may come, so such a case has the numbers only.

**golden.json** ::

    {"format": "edgekit-golden/1", "model": "cnn", "precision": "fp32",
     "rtol": 0.001, "min_sqnr_db": 60.0,
     "cases": [{"inputs":  [{"name", "dtype", "shape", "data": [flat, row by row]}],
                "outputs": [{"name", "dtype", "shape", "data", "atol"}]}]}

With a preprocessing of characters, `texts` has `{"text", "ids"}` for what languages tend to see
differently: capitals, what is outside of the alphabet, white space, characters beyond 16 bits.
dtypes are numpy's names (`float32`, `int64`, `bool`), or `str`, whose data are strings. A float is
the shortest decimal that reads back as the same float, whether it is read as a float or as a double
and rounded.

**golden.bin**, for languages without JSON: little-endian, no padding. ::

    char[8]  "EDGOLD1\\n"
    float64  rtol, min_sqnr_db           NaN: none
    uint32   cases
      uint32 inputs, uint32 outputs      then those tensors, inputs first
        uint32  name bytes, char[] name  UTF-8, without an end
        uint32  dtype                    ONNX's TensorProto.DataType: 1 float32, 7 int64, ...
        uint32  rank, int64[rank] shape
        float64 atol                     NaN for none, and for an input
        uint64  data bytes, the data     row by row; of strings: uint32 bytes, UTF-8, each
"""

from __future__ import annotations

import json
import math
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit import preprocess
from edgekit.errors import EmbedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgekit.parity import Tolerance
    from edgekit.reference import Reference
    from edgekit.signature import Array, Outputs, Signature

FORMAT = "edgekit-golden/1"
MAGIC = b"EDGOLD1\n"
#: An app's test reads them whole: cases beyond this many bytes of tensors are left out.
MOST_BYTES = 2 * 2**20
#: A combining accent, a letter that has two in lower case, an emoji of two 16-bit units.
TEXTS = ("e\u0301a", "\u0130stanbul", "a\U0001f600b", "\u03a3\u0391\u03a3", "1234567890" * 8)
#: numpy's names -> TensorProto.DataType.
DTYPES = {
    "float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7,
    "bool": 9, "float64": 11, "uint32": 12, "uint64": 13, "object": 8,
}  # fmt: skip


def cases_of(reference: Reference, signature: Signature) -> list[Reference]:
    """Split a reference as an app runs it, sample by sample, up to `MOST_BYTES`; at least one."""
    found: list[Reference] = []
    total = 0
    for case in reference.batches(signature, 1):
        arrays = (*case.inputs.values(), *case.outputs.values())
        total += sum(array.nbytes for array in arrays)
        if found and total > MOST_BYTES:
            break
        found.append(case)
    return found


def write(
    path: Path,
    cases: Sequence[Reference],
    signature: Signature,
    *,
    model: str,
    precision: str,
    tolerance: Tolerance,
    preprocessing: dict[str, Any] | None,
) -> None:
    """Write cases as `golden.json` or, where the path ends so, `golden.bin`."""
    if path.suffix == ".bin":
        path.write_bytes(_binary(cases, signature, tolerance))
        return
    value = {
        "format": FORMAT,
        "model": model,
        "precision": precision,
        "rtol": tolerance.rtol,
        "min_sqnr_db": tolerance.min_sqnr_db,
        "cases": [
            {
                "inputs": [
                    _plain(spec.name, case.inputs[spec.name], spec.dtype)
                    for spec in signature.inputs
                ],
                "outputs": [
                    _plain(spec.name, case.outputs[spec.name], spec.dtype)
                    | {"atol": _atol(case.outputs, spec.name, tolerance)}
                    for spec in signature.outputs
                    if spec.name in case.outputs
                ],
            }
            for case in cases
        ],
    }
    if preprocess.kind_of(preprocessing) == "characters" and preprocessing is not None:
        value["texts"] = texts(preprocessing)
    path.write_text(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def texts(rule: dict[str, Any]) -> list[dict[str, Any]]:
    """Give texts with their ids: what languages see differently in one, each from its start."""
    alphabet = rule["alphabet"]
    texts = (alphabet, alphabet.upper(), alphabet[::-1], f"  {alphabet[:3]} \t", *TEXTS)
    return [
        {"text": text, "ids": preprocess.texts([text], rule)[rule["input"]][0].tolist()}
        for text in texts
        if text.strip()
    ]


def _atol(outputs: Outputs, name: str, tolerance: Tolerance) -> float | None:
    array = outputs[name]
    if tolerance.atol is None or array.dtype.kind not in "fiub":
        return None
    return tolerance.allowed(array.astype(np.float64))


def _plain(name: str, array: Array, dtype: str) -> dict[str, Any]:
    flat = array.ravel()
    data = decimals(flat) if array.dtype.kind == "f" else flat.tolist()
    return {"name": name, "dtype": dtype, "shape": list(array.shape), "data": data}


def decimals(flat: Array) -> list[float]:
    """Give Python floats whose shortest decimals read back as the same float32.

    The shortest decimal of a float32 is nearly always it. Read as a double first, one that lies
    close to the middle of two floats could round to the other: there, the double itself stands.
    """
    short = [float(str(value)) for value in flat]
    same = np.asarray(short, flat.dtype) == flat
    return [
        value if kept else float(exact)
        for value, kept, exact in zip(short, same, flat, strict=True)
    ]


def _binary(cases: Sequence[Reference], signature: Signature, tolerance: Tolerance) -> bytes:
    floor = math.nan if tolerance.min_sqnr_db is None else tolerance.min_sqnr_db
    parts = [MAGIC, struct.pack("<ddI", tolerance.rtol, floor, len(cases))]
    for case in cases:
        known = [spec for spec in signature.outputs if spec.name in case.outputs]
        parts.append(struct.pack("<II", len(signature.inputs), len(known)))
        parts += [_tensor(spec.name, case.inputs[spec.name], None) for spec in signature.inputs]
        parts += [
            _tensor(spec.name, case.outputs[spec.name], _atol(case.outputs, spec.name, tolerance))
            for spec in known
        ]
    return b"".join(parts)


def _tensor(name: str, array: Array, atol: float | None) -> bytes:
    array = array.astype(object) if array.dtype.kind == "U" else array
    kind = DTYPES.get(str(array.dtype))
    if kind is None:
        raise EmbedError(
            f"The tensor {name!r} is {array.dtype}, which golden.bin cannot hold: give a variant "
            "with numbers as inputs and outputs."
        )
    title, data = name.encode(), _bytes(array)
    return b"".join(
        (
            struct.pack("<I", len(title)),
            title,
            struct.pack(f"<II{array.ndim}q", kind, array.ndim, *array.shape),
            struct.pack("<dQ", math.nan if atol is None else atol, len(data)),
            data,
        )
    )


def _bytes(array: Array) -> bytes:
    if array.dtype != object:
        return array.astype(array.dtype.newbyteorder("<")).tobytes()
    texts = [str(text).encode() for text in array.ravel()]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)
