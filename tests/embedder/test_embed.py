"""Writing a project: what is in it, what is refused, and that nothing is left half written."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

import edgekit
from edgekit import files
from edgekit.bundle import Bundle, FileEntry, Variant
from edgekit.cli import cli
from edgekit.embedder.project import Embedded, embed, slug
from edgekit.embedder.targets import TARGETS
from edgekit.errors import BundleError, EdgekitError, EmbedError, ModelError, OutputError
from tests.conftest import LABELS, write_bundle, write_classifier, write_model
from tests.embedder.conftest import KINDS


def stamped(path: Path, *, ir: int = 8, **opsets: int) -> Path:
    """A model with one node, that asks for versions; `ml=3` is version 3 of ai.onnx.ml."""
    domains = {"onnx": "", "ml": "ai.onnx.ml", "contrib": "ai.onnx.contrib", "own": "my.company"}
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2]) for name in ("x", "y")
    ]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", values[:1], values[1:])
    imports = [helper.make_opsetid(domains[key], value) for key, value in opsets.items()]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=ir), path)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", TARGETS)
class TestEveryProject:
    def test_is_whole_and_filled_in(
        self, bundles: dict[str, Bundle], tmp_path: Path, target: str, kind: str
    ) -> None:
        made = embed(bundles[kind], target, tmp_path / "app")
        written = contents(tmp_path / "app")
        assert {name: len(data) for name, data in written.items()} == made.files
        assert made.size_bytes == sum(made.files.values())
        assert {"README.md", "Makefile", "edgekit.json"} <= written.keys()
        assert re.search(rb"^test:", written["Makefile"], re.M)
        for name, data in written.items():
            assert not re.search(rb"\{\{[a-z_]+\}\}", data), name
            assert not re.search(r"(^|/)_[a-z]+_(/|$)", name)

    def test_holds_the_model_and_what_it_answers(
        self, bundles: dict[str, Bundle], tmp_path: Path, target: str, kind: str
    ) -> None:
        made = embed(bundles[kind], target, tmp_path / "app")
        row, written = TARGETS[target], contents(tmp_path / "app")
        by_name = {Path(name).name: data for name, data in written.items()}
        if row.model == "onnx":
            assert by_name["model.onnx"] == (bundles[kind].path / "model.onnx").read_bytes()
        assert f"golden.{row.golden}" in by_name
        assert made.cases == 4
        assert all(output.passed for output in made.outputs)

    def test_is_the_same_when_it_is_written_again(
        self, bundles: dict[str, Bundle], tmp_path: Path, target: str, kind: str
    ) -> None:
        for folder in ("one", "two"):
            embed(bundles[kind], target, tmp_path / folder)
        one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
        assert one.keys() == two.keys()
        # onnxruntime orders what is in a .ort file by its hashes, which change from run to run.
        assert all(one[name] == two[name] for name in one if not name.endswith(".ort"))


def test_the_description_says_what_the_file_says(text_bundle: Bundle, tmp_path: Path) -> None:
    embed(text_bundle, "node", tmp_path / "app")
    spec = json.loads((tmp_path / "app" / "model.json").read_text())
    assert spec["inputs"] == [{"name": "tokens", "dtype": "int32", "shape": ["batch", "time"]}]
    assert spec["labels"] == list(LABELS)
    assert spec["needs"] == {"ir_version": 8, "opsets": {"ai.onnx": 18}}
    assert spec["runtime"] == {"package": "onnxruntime-node", "version": "1.30.0"}
    assert spec["preprocessing"] == text_bundle.manifest.preprocessing


class TestTheFolder:
    def test_that_is_there_is_kept(self, bundle: Bundle, tmp_path: Path) -> None:
        embed(bundle, "python", tmp_path / "app")
        before = contents(tmp_path / "app")
        with pytest.raises(OutputError, match=r"exists already: give --force"):
            embed(bundle, "python", tmp_path / "app")
        assert contents(tmp_path / "app") == before

    def test_of_an_earlier_project_is_replaced_with_force(
        self, bundle: Bundle, tmp_path: Path
    ) -> None:
        embed(bundle, "node", tmp_path / "app")
        embed(bundle, "python", tmp_path / "app", force=True)
        assert (tmp_path / "app" / "pyproject.toml").is_file()
        assert not (tmp_path / "app" / "package.json").exists()

    @pytest.mark.parametrize("force", [False, True])
    def test_of_somebody_else_is_never_replaced(
        self, bundle: Bundle, tmp_path: Path, force: bool
    ) -> None:
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "letter.txt").write_text("dear")
        with pytest.raises(OutputError, match=r"other than a project of edgekit"):
            embed(bundle, "python", tmp_path / "home", force=force)
        assert (tmp_path / "home" / "letter.txt").read_text() == "dear"

    def test_is_not_there_after_a_failure(
        self, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_args: Any, **_options: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("edgekit.embedder.golden.write", fail)
        out = tmp_path / "apps" / "app"
        with pytest.raises(OutputError, match="No space left"):
            embed(bundle, "python", out)
        assert list(out.parent.iterdir()) == []


class TestAModelThatTheRuntimeLacks:
    @pytest.mark.parametrize("target", TARGETS)
    @pytest.mark.parametrize(
        ("asks", "words"),
        [
            ({"onnx": 28}, r"has opset 28 of ai\.onnx and .* opens up to 2\d"),
            ({"onnx": 18, "ir": 14}, r"has IR version 14 and .* opens up to 1\d"),
        ],
        ids=["opset", "ir"],
    )
    def test_is_refused_and_both_are_named(
        self, tmp_path: Path, target: str, asks: dict[str, int], words: str
    ) -> None:
        model = stamped(tmp_path / "new.onnx", **asks)
        with pytest.raises(EmbedError, match=words) as caught:
            embed(model, target, tmp_path / "app")
        assert "new.onnx" in str(caught.value)
        assert TARGETS[target].runtime.package in str(caught.value)
        assert not (tmp_path / "app").exists()

    @pytest.mark.parametrize("target", TARGETS)
    def test_is_written_up_to_the_last_version(self, tmp_path: Path, target: str) -> None:
        runtime = TARGETS[target].runtime
        most = {"onnx": runtime.opsets["ai.onnx"], "ml": runtime.opsets["ai.onnx.ml"]}
        model = stamped(tmp_path / "last.onnx", ir=runtime.ir_version, **most)
        embed(model, target, tmp_path / "app")

    def test_of_another_domain_is_refused(self, tmp_path: Path) -> None:
        model = stamped(tmp_path / "m.onnx", onnx=18, own=1)
        with pytest.raises(EdgekitError, match=r"my\.company"):
            embed(model, "web", tmp_path / "app")

    @pytest.mark.parametrize("target", TARGETS)
    def test_of_onnxruntime_extensions_is_refused(self, tmp_path: Path, target: str) -> None:
        model = stamped(tmp_path / "m.onnx", onnx=18, contrib=1)
        with pytest.raises(EmbedError, match=r"of onnxruntime-extensions, .* without --encoded"):
            embed(model, target, tmp_path / "app")

    def test_with_half_floats_is_refused(self, tmp_path: Path) -> None:
        model = write_model(
            tmp_path / "half.onnx",
            [helper.make_node("Relu", ["x"], ["y"])],
            [("x", TensorProto.FLOAT16, ["batch", 2])],
            [("y", TensorProto.FLOAT16, ["batch", 2])],
        )
        with pytest.raises(EmbedError, match=r"x: float16 .* give a variant with float32"):
            embed(model, "web", tmp_path / "app")

    def test_with_weights_beside_it_goes_where_files_are(self, tmp_path: Path) -> None:
        path = write_classifier(tmp_path / "big.onnx")
        onnx.save_model(
            onnx.load(path), path, save_as_external_data=True, location="w.bin", size_threshold=0
        )
        embed(path, "python", tmp_path / "app")
        assert (tmp_path / "app" / "src" / "big" / "w.bin").is_file()
        with pytest.raises(EmbedError, match="weights in a file of their own"):
            embed(path, "web", tmp_path / "page")


class TestAModelThatIsNotWhatItSays:
    def test_misses_its_golden_vectors(self, bundle: Bundle, tmp_path: Path) -> None:
        path = write_classifier(bundle.path / "model.other.onnx", 5.0)
        changed = bundle.add(Variant("other", FileEntry.of(path), "fp32", "float", 18))
        with pytest.raises(ModelError, match=r"misses its golden vectors .*probabilities"):
            embed(changed, "python", tmp_path / "app", variant="other")
        assert not (tmp_path / "app").exists()

    def test_is_damaged(self, bundle: Bundle, tmp_path: Path) -> None:
        (bundle.path / "model.onnx").write_bytes(b"damaged")
        with pytest.raises(BundleError, match="does not match the sha256"):
            embed(bundle.path, "python", tmp_path / "app")

    def test_is_no_model(self, tmp_path: Path) -> None:
        (tmp_path / "no.onnx").write_bytes(b"no model")
        with pytest.raises(ModelError, match=r"no\.onnx"):
            embed(tmp_path / "no.onnx", "node", tmp_path / "app")

    def test_has_a_name_from_outside(self, bundle: Bundle, tmp_path: Path) -> None:
        hostile = dataclasses.replace(
            bundle.manifest, name="../../x'; </script>", labels=("</script>", "{{name}}", '"')
        )
        files.write_text(bundle.path / files.MANIFEST, hostile.to_json())
        for target in TARGETS:
            made = embed(bundle.path, target, tmp_path / target)
            assert made.name == "x-script"
            names = {Path(name).name for name in made.files}
            page = [p for p in (tmp_path / target).rglob("*") if p.suffix in {".html", ".js"}]
            assert not any("</script>', '" in path.read_text() for path in page)
            assert "model.json" in names


class TestWhichVariant:
    @pytest.fixture
    def quantised(self, bundle: Bundle) -> Bundle:
        path = bundle.path / "model.int8.onnx"
        path.write_bytes((bundle.path / "model.onnx").read_bytes())
        bundle = bundle.add(Variant("int8", FileEntry.of(path), "int8", "static-int8", 18))
        return bundle.record("fp32", "metric", "cpu", 0.98)

    def taken(self, bundle: Bundle, target: str, tmp_path: Path) -> Embedded:
        return embed(bundle, target, tmp_path / "app")

    def timed(self, bundle: Bundle, fp32: float, int8: float, metric: float) -> Bundle:
        bundle = bundle.record("int8", "metric", "cpu", metric)
        for name, value in (("fp32", fp32), ("int8", int8)):
            bundle = bundle.record(name, "latency", "cpu, 1 thread, batch 1", {"p50_ms": value})
        return bundle

    def test_is_the_float_one_where_nothing_was_measured(
        self, quantised: Bundle, tmp_path: Path
    ) -> None:
        assert self.taken(quantised, "python", tmp_path).variant == "fp32"

    @pytest.mark.parametrize(
        ("fp32", "int8", "metric", "variant"),
        [
            (2.0, 1.0, 0.98, "int8"),
            (2.0, 1.0, 0.96, "fp32"),
            (1.0, 2.0, 0.98, "fp32"),
        ],
        ids=["faster and as good", "faster and worse", "slower"],
    )
    def test_is_the_faster_one_that_is_as_good(
        self,
        quantised: Bundle,
        tmp_path: Path,
        fp32: float,
        int8: float,
        metric: float,
        variant: str,
    ) -> None:
        bundle = self.timed(quantised, fp32, int8, metric)
        made = self.taken(bundle, "python", tmp_path)
        assert made.variant == variant
        assert ("p50 1 ms where fp32 takes 2" in made.reason) == (variant == "int8")

    def test_is_never_one_that_failed_its_parity(self, quantised: Bundle, tmp_path: Path) -> None:
        bundle = self.timed(quantised, 2.0, 1.0, 0.98)
        bundle = bundle.record("int8", "parity", "cpu", {"passed": False})
        assert self.taken(bundle, "python", tmp_path).variant == "fp32"

    def test_is_the_quantised_one_where_the_float_one_failed(
        self, quantised: Bundle, tmp_path: Path
    ) -> None:
        bundle = quantised.record("int8", "metric", "cpu", 0.98)
        bundle = bundle.record("fp32", "parity", "cpu", {"passed": False})
        made = self.taken(bundle, "web", tmp_path)
        assert (made.variant, made.reason) == ("int8", "the best that passed is int8")

    def test_is_none_where_all_failed(self, quantised: Bundle, tmp_path: Path) -> None:
        bundle = quantised.record("fp32", "parity", "cpu", {"passed": False})
        with pytest.raises(EmbedError, match="no variant for 'web' that passed its parity"):
            self.taken(bundle, "web", tmp_path)

    def test_is_the_float_one_in_a_browser(self, quantised: Bundle, tmp_path: Path) -> None:
        bundle = self.timed(quantised, 2.0, 1.0, 0.98)
        assert self.taken(bundle, "web", tmp_path).variant == "fp32"

    def test_is_the_one_that_is_named(self, quantised: Bundle, tmp_path: Path) -> None:
        made = embed(quantised, "web", tmp_path / "app", variant="int8")
        assert (made.variant, made.precision, made.reason) == ("int8", "int8", "as asked")

    def test_is_the_file_that_is_named(self, quantised: Bundle, tmp_path: Path) -> None:
        made = embed(quantised.path / "model.int8.onnx", "web", tmp_path / "app")
        assert made.variant == "int8"

    def test_is_not_one_that_a_provider_compiled(self, quantised: Bundle, tmp_path: Path) -> None:
        entry = FileEntry.of(quantised.path / "model.int8.onnx")
        bundle = quantised.add(Variant("npu", entry, "fp32", "qnn", 18, provider="qnn"))
        with pytest.raises(EmbedError, match="'npu' was compiled for 'qnn'"):
            embed(bundle, "python", tmp_path / "app", variant="npu")
        assert self.taken(bundle, "python", tmp_path).variant == "fp32"


class TestAPlainFile:
    def test_gets_golden_vectors_of_its_own(self, classifier: Path, tmp_path: Path) -> None:
        made = embed(classifier, "node", tmp_path / "app")
        golden = json.loads((tmp_path / "app" / "golden.json").read_text())
        assert made.variant is None
        assert [output.max_abs_error for output in made.outputs] == [0.0]
        (case, *_) = golden["cases"]
        assert case["inputs"][0]["shape"] == [1, 4]

    def test_may_have_a_name_of_its_own(self, classifier: Path, tmp_path: Path) -> None:
        made = embed(classifier, "python", tmp_path / "app", name="My Digits 2!")
        assert made.name == "my-digits-2"
        assert (tmp_path / "app" / "src" / "my_digits_2" / "model.onnx").is_file()

    def test_without_a_batch_is_one_case(self, tmp_path: Path) -> None:
        model = write_model(
            tmp_path / "vector.onnx",
            [helper.make_node("Relu", ["x"], ["y"])],
            [("x", TensorProto.FLOAT, [3])],
            [("y", TensorProto.FLOAT, [3])],
        )
        assert embed(model, "node", tmp_path / "app").cases == 1


@given(st.text(max_size=100))
@settings(max_examples=200, deadline=None)
def test_a_name_is_one_for_packages_and_code(name: str) -> None:
    made = slug(name)
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", made)
    assert len(made) <= 66
    assert made.replace("-", "_").isidentifier()
    assert slug(made) == made


@pytest.mark.parametrize("name", ["json", "class", "numpy", "7up", ""])
def test_a_name_that_is_taken_gets_another_word(name: str) -> None:
    assert slug(name).startswith("model")


def test_an_unknown_target_is_a_mistake_of_the_program(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one of python"):
        edgekit.embed(bundle, "toaster", tmp_path / "app")


class TestTheCommand:
    def run(self, *args: str | Path) -> Any:
        return CliRunner().invoke(cli, ["embed", *map(str, args)])

    def test_says_what_it_wrote(self, bundle: Bundle, tmp_path: Path) -> None:
        done = self.run(bundle.path, "--target", "web", "--out", tmp_path / "app")
        assert done.exit_code == 0, done.stderr
        assert "tiny for web" in done.stdout
        assert "onnxruntime-web 1.30.0" in done.stdout
        assert "passed" in done.stdout

    def test_gives_json(self, bundle: Bundle, tmp_path: Path) -> None:
        done = self.run(bundle.path, "--target", "node", "--out", tmp_path / "app", "--json")
        found = json.loads(done.stdout)
        assert found["target"] == "node"
        assert found["outputs"][0]["passed"] is True
        assert found["files"]["model.onnx"] == found["model_size_bytes"]

    @pytest.mark.parametrize(
        ("args", "code", "words"),
        [
            (["--target", "toaster", "--out", "app"], 2, "toaster"),
            (["--out", "app"], 2, "--target"),
            (["--target", "web"], 2, "--out"),
        ],
        ids=["unknown target", "no target", "no folder"],
    )
    def test_refuses_what_is_no_request(
        self, bundle: Bundle, args: list[str], code: int, words: str
    ) -> None:
        done = self.run(bundle.path, *args)
        assert done.exit_code == code
        assert words in done.stderr

    def test_says_an_expected_error_in_a_sentence(self, tmp_path: Path) -> None:
        model = stamped(tmp_path / "new.onnx", onnx=28)
        done = self.run(model, "--target", "web", "--out", tmp_path / "app")
        assert done.exit_code == 3
        assert done.stderr.startswith("Error: The model ")


def test_a_reference_of_another_shape_is_named(bundle: Bundle, tmp_path: Path) -> None:
    other = write_bundle(
        tmp_path / "artifacts" / "wide",
        write_model(
            tmp_path / "wide.onnx",
            [helper.make_node("MatMul", ["x", "w"], ["y"])],
            [("x", TensorProto.FLOAT, ["batch", 6])],
            [("y", TensorProto.FLOAT, ["batch", 2])],
            w=np.ones((6, 2), np.float32),
        ),
    )
    data = bundle.manifest.data | {"reference": other.manifest.data["reference"]}
    (bundle.path / "reference.npz").write_bytes((other.path / "reference.npz").read_bytes())
    mixed = Bundle(bundle.path, dataclasses.replace(bundle.manifest, data=data))
    with pytest.raises(EdgekitError, match=r"'x' has shape .*6"):
        embed(mixed, "node", tmp_path / "app")
