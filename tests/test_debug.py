"""Models broken on purpose at a known node: the search has to name that node."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

import edgekit
from edgekit.bundle import Bundle, FileEntry, Variant
from edgekit.cli import cli
from edgekit.debug import Finding, graphs, locate, pair
from edgekit.debug.pair import Side
from edgekit.errors import MissingExtraError, ModelError
from edgekit.parity import TOLERANCES
from tests.conftest import write_bundle, write_model

FLOAT = TensorProto.FLOAT
ROWS = [("x", FLOAT, ["batch", 4])], [("y", FLOAT, ["batch", 4])]
X = {"x": np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)}


def node(op: str, inputs: str, output: str, name: str | None = None, **attributes: Any) -> Any:
    return helper.make_node(
        op, inputs.split(), [output], name=name or f"net/{output}/{op}", **attributes
    )


def rows_model(path: Path, nodes: list[Any], **weights: Any) -> Path:
    return write_model(path, nodes, *ROWS, **weights)


def find(ours: Path, theirs: Path | None, feeds: Any = None, precision: str = "fp32") -> Finding:
    sides = (Side(ours, "ours", precision, {}), theirs and Side(theirs, "theirs", "fp32", {}))
    found = locate(sides[0], sides[1] or None, X if feeds is None else feeds, TOLERANCES[precision])
    assert found is not None
    return found


def chain(path: Path, length: int, wrong: int | None = None) -> Path:
    """A chain of products and sums, in which the constant of one node is wrong."""
    weights = {f"c{i}": np.float32(1 if i != wrong else 1.5) for i in range(length)}
    names = ["x", *(f"t{i}" for i in range(length - 1)), "y"]
    ops = ("Mul", "Add", "Sub")
    nodes = [node(ops[i % 3], f"{names[i]} c{i}", names[i + 1]) for i in range(length)]
    return rows_model(path, nodes, **weights)


@pytest.mark.parametrize("wrong", [0, 1, 20, 62, 63])
def test_a_wrong_weight_in_a_chain_is_found_in_logarithmic_runs(tmp_path: Path, wrong: int) -> None:
    length = 64
    right = chain(tmp_path / "right.onnx", length)
    found = find(chain(tmp_path / "wrong.onnx", length, wrong), right)
    assert found.tensor == (f"t{wrong}" if wrong < length - 1 else "y")
    assert found.before_db > 100 > 60 > (found.after_db or 0)
    assert found.runs <= math.ceil(math.log(length, 4)) + 3
    assert found.differences == (
        f"its constant 'c{wrong}' has 1.5 where the other file has 1 at ()",
    )
    assert "mend what differs" in found.advice
    if found.tensor != "y":
        assert found.repaired is not None
        assert found.repaired.passed


@pytest.mark.parametrize("epsilon", [1e-3, 1e-1])
def test_a_wrong_epsilon_is_found_and_named(tmp_path: Path, epsilon: float) -> None:
    weights = {"gamma": np.ones(4, np.float32), "w": np.eye(4, dtype=np.float32)}

    def made(path: Path, value: float) -> Path:
        return rows_model(
            path,
            [
                node("MatMul", "x w", "projected"),
                node("LayerNormalization", "projected gamma", "normal", epsilon=value),
                node("Relu", "normal", "positive"),
                node("Add", "positive projected", "y"),
            ],
            **weights,
        )

    feeds = {"x": X["x"] * np.float32(0.1)}
    found = find(made(tmp_path / "a.onnx", epsilon), made(tmp_path / "b.onnx", 1e-5), feeds)
    assert (found.node.op_type, found.node.layer) == ("LayerNormalization", "net/normal")
    assert any("its attribute 'epsilon'" in text for text in found.differences)


def widened(path: Path, inner: Any) -> Path:
    """`x * 60000` kept as `half` in the dtype `inner`, and made small again."""
    return rows_model(
        path,
        [
            node("Mul", "x large", "wide", "net/widen/Mul"),
            node("Cast", "wide", "half", "net/keep/Cast", to=inner),
            node("Cast", "half", "back", "net/back/Cast", to=FLOAT),
            node("Mul", "back small", "y", "net/narrow/Mul"),
        ],
        large=np.float32(60000),
        small=np.float32(1 / 60000),
    )


def test_an_fp16_overflow_is_found_with_what_it_should_hold(tmp_path: Path) -> None:
    ours = widened(tmp_path / "half.onnx", TensorProto.FLOAT16)
    found = find(ours, widened(tmp_path / "float.onnx", FLOAT), {"x": X["x"] * 2}, "fp16")
    assert (found.kind, found.node.name, found.node.layer) == (
        "overflow", "net/keep/Cast", "net/keep",
    )  # fmt: skip
    assert found.evidence is not None
    assert found.evidence.inf_count > 0
    assert found.advice.endswith("--exclude net/keep/Cast (fp16 holds no more than 65504)")


#: Nodes that make NaN out of what they are given, with the node at fault and where it leads.
ORIGINS: dict[str, tuple[list[Any], str, str | None]] = {
    "0 / 0": (
        [
            node("Sub", "x x", "zero"),
            node("Div", "zero zero", "ratio"),
            node("Add", "x ratio", "y"),
        ],
        "net/ratio/Div",
        None,
    ),
    "infinity - infinity": (
        [
            node("Mul", "x hundred", "large"),
            node("Exp", "large", "power"),
            node("Mul", "power one", "same"),
            node("Sub", "power same", "nothing"),
            node("Add", "x nothing", "y"),
        ],
        "net/power/Exp",
        "net/nothing/Sub",
    ),
    "infinity alone": (
        [
            node("Mul", "x hundred", "large"),
            node("Exp", "large", "power"),
            node("Relu", "power", "y"),
        ],
        "net/power/Exp",
        None,
    ),
}


@pytest.mark.parametrize("case", ORIGINS)
def test_the_origin_of_a_nan_is_found_in_one_file_alone(tmp_path: Path, case: str) -> None:
    nodes, name, leads_to = ORIGINS[case]
    model = rows_model(tmp_path / "m.onnx", nodes, hundred=np.float32(1000), one=np.float32(1))
    found = find(model, None)
    assert (found.kind, found.node.name) == ("nan", name)
    assert (found.leads_to and found.leads_to.name) == leads_to
    assert found.evidence is not None
    assert not math.isfinite(found.evidence.actual or 0.0)


def test_a_broken_scale_of_an_int8_variant_is_found(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sizes = ["x", "a", "b", "c"]
    nodes: list[Any] = []
    for i, name in enumerate(sizes[:3]):
        after = sizes[i + 1]
        nodes += [
            node("MatMul", f"{name} w{i}", f"{after}_product", f"net/dense{i}/MatMul"),
            node("Relu", f"{after}_product", after, f"net/dense{i}/Relu"),
        ]
    nodes.append(node("Softmax", "c", "y"))
    weights = {f"w{i}": rng.normal(size=(4, 4)).astype(np.float32) for i in range(3)}
    made = write_bundle(tmp_path / "made", rows_model(tmp_path / "m.onnx", nodes, **weights))
    edgekit.quantize(made, "static-int8")
    path = made.path / "model.int8.onnx"
    assert edgekit.validate(made.path, variant="int8").passed
    model = onnx.load(path)
    scale = next(t for t in model.graph.initializer if t.name == "w1_scale")
    scale.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(scale), "w1_scale"))
    onnx.save(model, path)
    broken = Bundle.open(made.path).add(Variant("int8", FileEntry.of(path), "int8", "static", 18))
    (row,) = edgekit.validate(broken, variant="int8", debug=True).variants
    assert row.finding is not None
    assert row.finding.node.layer == "net/dense1"
    assert "--exclude net/dense1/" in row.finding.advice


def test_a_difference_that_heals_is_passed_over(tmp_path: Path) -> None:
    def made(path: Path, low: float, weight: float) -> Path:
        return rows_model(
            path,
            [
                node("Greater", "x zero", "known"),
                node("Where", "known zero low", "mask"),
                node("Add", "x mask", "masked"),
                node("Softmax", "masked", "share"),
                node("Mul", "share weight", "weighted"),
                node("Add", "weighted x", "y"),
            ],
            zero=np.float32(0),
            low=np.float32(low),
            weight=np.float32(weight),
        )

    found = find(made(tmp_path / "a.onnx", -65504, 2), made(tmp_path / "b.onnx", -1e9, 1))
    assert found.tensor == "weighted"
    assert {"mask", "masked"} & found.looked.keys()


def test_of_many_faults_the_first_is_named_with_the_little_that_it_explains(
    tmp_path: Path,
) -> None:
    def made(path: Path, weight: float) -> Path:
        parts = [f"part{i}" for i in range(12)]
        weights = {f"w{i}": np.full(4, weight, np.float32) for i in range(12)}
        nodes = [node("Mul", f"x w{i}", part) for i, part in enumerate(parts)]
        return rows_model(path, [*nodes, node("Sum", " ".join(parts), "y")], **weights)

    right, wrong = made(tmp_path / "b.onnx", 1), made(tmp_path / "a.onnx", 1.2)
    found = find(wrong, right)
    assert found.node.op_type == "Mul"
    assert found.before_db == 200
    assert found.repaired is not None
    assert not found.repaired.passed
    args = ["validate", str(wrong), "--against", str(right), "--debug"]
    assert "comes closer by little" in CliRunner().invoke(cli, args).stdout


def test_a_conversion_that_a_tool_put_in_is_named_by_what_it_follows(tmp_path: Path) -> None:
    right = rows_model(
        tmp_path / "right.onnx", [node("Add", "x one", "y", "net/last/Add")], one=np.float32(1)
    )
    wrong = rows_model(
        tmp_path / "wrong.onnx",
        [
            node("Add", "x one", "last", "net/last/Add_of_a_tool"),
            node("Cast", "last", "y", "graph_output_cast0", to=FLOAT),
        ],
        one=np.float32(2),
    )
    found = find(wrong, right)
    assert (found.node.name, found.node.layer) == ("net/last/Add", "net/last")
    assert [step.name for step in found.between] == ["net/last/Add_of_a_tool"]


def test_what_a_branch_takes_from_around_it_counts(tmp_path: Path) -> None:
    def made(path: Path, weight: float) -> Path:
        def body(name: str, op: str) -> Any:
            result = helper.make_tensor_value_info(f"{name}_out", FLOAT, None)
            inside = [helper.make_node(op, ["scaled"], [f"{name}_out"], name=name)]
            return helper.make_graph(inside, name, [], [result])

        return rows_model(
            path,
            [
                node("Mul", "x weight", "scaled"),
                node("If", "yes", "y", then_branch=body("t", "Tanh"), else_branch=body("e", "Neg")),
            ],
            weight=np.float32(weight),
            yes=np.array(True),
        )

    found = find(made(tmp_path / "a.onnx", 2), made(tmp_path / "b.onnx", 1))
    assert (found.tensor, found.node.op_type) == ("scaled", "Mul")


def test_tensors_of_other_names_are_matched_by_their_nodes(tmp_path: Path) -> None:
    def made(path: Path, prefix: str, weight: float) -> Path:
        return rows_model(
            path,
            [
                node("Mul", "x weight", f"{prefix}1", "net/scale/Mul"),
                node("Tanh", f"{prefix}1", f"{prefix}2", "net/squash/Tanh"),
                node("Identity", f"{prefix}2", "y", "net/end"),
            ],
            weight=np.float32(weight),
        )

    found = find(made(tmp_path / "a.onnx", "p", 2), made(tmp_path / "b.onnx", "q", 1))
    assert found.node.name == "net/scale/Mul"


def test_a_difference_that_goes_away_when_it_is_looked_at_is_a_fusion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An engine that fuses two nodes wrongly, as long as nothing reads what lies between them.
    path = chain(tmp_path / "m.onnx", 16)
    plain = pair._run

    def fused(side: Side, model: Path, feeds: Any) -> Any:
        outputs = plain(side, model, feeds)
        if side.label == "ours" and "t9" not in outputs:
            after = {f"t{i}" for i in range(10, 16)} | {"y"}
            return {name: value + (name in after) for name, value in outputs.items()}
        return outputs

    monkeypatch.setattr(pair, "_run", fused)
    found = find(path, path)
    assert (found.kind, found.tensor, found.evidence) == ("fusion", "t9", None)
    assert "report it to onnxruntime" in found.advice


def test_files_that_agree_have_no_node_at_fault(tmp_path: Path) -> None:
    path = chain(tmp_path / "m.onnx", 4)
    side = Side(path, "m", "fp32", {})
    assert locate(side, side, X, TOLERANCES["fp32"]) is None
    assert locate(side, None, X, TOLERANCES["fp32"]) is None


def test_files_that_share_nothing_are_refused(tmp_path: Path) -> None:
    ours = rows_model(tmp_path / "a.onnx", [node("Neg", "x", "y")])
    other = [("z", FLOAT, ["batch", 4])]
    theirs = write_model(tmp_path / "b.onnx", [node("Relu", "x", "z")], ROWS[0], other)
    with pytest.raises(ModelError, match="share no tensor"):
        find(ours, theirs)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        pytest.param("net/block/dense/MatMul", "net/block/dense", id="as it is"),
        pytest.param("net_1/conv1_1/BiasAdd_2", "net/conv1", id="a second trace"),
        pytest.param("encoder1/attention/key/Add", "encoder1/attention/key", id="no model"),
        pytest.param("node_Sum_0", None, id="no path"),
    ],
)
def test_the_layer_is_read_from_the_node_s_path(name: str, layer: str | None) -> None:
    assert graphs.layer_of(name, "net") == layer


def test_the_command_names_the_node(tmp_path: Path) -> None:
    right, wrong = chain(tmp_path / "a.onnx", 12), chain(tmp_path / "b.onnx", 12, 5)
    args = ["validate", str(wrong), "--against", str(right), "--debug"]
    done = CliRunner().invoke(cli, args)
    assert done.exit_code == 1
    assert "'t5' is the first tensor beyond tolerance" in done.stdout
    assert "operator Sub, Keras layer 'net/t5'" in done.stdout
    found = json.loads(CliRunner().invoke(cli, [*args, "--json"]).stdout)
    assert found["variants"][0]["finding"]["node"]["name"] == "net/t5/Sub"
    assert CliRunner().invoke(cli, [*args[:2], "--against", str(wrong), "--debug"]).exit_code == 0


def test_a_file_alone_that_is_wrong_everywhere_says_what_it_needs(tmp_path: Path) -> None:
    right, wrong = chain(tmp_path / "a.onnx", 4), chain(tmp_path / "b.onnx", 4, 1)
    made = write_bundle(tmp_path / "made", right)
    reference = made.path / "reference.npz"
    report = edgekit.validate(wrong, reference=reference, debug=True)
    assert not report.passed
    assert "--against" in report.notes[0]


def test_it_needs_an_extra_and_says_which(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx_ir", None)
    with pytest.raises(MissingExtraError, match=r"edgekit-onnx\[quantize\]"):
        edgekit.validate(bundle, debug=True)
    assert edgekit.validate(bundle).passed
