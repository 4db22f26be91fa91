"""The search on measurements that are made up: order, budget, front, and what wins."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import ModelError, ProviderError, QuantizeError
from edgekit.tuner.budget import Budget
from edgekit.tuner.candidates import Refinement, Space
from edgekit.tuner.ledger import Ledger
from edgekit.tuner.remembering import Remembering
from edgekit.tuner.results import Candidate, Goal, Quality, Speed, Trial, front
from edgekit.tuner.search import Outcome, search
from tests.tuner.fakes import Clock, Fake

ENTROPY = (("method", "entropy"),)
SPACE = Space(
    recipes=("static", "dynamic"),
    refinements={"static": (Refinement(ENTROPY), Refinement((("form", "s8s8"),), kernels=True))},
    excludable=("static", "dynamic"),
    threads=(1, 2),
    optimizations=("all", "basic"),
)
LATENCY = Goal("latency", "accuracy", max_drop=0.01, min_sqnr_db=None)
SIZE = Goal("size", "accuracy", max_drop=0.01, min_sqnr_db=None)
LAYERS = tuple((f"layer{i}", 20.0 + i) for i in range(8))


def run(
    fake: Fake,
    ledger: Path,
    *,
    goal: Goal = LATENCY,
    space: Space = SPACE,
    seconds: float = 1e6,
) -> Outcome:
    budget = Budget(seconds, fake.clock)
    return search(space, goal, Remembering(fake, Ledger(ledger, {}), budget), budget)


def names(outcome: Outcome) -> list[str]:
    return [str(trial.candidate) for trial in outcome.trials]


def by_recipe(**values: float) -> Any:
    return lambda candidate: values.get(candidate.recipe, 1.0)


def test_the_same_measurements_give_the_same_order_and_winner(tmp_path: Path) -> None:
    runs = []
    for number in range(2):
        fake = Fake(ratio=by_recipe(static=0.5, dynamic=0.8), layers=LAYERS)
        runs.append((run(fake, tmp_path / f"{number}.jsonl"), fake.asked))
    assert runs[0] == runs[1]
    outcome = runs[0][0]
    assert names(outcome)[:3] == ["float", "static", "dynamic"]
    assert str(outcome.winner) == "static"
    assert outcome.reason.startswith("static is the fastest that keeps the accuracy, 2.00x")


def test_a_search_has_all_stages_and_the_finalists_are_timed_in_one_run(tmp_path: Path) -> None:
    fake = Fake(ratio=by_recipe(static=0.5, dynamic=0.8), layers=LAYERS)
    outcome = run(fake, tmp_path / "ledger.jsonl")
    stages = [stage for stage, _ in itertools.groupby(trial.stage for trial in outcome.trials)]
    assert stages == ["float", "recipes", "methods", "exclusions", "settings"]
    assert "static, entropy" in names(outcome)
    assert "static, s8s8" in names(outcome)
    assert "float, 2 threads" in names(outcome)
    last = [name for kind, name in fake.asked if kind == "speed"][-4:]
    assert last[0] == "float"
    assert "static" in last


@pytest.mark.parametrize(
    ("ratio", "spread", "winner", "reason"),
    [
        pytest.param(0.5, 0.01, "static", "static is the fastest", id="faster"),
        pytest.param(0.95, 0.01, "static", "static is the fastest", id="a little faster"),
        pytest.param(0.95, 0.05, "float", "faster by its whole interval", id="noise"),
        pytest.param(0.99, 0.001, "float", "faster by its whole interval", id="nearly the same"),
        pytest.param(1.5, 0.01, "float", "faster by its whole interval", id="slower"),
    ],
)
def test_float_is_kept_unless_the_whole_interval_is_faster(
    tmp_path: Path, ratio: float, spread: float, winner: str, reason: str
) -> None:
    fake = Fake(ratio=by_recipe(static=ratio), spread=spread)
    outcome = run(fake, tmp_path / "ledger.jsonl")
    assert str(outcome.winner) == winner
    assert reason in outcome.reason


def test_what_loses_too_much_does_not_win(tmp_path: Path) -> None:
    fake = Fake(
        metric=lambda candidate: 0.9 if candidate.recipe == "float" else 0.8,
        ratio=by_recipe(static=0.3, dynamic=0.3),
    )
    outcome = run(fake, tmp_path / "ledger.jsonl")
    assert str(outcome.winner) == "float"
    assert outcome.reason == "float is kept: nothing that was tried keeps the accuracy"


@pytest.mark.parametrize(
    ("drop", "wins"), [(0.0, True), (0.01, True), (0.011, False)], ids=["none", "all", "more"]
)
def test_the_drop_that_is_allowed(tmp_path: Path, drop: float, wins: bool) -> None:
    fake = Fake(
        metric=lambda candidate: 0.9 if candidate.recipe == "float" else 0.9 - drop,
        ratio=by_recipe(static=0.3),
    )
    assert (str(run(fake, tmp_path / "l").winner) == "static") is wins


def test_without_labels_the_sqnr_decides(tmp_path: Path) -> None:
    goal = Goal("latency", None, max_drop=0.0, min_sqnr_db=30.0)
    fake = Fake(
        metric=lambda candidate: None,
        sqnr=lambda candidate: 25.0 if candidate.recipe == "static" else 35.0,
        ratio=by_recipe(static=0.3, dynamic=0.6),
    )
    assert str(run(fake, tmp_path / "l", goal=goal).winner) == "dynamic"


def test_layers_are_left_in_float_until_the_goal_allows_it(tmp_path: Path) -> None:
    def metric(candidate: Candidate) -> float:
        return 0.9 if candidate.recipe != "static" or "layer2" in candidate.exclude else 0.5

    fake = Fake(metric=metric, ratio=by_recipe(static=0.5), layers=LAYERS)
    outcome = run(fake, tmp_path / "ledger.jsonl")
    mended = [t.candidate for t in outcome.trials if t.candidate.recipe == "static"]
    tried = [len(candidate.exclude) for candidate in mended if not candidate.options]
    assert sorted(set(tried)) == [0, 1, 2, 4]
    assert outcome.winner.exclude == ("layer0", "layer1", "layer2", "layer3")
    assert outcome.rankings["static"] == list(LAYERS)


def test_the_most_accurate_calibration_is_what_layers_are_excluded_from(tmp_path: Path) -> None:
    def metric(candidate: Candidate) -> float:
        return 0.9 if candidate.recipe != "static" or candidate.options == ENTROPY else 0.8

    fake = Fake(metric=metric, ratio=by_recipe(static=0.5), layers=LAYERS)
    outcome = run(fake, tmp_path / "ledger.jsonl")
    assert str(outcome.winner) == "static, entropy"
    assert "static, entropy, 1 layer in float" in names(outcome)


def test_a_calibration_that_is_no_better_is_not_timed(tmp_path: Path) -> None:
    fake = Fake(ratio=by_recipe(static=0.5))
    outcome = run(fake, tmp_path / "ledger.jsonl")
    (trial,) = (t for t in outcome.trials if str(t.candidate) == "static, entropy")
    assert trial.speed is None
    assert trial.reason == "not timed: no more accurate than static"
    assert ("speed", "static, s8s8") in fake.asked


def test_the_smallest_wins_where_size_is_asked_for(tmp_path: Path) -> None:
    fake = Fake(
        size=lambda candidate: {"static": 300, "dynamic": 200}.get(candidate.recipe, 1000),
        ratio=by_recipe(static=0.5, dynamic=3.0),
    )
    outcome = run(fake, tmp_path / "ledger.jsonl", goal=SIZE)
    assert str(outcome.winner) == "dynamic"
    assert outcome.reason == "dynamic is the smallest that keeps the accuracy (5.00x smaller)"
    assert not [trial for trial in outcome.trials if trial.stage == "settings"]


def test_nothing_is_smaller(tmp_path: Path) -> None:
    fake = Fake(size=lambda candidate: 1000)
    outcome = run(fake, tmp_path / "ledger.jsonl", goal=SIZE)
    assert outcome.reason == "float is kept: nothing that keeps the accuracy is smaller"


def threads_help(candidate: Candidate) -> float:
    return {"float": 1.0, "static": 0.6}.get(candidate.recipe, 1.0) / candidate.threads


@pytest.mark.parametrize(
    ("of_static", "winner"),
    [
        pytest.param(0.6, "static, 2 threads", id="static is faster than that"),
        pytest.param(0.98, "float, 2 threads", id="static is not"),
    ],
)
def test_a_winner_beats_float_at_the_best_settings_of_float(
    tmp_path: Path, of_static: float, winner: str
) -> None:
    fake = Fake(
        ratio=lambda c: (of_static if c.recipe == "static" else 1.0) / c.threads,
    )
    outcome = run(fake, tmp_path / "ledger.jsonl")
    assert str(outcome.winner) == winner
    assert ("float is kept" in outcome.reason) is winner.startswith("float")


@pytest.mark.parametrize("error", [QuantizeError, ModelError])
def test_a_recipe_that_does_not_apply_is_a_row_with_a_reason(
    tmp_path: Path, error: type[Exception]
) -> None:
    refusal = QuantizeError("no weights") if error is QuantizeError else ModelError("no weights")
    fake = Fake(errors={("quality", "static"): refusal}, ratio=by_recipe(dynamic=0.5))
    outcome = run(fake, tmp_path / "ledger.jsonl")
    (trial,) = (t for t in outcome.trials if str(t.candidate) == "static")
    assert (trial.quality, trial.reason) == (None, "no weights")
    assert str(outcome.winner) == "dynamic"


def test_a_candidate_that_crashes_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    fake = Fake(errors={("speed", "static"): ModelError("crashed")}, ratio=by_recipe(dynamic=0.5))
    outcome = run(fake, tmp_path / "ledger.jsonl")
    trials = {str(trial.candidate): trial for trial in outcome.trials}
    assert trials["static"].reason == "crashed"
    assert trials["dynamic"].speed is not None
    assert str(outcome.winner) == "dynamic"


@pytest.mark.parametrize("kind", ["quality", "speed"])
def test_float_that_cannot_be_measured_is_an_error(tmp_path: Path, kind: str) -> None:
    error = ProviderError("no device", "find one", step="device")
    fake = Fake(errors={(kind, "float"): error})
    with pytest.raises(ProviderError, match="no device"):
        run(fake, tmp_path / "ledger.jsonl")


COSTS = st.floats(0.01, 5)


@given(seconds=st.floats(1, 120), quality=COSTS, lane=COSTS, ranking=COSTS)
@settings(deadline=None, max_examples=30)
def test_the_budget_is_kept_but_for_the_first_of_a_kind(
    tmp_path_factory: pytest.TempPathFactory,
    seconds: float,
    quality: float,
    lane: float,
    ranking: float,
) -> None:
    fake = Fake(
        ratio=by_recipe(static=0.5, dynamic=0.8),
        layers=LAYERS,
        quality_s=quality,
        lane_s=lane,
        ranking_s=ranking,
    )
    outcome = run(fake, tmp_path_factory.mktemp("l") / "ledger.jsonl", seconds=seconds)
    of_float = quality + lane + 1.0
    # A kind of which none was made yet has an unknown cost.
    assert fake.clock.now <= max(seconds, of_float) + max(quality, ranking) + 1e-6
    if fake.clock.now > seconds:
        assert outcome.cut or str(outcome.winner) != "float"


def test_a_budget_that_is_too_short_says_what_was_left_out(tmp_path: Path) -> None:
    fake = Fake(ratio=by_recipe(static=0.5), quality_s=1, lane_s=1)
    outcome = run(fake, tmp_path / "ledger.jsonl", seconds=4)
    assert outcome.cut
    assert str(outcome.winner) == "float"


def test_a_long_budget_cuts_nothing(tmp_path: Path) -> None:
    assert run(Fake(layers=LAYERS), tmp_path / "ledger.jsonl").cut == ()


def test_progress_tells_the_share_of_the_time(tmp_path: Path) -> None:
    fake, shown = Fake(), []
    budget = Budget(10, fake.clock)
    measures = Remembering(fake, Ledger(tmp_path / "l", {}), budget)
    search(SPACE, LATENCY, measures, budget, lambda done, text: shown.append((done, text)))
    parts = [done for done, _ in shown]
    assert parts == sorted(parts)
    assert parts[0] == 0
    assert 0 < parts[-1] <= 1
    assert shown[0][1] == "float: what it answers"


def trial(metric: float, ratio: float, size: int, number: int = 0) -> Trial:
    speed = Speed(1.0, ratio, (ratio, ratio), "", 1.0, 1.0)
    candidate = Candidate(f"recipe{number}")
    return Trial(candidate, "recipes", Quality(metric, 0.0, size, ""), speed)


TRIALS = st.lists(
    st.builds(
        trial,
        st.sampled_from([0.5, 0.6, 0.7]),
        st.floats(0.2, 2),
        st.integers(1, 4),
        st.integers(0, 10**6),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda one: one.candidate,
)


@given(trials=TRIALS)
@settings(deadline=None)
def test_the_front_holds_the_best_of_each_and_nothing_worse_in_all(trials: list[Trial]) -> None:
    found = front(trials, LATENCY)
    assert found

    def values(one: Trial) -> tuple[float, float, float]:
        assert one.quality is not None
        assert one.speed is not None
        return -(one.quality.metric or 0), one.speed.ratio, one.quality.size_bytes

    rows = {one.candidate: values(one) for one in trials}
    for candidate, row in rows.items():
        beaten = any(
            all(a < b for a, b in zip(other, row, strict=True)) and other[1] < row[1] * 0.97
            for other in rows.values()
        )
        assert not (beaten and candidate in found)
    fastest = min(rows.values(), key=lambda row: row[1])
    assert any(rows[candidate][1] <= fastest[1] * 1.04 for candidate in found)


def test_what_is_not_timed_is_not_on_the_front() -> None:
    untimed = Trial(Candidate("other"), "recipes", Quality(1.0, 0.0, 1, ""))
    timed = trial(0.5, 1.0, 100)
    assert front([untimed, timed], LATENCY) == {timed.candidate}


def test_a_second_search_measures_nothing_again(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    first = run(Fake(ratio=by_recipe(static=0.5), layers=LAYERS), ledger)
    fake = Fake(ratio=by_recipe(static=0.5), layers=LAYERS, clock=Clock(100.0))
    second = run(fake, ledger)
    assert fake.asked == []
    assert second == first


def test_a_refusal_is_remembered(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    errors = {("quality", "static"): QuantizeError("no weights")}
    first = run(Fake(errors=dict(errors)), ledger)
    fake = Fake()
    assert run(fake, ledger) == first
    assert fake.asked == []


def test_a_longer_timing_is_made_anew(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    run(Fake(), ledger, seconds=60)
    fake = Fake()
    run(fake, ledger, seconds=600)
    assert {kind for kind, _ in fake.asked} == {"speed"}
