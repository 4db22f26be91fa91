"""Each function of `keras.ops`, exported and compared with Keras, or refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import ExportError
from tests.exporter.cases import Case, prove

pytestmark = pytest.mark.keras
keras: Any = pytest.importorskip("keras", reason="Keras is not installed: pip install '.[export]'")
functions: Any = pytest.importorskip("tests.exporter.cases.functions")


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in functions.CASES])
def test_function(case: Case, tmp_path: Path) -> None:
    if case.refused is None:
        prove(case, tmp_path / "model.onnx")
        return
    with pytest.raises(ExportError, match=case.refused):
        prove(case, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def public_functions() -> set[str]:
    """Name all of `keras.ops`, and of its modules what is nowhere else."""
    names = {name for name in dir(keras.ops) if callable(getattr(keras.ops, name))}
    for module in ("image", "linalg", "nn", "numpy"):
        inner = {name for name in dir(getattr(keras.ops, module)) if name[0] != "_"}
        names |= {f"{module}.{name}" for name in inner - names}
    return {name for name in names if not name.startswith("_")}


def test_every_function_has_a_row_or_a_reason() -> None:
    subjects = [case.subject.removeprefix("keras.ops.") for case in functions.CASES]
    covered = {name for subject in subjects for name in subject.split(", ")}
    assert covered | set(functions.NO_MEANING) == public_functions()
    assert not covered & set(functions.NO_MEANING)


def test_rows_have_names_of_their_own() -> None:
    names = [case.id for case in functions.CASES]
    assert len(names) == len(set(names))
