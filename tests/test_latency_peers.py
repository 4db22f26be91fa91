"""Peers of a bundle: run on its weights, checked before they are timed, found by its manifest."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from edgekit.bundle import Bundle
from edgekit.cli import cli
from edgekit.cli.bench import PEERS as NAMED
from edgekit.errors import BundleError, SourceError
from edgekit.latency import benchmark, engines, peers
from edgekit.report.text.latency import latency as text


def test_the_command_the_help_and_the_engines_name_the_same_peers() -> None:
    assert tuple(peers.PEERS) == NAMED == tuple(engines.ENGINES)


def test_an_unknown_peer_is_a_mistake_in_the_program(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="peers are tf2onnx, litert"):
        benchmark(bundle, compare=["tflite"])


def test_only_a_bundle_has_peers(classifier: Path) -> None:
    with pytest.raises(BundleError, match="is no bundle"):
        benchmark(classifier, compare=["keras"])


def test_a_peer_that_is_not_installed_is_named(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engines.ENGINES, "openvino", (engines.openvino, "openvino.none"))
    monkeypatch.setattr("edgekit.errors.EXTRA_OF", {"openvino": "peers"})
    report = benchmark(bundle, compare=["openvino"], duration_s=0.05)
    (peer,) = report.unranked
    assert "pip install 'edgekit-onnx[peers]'" in peer.reason
    assert [result.engine for result in report.results] == ["edgekit"]
    assert any(str(line).startswith("Not ranked: openvino: The package") for line in text(report))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A `.keras` file and the bundle that was exported from it."""
    import keras

    import edgekit

    folder = tmp_path_factory.mktemp("peers")
    keras.utils.set_random_seed(0)
    series = keras.Input((6, 4), name="series")
    scale = keras.Input((3,), name="scale")
    hidden = keras.layers.Dense(8, activation="relu")(keras.layers.Flatten()(series))
    y = keras.layers.Dense(3, activation="softmax", name="y")(
        keras.layers.Concatenate()([hidden, scale])
    )
    source = folder / "small.keras"
    keras.Model([series, scale], [y, keras.layers.Dense(2, name="z")(hidden)]).save(source)
    edgekit.export(str(source), folder / "small")
    return source, folder / "small"


@pytest.mark.keras
def test_each_runs_the_same_weights_and_is_ranked(made: tuple[Path, Path]) -> None:
    names = ["tf2onnx", "litert", "openvino", "keras"]
    report = benchmark(made[1], compare=names, threads=(1, 2), batch=2, duration_s=0.05)
    engines_ = [result.engine for result in report.results]
    assert engines_[:4] == ["edgekit", "edgekit", "tf2onnx", "tf2onnx"]
    assert engines_[-2:] == ["keras", "keras"]
    assert [ratio.engine for ratio in report.ratios] == engines_[1:]
    for result in report.results:
        assert (result.batch, result.model, result.fallback) == (2, str(made[1]), None)
        assert result.size_bytes > 0
    # LiteRT and OpenVINO are not installed everywhere; where they are, they answer right.
    assert all("is not installed" in peer.reason for peer in report.unranked)
    assert len(set(engines_)) + len(report.unranked) == 1 + len(names)


@pytest.mark.keras
def test_one_that_answers_wrong_is_named_and_not_ranked(
    made: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgekit.exporter import peers as converters

    def wrong(source: Any, feeds: Any, folder: Path) -> Path:
        first = source.model.get_layer("y")
        kernel, bias = first.get_weights()
        first.set_weights([kernel, np.flip(bias) + np.array([0, 0.5, 1])])
        return converters.write_tf2onnx(source, feeds, folder)

    def broken(source: Any, feeds: Any, folder: Path) -> Path:
        raise RuntimeError("no kernel for this\nand more")

    monkeypatch.setitem(converters.WRITERS, "tf2onnx", wrong)
    monkeypatch.setitem(converters.WRITERS, "keras", broken)
    report = benchmark(made[1], compare=["keras", "tf2onnx"], duration_s=0.05)
    reasons = {peer.engine: peer.reason for peer in report.unranked}
    assert "it answers wrong in 'y': " in reasons["tf2onnx"]
    assert reasons["keras"] == "it cannot be converted (RuntimeError: no kernel for this)"
    assert len(report.results) == 1


@pytest.mark.keras
def test_the_command_says_it(made: tuple[Path, Path]) -> None:
    args = ["bench", str(made[1]), "--compare", "tf2onnx", "--duration", "0.05", "--json"]
    result = CliRunner().invoke(cli, args)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [row["engine"] for row in found["results"]] == ["edgekit", "tf2onnx"]


@pytest.mark.keras
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"kind": "object"}, "exported from a model object in Python, which cannot be loaded"),
        ({"kind": "file", "name": "gone.keras"}, "is not at 'gone.keras' or "),
        ({"kind": "file", "name": "small.keras", "sha256": "00"}, "with sha256 00 is not at"),
        ({"kind": "named", "name": "cnn"}, "is not at 'artifacts/cnn.keras'"),
        ({"kind": "factory", "name": "none.at:all"}, "cannot be imported"),
        (
            {"kind": "factory", "name": "tests.test_latency_peers:other_weights"},
            "does not give the answers in the reference of",
        ),
    ],
    ids=str,
)
def test_a_source_that_is_not_the_bundles(
    made: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    source: dict[str, Any],
    message: str,
) -> None:
    bundle = Bundle.open(made[1])
    changed = dataclasses.replace(bundle.manifest, source=source)
    monkeypatch.setattr(Bundle, "open", lambda path: Bundle(bundle.path, changed))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=message):
        benchmark(made[1], compare=["keras"], duration_s=0.05)


@pytest.mark.keras
def test_a_source_can_be_given(made: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Bundle.open(made[1])
    changed = dataclasses.replace(bundle.manifest, source={"kind": "object"})
    monkeypatch.setattr(Bundle, "open", lambda path: Bundle(bundle.path, changed))
    report = benchmark(made[1], compare=["keras"], source=made[0], duration_s=0.05)
    assert [result.engine for result in report.results] == ["edgekit", "keras"]


def other_weights() -> Any:
    """The model of the tests with weights of its own."""
    import keras

    keras.utils.set_random_seed(1)
    series, scale = keras.Input((6, 4), name="series"), keras.Input((3,), name="scale")
    hidden = keras.layers.Dense(8, activation="relu")(keras.layers.Flatten()(series))
    y = keras.layers.Dense(3, activation="softmax", name="y")(
        keras.layers.Concatenate()([hidden, scale])
    )
    return keras.Model([series, scale], [y, keras.layers.Dense(2, name="z")(hidden)])
