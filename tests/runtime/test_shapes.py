"""One session for each set of lengths: on the CPU's row, made to ask for fixed shapes."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgekit
from edgekit.errors import FeedError, ProviderError
from edgekit.runtime import providers, shapes
from edgekit.runtime.placement import Opened, Placement
from edgekit.runtime.session import Plan, open_session
from edgekit.signature import Signature, TensorSpec


def feed(batch: int) -> dict[str, Any]:
    return {"x": np.random.default_rng(batch).normal(size=(batch, 4)).astype(np.float32)}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, int]]:
    """Let the CPU take fixed shapes only, and list the lengths that sessions are opened with."""
    row = dataclasses.replace(providers.PROVIDERS["cpu"], fixed_shapes=True)
    monkeypatch.setitem(providers.PROVIDERS, "cpu", row)
    found: list[dict[str, int]] = []
    real = open_session

    def noted(plan: Any, axes: Any) -> Opened:
        found.append(dict(axes))
        return real(plan, axes)

    monkeypatch.setattr(shapes, "open_session", noted)
    return found


def test_lengths_come_from_the_feeds_and_answers_are_the_same(
    classifier: Path, opened: list[dict[str, int]]
) -> None:
    with edgekit.open(classifier) as runner:
        assert not runner.placement.fixed
        got = {batch: runner.run(feed(batch))["probabilities"] for batch in (1, 3, 1, 5, 3)}
        assert runner.placement.fixed == ({"batch": 1}, {"batch": 5}, {"batch": 3})
        assert runner.signature.inputs[0].shape == ("batch", 4)
    assert opened == [{"batch": 1}, {"batch": 3}, {"batch": 5}]
    assert runner.placement.fixed == ({"batch": 1}, {"batch": 5}, {"batch": 3})
    with edgekit.open(classifier, axes={"batch": 3}) as bare:
        np.testing.assert_allclose(got[3], bare.run(feed(3))["probabilities"], rtol=1e-6)


def test_axes_that_are_given_are_fixed_at_once(
    classifier: Path, opened: list[dict[str, int]]
) -> None:
    with edgekit.open(classifier, axes={"batch": 2}) as runner:
        assert runner.placement.fixed == ({"batch": 2},)
        assert runner.signature.inputs[0].shape == (2, 4)
        with pytest.raises(FeedError, match=r"\(2, 4\)"):
            runner.run(feed(3))
    assert opened == []


def test_the_least_recently_used_lengths_are_let_go(
    classifier: Path, opened: list[dict[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shapes, "LIMIT", 2)
    with edgekit.open(classifier) as runner:
        for batch in (1, 2, 1, 3, 1, 2):
            runner.run(feed(batch))
        assert runner.placement.fixed == ({"batch": 1}, {"batch": 2})
    assert [lengths["batch"] for lengths in opened] == [1, 2, 3, 2]


def test_threads_share_a_session_and_wait_for_its_opening(
    classifier: Path, opened: list[dict[str, int]]
) -> None:
    start = threading.Barrier(8)

    def run(batch: int) -> tuple[int, ...]:
        start.wait()
        shape: tuple[int, ...] = runner.run(feed(batch))["probabilities"].shape
        return shape

    with edgekit.open(classifier) as runner, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, [1, 2] * 4)) == [(1, 3), (2, 3)] * 4
    assert sorted(lengths["batch"] for lengths in opened) == [1, 2]


def test_lengths_that_do_not_open_are_an_error_and_are_tried_again(
    classifier: Path, opened: list[dict[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(plan: Any, axes: Any) -> Opened:
        open_session(plan, axes)
        raise ProviderError("The provider 'x' cannot", "do this", step="placement")

    with edgekit.open(classifier) as runner:
        with monkeypatch.context() as patch:
            patch.setattr(shapes, "open_session", refuse)
            for _ in range(2):
                with pytest.raises(ProviderError, match="do this"):
                    runner.run(feed(1))
        assert not runner.placement.fixed
        assert runner.run(feed(1))["probabilities"].shape == (1, 3)
    assert opened == [{"batch": 1}]


@given(st.lists(st.integers(1, 5), max_size=30), st.integers(1, 4))
def test_the_sessions_held_are_the_last_ones_used(batches: list[int], limit: int) -> None:
    signature = Signature((TensorSpec("x", "float32", ("batch", 4)),), ())
    made: list[int] = []

    def make(plan: Any, axes: Any) -> Opened:
        made.append(axes["batch"])
        session = SimpleNamespace(run=lambda names, feeds: [axes["batch"]])
        return Opened(session, "qnn", Placement({"qnn": 1}))

    plan = Plan(Path("m.onnx"), providers.rows_of("qnn"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "open_session", make)
        patch.setattr(shapes, "LIMIT", limit)
        sessions = shapes.FixedShapes(plan, signature, {})
        held: list[int] = []
        for batch in batches:
            misses = len(made)
            assert sessions.run(["y"], feed(batch)) == [batch]
            assert len(made) - misses == (batch not in held)
            held = [*(each for each in held if each != batch), batch][-limit:]
            assert [axes["batch"] for axes in sessions.opened().placement.fixed] == held


def test_an_axis_that_the_model_does_not_have(classifier: Path) -> None:
    with pytest.raises(FeedError, match="no free axis 'bacth': fix the length of 'batch'"):
        edgekit.open(classifier, axes={"bacth": 1})
