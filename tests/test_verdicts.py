"""Every way in which a variant or a provider is wrong has a name of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper

import edgekit
from edgekit import validation
from edgekit.bundle import Bundle, FileEntry, Variant
from edgekit.cli import cli
from edgekit.errors import FeedError, ModelError, ProviderError
from edgekit.expected import Subject
from edgekit.parity import TOLERANCES
from edgekit.runtime.runner import Runner, open_runner
from tests.conftest import write_bundle, write_classifier, write_model

ROWS = [("x", TensorProto.FLOAT, ["batch", 3])], [("y", TensorProto.FLOAT, ["batch", 3])]
STEPS = [("x", TensorProto.FLOAT, ["batch", "time"])], [("y", TensorProto.FLOAT, ["batch", 2])]


def node(op: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def rows_model(path: Path, nodes: list[Any], **weights: Any) -> Path:
    """A model of `x` float32 (batch, 3) -> `y` (batch, 3)."""
    return write_model(path, nodes, *ROWS, **weights)


def steps_model(path: Path, *, length: int | None = None) -> Path:
    """`x` (batch, time) -> its mean and maximum; with `length`, it runs at that one only."""
    head = [node("Reshape", "x shape", "fixed")] if length else []
    source = "fixed" if length else "x"
    return write_model(
        path,
        [
            *head,
            node("ReduceMean", f"{source} axes", "mean"),
            node("ReduceMax", f"{source} axes", "max"),
            node("Concat", "mean max", "y", axis=1),
        ],
        *STEPS,
        axes=np.array([1]),
        shape=np.array([0, length or 1]),
    )


def bundle_with(folder: Path, right: Path, wrong: Path, precision: str = "fp32") -> Bundle:
    """A bundle of a right file with another one as its variant `other`."""
    made = write_bundle(folder, right)
    target = made.path / "model.other.onnx"
    target.write_bytes(wrong.read_bytes())
    return made.add(Variant("other", FileEntry.of(target), precision, "float", 18))


WRONG: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "shape": ([node("ReduceMean", "x axes", "y")], {"axes": np.array([0])}),
    "nan": (
        [node("Sub", "x x", "zero"), node("Div", "zero zero", "nan"), node("Add", "x nan", "y")],
        {},
    ),
    "tolerance": ([node("Mul", "x two", "y")], {"two": np.float32(2)}),
    "batch-dependent": (
        [node("ReduceMean", "x axes", "mean"), node("Sub", "x mean", "y")],
        {"axes": np.array([0])},
    ),
    "dtype": ([node("Cast", "x", "y", to=TensorProto.DOUBLE)], {}),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_with_a_variant_has_a_name(tmp_path: Path, kind: str) -> None:
    nodes, weights = WRONG[kind]
    right = rows_model(tmp_path / "right.onnx", [node("Identity", "x", "y")])
    dtype = TensorProto.DOUBLE if kind == "dtype" else TensorProto.FLOAT
    outputs = [("y", dtype, [None if kind == "shape" else "batch", 3])]
    wrong = write_model(tmp_path / "wrong.onnx", nodes, ROWS[0], outputs, **weights)
    report = edgekit.validate(bundle_with(tmp_path / "made", right, wrong))
    assert not report.passed
    assert report.variants[0].passed
    assert report.variants[1].failures[0].kind == kind


def test_a_degenerate_reference_is_a_failure_of_that_name(tmp_path: Path, classifier: Path) -> None:
    same = write_bundle(tmp_path / "same", classifier, inputs={"x": np.ones((4, 4), np.float32)})
    (failure,) = edgekit.validate(same).variants[0].failures
    assert failure.kind == "degenerate"


@pytest.mark.parametrize(
    ("precision", "share", "passed", "told"),
    [
        pytest.param("fp32", 0.0, True, False, id="float, none"),
        pytest.param("fp32", 0.02, False, True, id="float, a fiftieth"),
        pytest.param("int8", 0.02, True, True, id="int8, a fiftieth"),
        pytest.param("int8", 0.5, False, True, id="int8, half"),
    ],
)
def test_a_batch_effect_is_judged_by_its_size_against_the_precision(
    tmp_path: Path, precision: str, share: float, passed: bool, told: bool
) -> None:
    right = rows_model(tmp_path / "right.onnx", [node("Identity", "x", "y")])
    mixed = rows_model(
        tmp_path / "mixed.onnx",
        [
            node("ReduceMean", "x axes", "mean"),
            node("Mul", "mean share", "part"),
            node("Add", "x part", "y"),
        ],
        axes=np.array([0]),
        share=np.float32(share),
    )
    made = bundle_with(tmp_path / "made", right, mixed, precision)
    variant = edgekit.validate(made, variant="other").variants[0]
    assert ("batch-dependent" not in [f.kind for f in variant.failures]) is passed
    assert variant.batch_dependent is told
    if told and passed:
        done = CliRunner().invoke(cli, ["validate", str(made.path), "--variant", "other"])
        assert "is batch-dependent: a sample alone and in its batch differ" in done.stdout


def test_other_lengths_are_expected_as_the_float_file_answers_there(tmp_path: Path) -> None:
    right = steps_model(tmp_path / "right.onnx")
    wrong = steps_model(tmp_path / "wrong.onnx", length=16)
    made = bundle_with(tmp_path / "made", right, wrong)
    report = edgekit.validate(made)
    assert {c.axes["time"] for c in report.variants[0].checks} == {16, 8, 1, 24}
    assert {c.expected_from for c in report.variants[1].checks} == {"reference", "fp32 on cpu"}
    assert report.variants[0].passed
    failures = report.variants[1].failures
    assert {f.kind for f in failures} == {"run"}
    assert {f.where for f in failures} >= {"batch 1, time 8", "batch 4, time 24"}
    done = CliRunner().invoke(cli, ["validate", str(made.path)])
    assert "Expected at time 8; time 1; time 24: the answers of fp32 on cpu." in done.stdout
    assert "(run): onnxruntime cannot run" in done.stdout


def test_a_length_that_the_float_file_cannot_run_is_left_out_and_said(tmp_path: Path) -> None:
    made = write_bundle(tmp_path / "made", steps_model(tmp_path / "m.onnx", length=16))
    report = edgekit.validate(made)
    assert report.passed
    assert {c.axes["time"] for c in report.variants[0].checks} == {16}
    assert [note.split(":")[0] for note in report.notes] == [
        "left out time 8", "left out time 1", "left out time 24",
    ]  # fmt: skip


#: What each made-up provider does when it is asked for a variant.
def refuse(step: str) -> Any:
    def make(variant: str | None) -> Path:
        raise ProviderError(f"it has no operator for {variant}", "use another", step=step)

    return make


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Let `--provider all` find providers whose answers are those of other files on the CPU."""

    def install(**providers: Any) -> None:
        plain = Subject.open

        def opened(self: Subject, variant: str | None, **options: Any) -> Runner:
            alias = options["provider"]
            if alias == "cpu":
                return plain(self, variant, **options)
            return open_runner(providers[alias](variant))

        monkeypatch.setattr(Subject, "open", opened)
        monkeypatch.setattr(validation, "_ready", lambda: ["cpu", *providers])

    return install


def only(variant: str, step: str, path: Path) -> Any:
    """Run the float variant, and refuse the one that is named."""
    return lambda asked: refuse(step)(asked) if asked == variant else path


@pytest.mark.parametrize(
    ("step", "passed"), [("placement", True), ("session", True), ("device", False)]
)
def test_a_variant_that_a_provider_refuses_is_a_row_with_its_reason(
    pretend: Any, tmp_path: Path, classifier: Path, step: str, passed: bool
) -> None:
    made = bundle_with(tmp_path / "made", classifier, classifier)
    pretend(webgpu=only("other", step, classifier))
    report = edgekit.validate(made, provider="all")
    assert [(v.variant, v.asked) for v in report.variants] == [
        ("fp32", "cpu"), ("other", "cpu"), ("fp32", "webgpu"),
    ]  # fmt: skip
    (row,) = report.refused
    assert (row.variant, row.provider, row.step) == ("other", "webgpu", step)
    assert report.passed is passed
    done = CliRunner().invoke(cli, ["validate", str(made.path), "--provider", "all"])
    assert done.exit_code == (0 if passed else 1)
    assert "it has no operator for other: use another." in done.stdout


def test_a_provider_that_refuses_at_its_first_run_is_a_row_too(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One of fixed shapes opens its sessions when the first feed tells the lengths.
    plain = Runner.run

    def late(self: Runner, feeds: Any) -> Any:
        if late.armed:  # type: ignore[attr-defined]
            refuse("placement")("fp32")
        return plain(self, feeds)

    opened = Subject.open

    def arm(self: Subject, variant: str | None, **options: Any) -> Runner:
        late.armed = options["provider"] == "qnn"  # type: ignore[attr-defined]
        return opened(self, variant, provider="cpu")

    monkeypatch.setattr(Runner, "run", late)
    monkeypatch.setattr(Subject, "open", arm)
    monkeypatch.setattr(validation, "_ready", lambda: ["cpu", "qnn"])
    (row,) = edgekit.validate(bundle, provider="all").refused
    assert (row.provider, row.step, row.fix) == ("qnn", "placement", "use another")


def test_options_of_one_provider_go_to_it_alone(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}
    opened = Subject.open

    def note(self: Subject, variant: str | None, **options: Any) -> Runner:
        given[options["provider"]] = options["provider_options"]
        return opened(self, variant, provider="cpu")

    monkeypatch.setattr(Subject, "open", note)
    monkeypatch.setattr(validation, "_ready", lambda: ["cpu", "qnn", "openvino"])
    edgekit.validate(bundle, provider="all", provider_options={"qnn.soc_model": 69})
    assert (given["cpu"], given["qnn"]["soc_model"]) == ({}, "69")
    assert "soc_model" not in given["openvino"]


def test_float_is_judged_by_what_a_provider_computes_it_in(
    pretend: Any, bundle: Bundle, classifier: Path
) -> None:
    pretend(qnn=lambda variant: classifier)
    found = {v.asked: v.tolerance for v in edgekit.validate(bundle, provider="all").variants}
    assert found == {"cpu": TOLERANCES["fp32"], "qnn": TOLERANCES["fp16"]}


def test_a_ready_provider_that_runs_no_variant_fails(
    pretend: Any, bundle: Bundle, classifier: Path
) -> None:
    pretend(qnn=refuse("placement"))
    report = edgekit.validate(bundle, provider="all")
    assert not report.passed
    assert report.idle == ("qnn",)
    done = CliRunner().invoke(cli, ["validate", str(bundle.path), "--provider", "all"])
    assert "FAILED qnn (placement): it is ready and runs none of the variants." in done.stdout


def test_a_provider_that_answers_otherwise_fails_and_the_others_do_not(
    pretend: Any, tmp_path: Path, bundle: Bundle
) -> None:
    wrong = write_classifier(tmp_path / "wrong.onnx", 2.0)
    pretend(openvino=lambda variant: wrong)
    done = CliRunner().invoke(cli, ["validate", str(bundle.path), "--provider", "all", "--json"])
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert found["providers"] == ["cpu", "openvino"]
    assert [(row["asked"], row["passed"]) for row in found["variants"]] == [
        ("cpu", True), ("openvino", False),
    ]  # fmt: skip
    assert found["variants"][1]["failures"][0]["kind"] == "tolerance"


def test_one_provider_that_was_asked_for_by_name_still_raises(bundle: Bundle) -> None:
    with pytest.raises(ProviderError):
        edgekit.validate(bundle, provider="cuda")
    with pytest.raises(ModelError):
        edgekit.validate(Path("nowhere.onnx"), provider="all")


def test_a_plain_file_is_compared_on_all_providers_with_itself_on_the_cpu(
    pretend: Any, tmp_path: Path, classifier: Path
) -> None:
    wrong = write_classifier(tmp_path / "wrong.onnx", 2.0)
    pretend(openvino=lambda variant: wrong)
    report = edgekit.validate(classifier, provider="all")
    assert [v.passed for v in report.variants] == [True, False]
    assert report.variants[1].checks[0].expected_from == "classifier.onnx on cpu"


def worst(model: Bundle, **options: Any) -> dict[str, bool]:
    variant = edgekit.validate(model, variant="other", worst_case=True, **options).variants[0]
    edges = [check for check in variant.checks if check.inputs != "reference"]
    names = dict.fromkeys(check.inputs for check in edges)
    return {n: all(c.passed or not c.counted for c in edges if c.inputs == n) for n in names}


#: A file that differs from x -> x at some edges only, and the edges that show it.
EDGES: dict[str, tuple[list[Any], dict[str, Any], set[str]]] = {
    "clips": (
        [node("Clip", "x low high", "y")],
        {"low": np.float32(-9), "high": np.float32(9)},
        {"large"},
    ),
    "no negative": ([node("Relu", "x", "y")], {}, {"negative"}),
    "divides": (
        [node("Abs", "x", "size"), node("Div", "x size", "sign"), node("Mul", "sign size", "y")],
        {},
        {"zeros"},
    ),
    "equal": ([node("Add", "x zero", "y")], {"zero": np.float32(0)}, set()),
}


@pytest.mark.parametrize("case", EDGES)
def test_an_edge_input_shows_what_samples_do_not(tmp_path: Path, case: str) -> None:
    nodes, weights, failing = EDGES[case]
    right = rows_model(tmp_path / "right.onnx", [node("Identity", "x", "y")])
    wrong = rows_model(tmp_path / "wrong.onnx", nodes, **weights)
    made = bundle_with(tmp_path / "made", right, wrong)
    assert edgekit.validate(made).passed
    found = worst(made)
    assert {name for name, passed in found.items() if not passed} == failing
    assert worst(made, seed=0) == found


def test_an_int8_variant_may_clip_beyond_its_range_and_it_is_said(tmp_path: Path) -> None:
    nodes, weights, _ = EDGES["clips"]
    right = rows_model(tmp_path / "right.onnx", [node("Identity", "x", "y")])
    made = bundle_with(
        tmp_path / "made", right, rows_model(tmp_path / "w.onnx", nodes, **weights), "int8"
    )
    assert worst(made)["large"]
    done = CliRunner().invoke(cli, ["validate", str(made.path), "--worst-case"])
    assert done.exit_code == 0
    (told,) = [line for line in done.stdout.splitlines() if line.startswith("Worst case: other")]
    assert "large" not in told
    assert "beyond" in done.stdout


def test_where_the_float_file_gives_no_number_nothing_is_counted(tmp_path: Path) -> None:
    nodes, weights, _ = EDGES["divides"]
    divides = rows_model(tmp_path / "divides.onnx", nodes, **weights)
    report = edgekit.validate(bundle_with(tmp_path / "made", divides, divides), worst_case=True)
    assert report.passed
    assert any("zeros" in note and "NaN or infinity" in note for note in report.notes)
    assert "zeros" not in {check.inputs for v in report.variants for check in v.checks}


def test_ids_stay_within_the_vocabulary(text_bundle: Bundle) -> None:
    report = edgekit.validate(text_bundle, worst_case=True)
    assert report.passed
    assert not report.notes
    checks = report.variants[0].checks
    names = {check.inputs for check in checks}
    assert names >= {"seeded", "zeros", "highest", "alternating", "repeated"}
    assert "large" not in names
    assert {(c.batch, c.axes["time"]) for c in checks if c.inputs == "highest"} == {
        (1, 16), (3, 16), (1, 1), (3, 32),
    }  # fmt: skip


def test_the_worst_case_needs_something_to_compare_with(tmp_path: Path, classifier: Path) -> None:
    reference = tmp_path / "made"
    write_bundle(reference, classifier)
    with pytest.raises(FeedError, match="--against"):
        edgekit.validate(classifier, reference=reference / "reference.npz", worst_case=True)
    assert edgekit.validate(classifier, against=classifier, worst_case=True).passed


def test_a_fixed_batch_takes_the_reference_in_batches_of_its_own(bundle: Bundle) -> None:
    report = edgekit.validate(bundle, axes={"batch": 2})
    assert report.passed
    assert list(report.variants[0].outputs) == [2]
    assert TOLERANCES["fp32"] == report.variants[0].tolerance
