"""The table: names, orders of fallback, options."""

from __future__ import annotations

from typing import Any

import pytest

from edgekit.errors import ProviderError
from edgekit.runtime import providers
from edgekit.runtime.providers import PROVIDERS, Provider


@pytest.mark.parametrize("row", PROVIDERS.values(), ids=PROVIDERS)
def test_each_row_is_whole(row: Provider) -> None:
    assert providers.resolve(row.alias) is row
    assert providers.resolve(row.name) is row
    assert providers.alias_of(row.name) == row.alias
    assert row.install
    assert set(row.precisions) <= {"fp32", "fp16", "int8"}
    assert row.precisions
    assert row.driver is None or (row.library is not None and row.device_fix is not None)
    assert row.plugin is None or row.wheel == "onnxruntime"


@pytest.mark.parametrize(
    ("given", "hint"), [("cudaa", "did you mean 'cuda'"), ("CPU", "'cpu'"), ("quantum", "give one")]
)
def test_an_unknown_name_suggests_the_nearest(given: str, hint: str) -> None:
    with pytest.raises(ProviderError, match=hint):
        providers.resolve(given)


@pytest.mark.parametrize(
    ("given", "fallback", "order"),
    [
        pytest.param("cpu", False, ["cpu"], id="one"),
        pytest.param("tensorrt, cuda", False, ["tensorrt", "cuda"], id="commas"),
        pytest.param(("tensorrt", "cuda"), False, ["tensorrt", "cuda"], id="a sequence"),
        pytest.param("qnn", True, ["qnn", "cpu"], id="a fallback"),
        pytest.param("qnn,cpu", True, ["qnn", "cpu"], id="a fallback twice"),
        pytest.param("CUDAExecutionProvider,cpu", False, ["cuda", "cpu"], id="another name"),
    ],
)
def test_providers_come_in_order(given: Any, fallback: bool, order: list[str]) -> None:
    rows = providers.rows_of(given, allow_fallback=fallback)
    assert [row.alias for row in rows] == order


@pytest.mark.parametrize("given", ["cuda,cuda", "cpu,cuda", ()], ids=["twice", "cpu first", "none"])
def test_what_is_no_order_is_refused(given: Any) -> None:
    with pytest.raises(ProviderError, match="give each once, and the cpu last"):
        providers.rows_of(given)


@pytest.mark.parametrize(
    ("asked", "given", "found"),
    [
        pytest.param("cuda", None, {"cuda": {}}, id="none"),
        pytest.param("openvino", {}, {"openvino": {"device_type": "CPU"}}, id="the table's own"),
        pytest.param(
            "openvino,cpu",
            {"device_type": "GPU"},
            {"openvino": {"device_type": "GPU"}, "cpu": {}},
            id="the one beside the cpu",
        ),
        pytest.param(
            "tensorrt,cuda",
            {"tensorrt.trt_fp16_enable": True, "cuda": {"device_id": 1}},
            {"tensorrt": {"trt_fp16_enable": "1"}, "cuda": {"device_id": "1"}},
            id="several",
        ),
    ],
)
def test_options_are_sorted_by_provider(asked: str, given: Any, found: dict[str, Any]) -> None:
    assert providers.options_by_provider(providers.rows_of(asked), given) == found


def test_threads_reach_a_provider_that_has_its_own() -> None:
    rows = providers.rows_of("openvino,cpu")
    found = providers.options_by_provider(rows, None, threads=1)
    assert found["openvino"]["num_of_threads"] == "1"
    assert found["cpu"] == {}
    given = providers.options_by_provider(rows, {"num_of_threads": 2}, threads=1)
    assert given["openvino"]["num_of_threads"] == "2"


@pytest.mark.parametrize(
    ("asked", "given", "message"),
    [
        pytest.param("tensorrt,cuda", {"device_id": 0}, "say which", id="of one of several"),
        pytest.param("cuda", {"qnn.soc_model": 69}, "not asked for", id="of another"),
        pytest.param("cuda", {"qnn": {"soc_model": 69}}, "not asked for", id="of another, nested"),
    ],
)
def test_an_option_without_a_provider_is_refused(asked: str, given: Any, message: str) -> None:
    with pytest.raises(ProviderError, match=message):
        providers.options_by_provider(providers.rows_of(asked), given)
