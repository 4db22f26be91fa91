"""Every layer of Keras, in each of its modes, becomes a file that answers as Keras does."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import ExportError
from tests.exporter.cases import Case, layers, prove

pytestmark = pytest.mark.keras
keras: Any = pytest.importorskip("keras", reason="Keras is not installed: pip install '.[export]'")

CASES: tuple[Case, ...] = (*layers.CASES,)


@pytest.mark.filterwarnings("ignore:Layer '(query|key|value)':UserWarning")  # masks that it drops
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_case(tmp_path: Path, case: Case) -> None:
    path = tmp_path / "model.onnx"
    if case.refused is None:
        prove(case, path)
        return
    with pytest.raises(ExportError, match=case.refused):
        prove(case, path)
    assert list(tmp_path.iterdir()) == []


def test_every_layer_has_a_case() -> None:
    classes = {cls for _, cls in inspect.getmembers(keras.layers, inspect.isclass)}
    names = {cls.__name__ for cls in classes}
    shown = {
        getattr(keras.layers, case.subject.rpartition(".")[2]).__name__ for case in layers.CASES
    }
    assert names - shown - layers.WITHOUT_ROWS.keys() == set(), "give these a row"
    assert layers.WITHOUT_ROWS.keys() <= names - shown, "these have a row"


def test_rows_have_ids_of_their_own() -> None:
    ids = [case.id for case in CASES]
    assert sorted(set(ids)) == sorted(ids)
