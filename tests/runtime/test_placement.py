"""Where nodes run and why, read from what onnxruntime records. Its answers are stood in for here;
tests/devices has real ones."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest

from edgekit.errors import ProviderError
from edgekit.report.text import fallback
from edgekit.runtime import explain, placement, providers, runner, session
from edgekit.runtime.placement import Placement, Unplaced
from edgekit.runtime.session import Plan


def recorded(*nodes: tuple[str, str, str], shape: tuple[Any, ...] = (1, 4)) -> Any:
    """A session that recorded `(provider, operator, node)` rows, a part for each."""
    names = {"qnn": "QNNExecutionProvider", "webgpu": "WebGpuExecutionProvider"}
    parts = [
        SimpleNamespace(
            ep_name=names.get(alias, providers.CPU),
            get_nodes=lambda op=op, name=name: [SimpleNamespace(op_type=op, name=name)],
        )
        for alias, op, name in nodes
    ]
    return SimpleNamespace(
        get_provider_graph_assignment_info=lambda: parts,
        get_inputs=lambda: [SimpleNamespace(name="x", shape=list(shape), type="tensor(float)")],
        get_outputs=lambda: [SimpleNamespace(name="y", shape=list(shape), type="tensor(float)")],
        run=lambda names, feeds: [],
    )


QNN, WEBGPU, CPU = (providers.PROVIDERS[alias] for alias in ("qnn", "webgpu", "cpu"))


def test_nodes_are_counted_by_provider_the_most_first() -> None:
    found = recorded(("cpu", "Det", "d"), ("qnn", "MatMul", "a"), ("qnn", "Relu", "b"))
    nodes = placement.nodes_by_provider(found, (QNN, CPU))
    assert list(nodes.items()) == [("qnn", 2), ("cpu", 1)]
    assert placement.main_provider(nodes, (QNN, CPU)) == "qnn"


def test_a_provider_that_is_listed_and_runs_nothing_is_not_what_ran() -> None:
    nodes = placement.nodes_by_provider(recorded(("cpu", "Det", "d")), (QNN, CPU))
    assert placement.main_provider(nodes, (QNN, CPU)) == "cpu"


@pytest.mark.parametrize("old", [False, True], ids=["the cpu alone", "an old onnxruntime"])
def test_without_a_record_it_is_what_was_asked_for(old: bool) -> None:
    rows = (QNN,) if old else (CPU,)
    nodes = placement.nodes_by_provider(object(), rows)
    assert nodes == {}
    assert placement.main_provider(nodes, rows) == rows[0].alias


@pytest.mark.parametrize(
    ("row", "placed", "node", "types", "shape", "why"),
    [
        pytest.param(WEBGPU, [], "Det", ("float",), (1, 4), "operator not supported", id="op"),
        pytest.param(
            WEBGPU, ["Relu"], "Relu", ("double",), (1, 4), "type double not supported", id="type"
        ),
        pytest.param(
            WEBGPU, [], "QuantizeLinear", ("float", "uint8"), (1, 4), "type uint8 not supported",
            id="a precision that does not suit",
        ),
        pytest.param(
            QNN, ["Relu"], "Relu", ("int32",), (1, 4), "type int32 not supported",
            id="a type that no placed one has",
        ),
        pytest.param(
            QNN, ["Relu"], "Relu", ("float",), (1, 4), "its attributes or shapes", id="shapes"
        ),
        pytest.param(
            QNN, ["Relu"], "Relu", (), (1, 4), "its type, attributes or shapes", id="unknown type"
        ),
        pytest.param(
            QNN, ["Gemm"], "Gemm", ("float",), (1, 4), "its type, attributes or shapes",
            id="placed in a compiled part",
        ),
        pytest.param(QNN, [], "Relu", ("float",), ("batch", 4), "free axis batch", id="free axis"),
        pytest.param(
            QNN, [], "Relu", (), (None, 4), "free axis 0 of 'x', which has no name", id="no name"
        ),
    ],
)  # fmt: skip
def test_why_a_node_is_on_the_cpu(
    row: Any, placed: list[str], node: str, types: tuple[str, ...], shape: Any, why: str
) -> None:
    rows = [(row.alias, operator, f"placed {operator}") for operator in placed]
    known = {"left": types} | {f"placed {operator}": ("float",) for operator in placed}
    known.pop("placed Gemm", None)
    found = recorded(*rows, ("cpu", node, "left"), shape=shape)
    (left,) = placement.unplaced_nodes(found, (row, CPU), known)
    assert (left.node, left.operator, left.types, left.why) == ("left", node, types, why)


def test_a_message_names_five_nodes_and_counts_the_rest() -> None:
    left = [Unplaced(f"n{i}", "Det", ("float",), "operator not supported") for i in range(7)]
    text = placement.listing(left)
    assert text.startswith("'n0' (Det of float: operator not supported), 'n1'")
    assert text.endswith("'n4' (Det of float: operator not supported) and 2 more")


def kernel(name: str, alias: str, dur: int, kind: str = "float") -> dict[str, Any]:
    args = {"provider": providers.PROVIDERS[alias].name, "input_type_shape": [{kind: [1]}]}
    return {"name": f"{name}_kernel_time", "dur": dur, "args": args}


def test_a_profile_gives_shares_of_time_and_types_without_the_first_run(tmp_path: Path) -> None:
    events = [
        {"name": "session_initialization", "dur": 9},
        {"name": "a_fence_before", "dur": 9, "args": {}},
        kernel("a", "qnn", 5000),
        kernel("b", "cpu", 1, "double"),
        kernel("a", "qnn", 30),
        kernel("b", "cpu", 10, "double"),
    ]
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(events))
    found = placement.read_profile(path)
    assert found.time == {"qnn": 0.75, "cpu": 0.25}
    assert found.types == {"a": ("float",), "b": ("double",)}


def test_a_real_profile_of_the_cpu(classifier: Path) -> None:
    with runner.open_runner(classifier) as opened:
        feeds = opened.signature.sample()
    found = explain.profiled_placement(classifier, feeds)
    assert found.time == {"cpu": pytest.approx(1)}
    assert found.unplaced == ()


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Make onnxruntime refuse a strict session, and record these nodes in the one that is open."""

    def arrange(found: Any) -> Plan:
        profile = tmp_path / "profile.json"
        profile.write_text(json.dumps([kernel("left", "cpu", 1, "double")]))
        found.end_profiling = lambda: str(profile)
        found.get_providers = lambda: [QNN.name, providers.CPU]

        class FailError(Exception):
            pass

        def make(path: str, options: Any, **extra: Any) -> Any:
            key = "session.disable_cpu_ep_fallback"
            try:
                options.get_session_config_entry(key)
            except RuntimeError:
                return found
            raise FailError(
                "[ONNXRuntimeError] : 1 : FAIL : This session contains graph nodes that are "
                "assigned to the default CPU EP, but fallback to CPU EP has been explicitly "
                "disabled by the user."
            )

        monkeypatch.setattr(session, "_add_providers", lambda options, plan: None)
        monkeypatch.setattr(onnxruntime, "InferenceSession", make)
        return Plan(Path("m.onnx"), (QNN,))

    return arrange


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        pytest.param(
            (1, 4),
            "The provider 'qnn' cannot run all of 'm.onnx', 1 of its 2 nodes would run on the cpu: "
            "'left' (Det of double: type double not supported): try another variant (int8, fp16, "
            "fp32 suit it), or give --allow-fallback",
            id="a type",
        ),
        pytest.param(
            ("batch", 4),
            "1 of its 2 nodes would run on the cpu: 'left' (Det of double: free axis batch): "
            "fix them with --fix-axis batch=1, or give --allow-fallback",
            id="a free axis",
        ),
    ],
)
def test_a_strict_session_that_does_not_open_names_the_nodes(
    refused: Any, shape: Any, words: str
) -> None:
    plan = refused(recorded(("qnn", "Relu", "placed"), ("cpu", "Det", "left"), shape=shape))
    with pytest.raises(ProviderError) as caught:
        session.open_session(plan)
    assert words in str(caught.value)
    assert caught.value.step == "placement"
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("alias", "why", "free", "advice"),
    [
        pytest.param(
            "qnn", "free axis time", ("batch", "time"),
            "fix them with --fix-axis batch=1 --fix-axis time=1, or give --allow-fallback",
            id="free axes",
        ),
        pytest.param(
            "webgpu", "type uint8 not supported", (),
            "try another variant (fp16, fp32 suit it), or give --allow-fallback", id="a type",
        ),
        pytest.param("webgpu", "operator not supported", (), "give --allow-fallback", id="an op"),
        pytest.param(
            "tensorrt", "operator not supported", ("batch",),
            "let another provider run them with --provider tensorrt,cuda, or give "
            "--allow-fallback",
            id="another provider",
        ),
    ],
)  # fmt: skip
def test_the_advice_fits_the_reason(
    alias: str, why: str, free: tuple[str, ...], advice: str
) -> None:
    plan = Plan(Path("m.onnx"), providers.rows_of(alias))
    left = [Unplaced("n", "Det", ("float",), why)]
    assert explain._advice(plan, left, free) == advice


@pytest.mark.parametrize(
    ("alias", "text", "step", "words"),
    [
        pytest.param(
            "webgpu", "Failed to get a WebGPU adapter: No supported adapters", "device",
            "finds no device on this machine (Failed to get a WebGPU adapter: No supported "
            "adapters): install the GPU's Vulkan driver", id="no device after all",
        ),
        pytest.param(
            "qnn", "Failed to finalize QNN graph", "session", "soc_model=69", id="its own fix"
        ),
        pytest.param("cuda", "out of memory", "session", "--provider-option", id="another"),
    ],
)  # fmt: skip
def test_what_a_provider_says_when_it_opens_is_translated(
    monkeypatch: pytest.MonkeyPatch, alias: str, text: str, step: str, words: str
) -> None:
    def refuse(*args: Any, **options: Any) -> Any:
        raise ValueError(text)

    monkeypatch.setattr(session, "_add_providers", lambda options, plan: None)
    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    with pytest.raises(ProviderError) as caught:
        session.open_session(Plan(Path("m.onnx"), providers.rows_of(alias)))
    assert caught.value.step == step
    assert words in str(caught.value)


def test_the_one_that_onnxruntime_left_out_gives_way(refused: Any) -> None:
    found = recorded(("qnn", "Relu", "placed"))
    plan = refused(found)
    found.get_providers = lambda: [QNN.name, providers.CPU]
    opened = session.open_session(
        Plan(plan.path, providers.rows_of("openvino,qnn", allow_fallback=True))
    )
    assert opened.provider == "qnn"
    assert "left the provider 'openvino' out" in str(opened.placement.fallback)


def test_a_provider_that_does_not_start_is_not_one_whose_nodes_found_no_place(refused: Any) -> None:
    found = recorded(("cpu", "Det", "left"))
    plan = refused(found)
    found.get_providers = lambda: [providers.CPU]
    with pytest.raises(ProviderError, match="left the provider 'qnn' out") as caught:
        session.open_session(plan)
    assert caught.value.step == "session"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(
            "[ONNXRuntimeError] : 1 : FAIL : Load model from m.onnx failed:Protobuf parsing failed",
            "Protobuf parsing failed",
            id="the path",
        ),
        pytest.param(
            "[ONNXRuntimeError] : 11 : EP_FAIL : /src/ep.cc:393 virtual X Y::Z(const A&) "
            "[ONNXRuntimeError] : 11 : EP_FAIL : /src/web.cc:136 I(const C&)::<lambda()> "
            "status == Success was false. No supported adapters\n\n",
            "No supported adapters",
            id="a plugin's assertion",
        ),
        pytest.param(
            "/src/state.cc:1053 std::shared_ptr<X> make(const A&, const B&) Invalid option: foo",
            "Invalid option: foo",
            id="a place in the source",
        ),
    ],
)
def test_the_cause_in_an_error_is_what_is_said(text: str, reason: str) -> None:
    assert session.engine_reason(RuntimeError(text)) == reason


def test_a_placement_in_words() -> None:
    left = (Unplaced("d", "Det", (), "operator not supported"),)
    fixed = ({"batch": 1}, {"batch": 8, "time": 16})
    found = Placement({"qnn": 3, "cpu": 1}, None, left, fixed, {"qnn": 0.9, "cpu": 0.1})
    assert fallback(found, "qnn") == [
        "Axes fixed for qnn: batch=1; batch=8 time=16.",
        "Placement: 3 of 4 nodes (75%) on qnn, 1 of 4 nodes (25%) on cpu.",
        "Time in nodes: 90% on qnn, 10% on cpu.",
        "On the cpu: 'd' (Det: operator not supported).",
    ]
