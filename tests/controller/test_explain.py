"""``quietcell explain``: what it says of a decision is what a full replay decides, and its questions are forgiving."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from controller.cli import app
from controller.errors import PolicyError
from controller.explain.document import explanation
from controller.explain.place import find_cell, find_tick, parse_moment
from controller.explain.rerun import rerun
from controller.foreign import find_policy
from controller.replay.planners import KNOWN
from controller.replay.run import PolicyRun, run_policy
from controller.replay.stage import Stage, quiet
from policies.policy import REASON_WORDS, Reason
from tests.controller.documented import install_example
from tests.controller.stepwise import Stepwise, model
from traces import Trace, TraceError
from traces.writers.tidy import write_tidy


def full(policy: str, stage: Stage) -> PolicyRun:
    return run_policy(policy, stage, keep=np.ones(stage.task.trace.n_cells, np.bool_))


def assert_explained_as_replayed(policy: str, stage: Stage, cells: list[int], ticks: list[int]) -> None:
    run, task, order = full(policy, stage), stage.task, stage.order.tolist()
    assert run.series is not None
    level, reason = np.concatenate(run.series.level), np.concatenate(run.series.reason)
    upper = np.concatenate(run.series.upper) if run.series.upper else None
    names = task.world.world.level_names
    for cell in cells:
        row = order.index(cell)
        for tick in ticks:
            found = rerun(policy, task, cell, tick, quiet)
            made = explanation(policy, task, found)
            assert found.level.tolist() == level[row, : len(found.level)].tolist()
            decision = made["decision"]
            assert decision["level"] == names[level[row, tick]]
            assert decision["reason"] == REASON_WORDS[Reason(reason[row, tick])]
            if upper is not None and np.isfinite(upper[row, tick]):
                assert made["counterfactual"]["upper"] == upper[row, tick]
                assert made["forecast"]["load"][1][0] == upper[row, tick]
            later = np.flatnonzero(level[row, tick:] != level[row, tick])
            then = names[level[row, tick + later[0]]] if len(later) and later[0] <= 96 else None
            assert decision["then"] == then
            for one in made["group"]:
                other = order.index(int(np.flatnonzero(task.trace.cells.cell_id == one["cell_id"])[0]))
                assert one["level"] == names[level[other, tick]]


@pytest.mark.parametrize("policy", ["predictive", "threshold"])
@pytest.mark.parametrize("guard", [False, True])
def test_it_says_what_a_full_replay_decides(
    policy: str, guard: bool, make_stage: Callable[..., Stage], multi_layer: Trace
) -> None:
    stage = make_stage(multi_layer, guard=guard)
    assert_explained_as_replayed(policy, stage, [0, 4, 8], [0, 1, 77, 120, stage.clock.n_ticks - 1])


def test_a_plug_in_is_explained_in_what_it_was_replayed_in(
    make_stage: Callable[..., Stage],
    multi_layer: Trace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    policy = find_policy(install_example(tmp_path), KNOWN)
    stage = make_stage(multi_layer, foreign={policy.name: policy})
    assert_explained_as_replayed(policy.name, stage, [2], [80])
    assert rerun(policy.name, stage.task, 2, 80, quiet).n_replayed == multi_layer.n_cells


def test_with_a_model_it_replays_what_the_model_learns_from(
    make_stage: Callable[..., Stage], multi_layer: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.replay.planning.StepForecaster", Stepwise)
    half = str(multi_layer.start + np.timedelta64(24, "h")) + "Z"
    stage = make_stage(multi_layer, model=model(trained_until=half))
    assert_explained_as_replayed("predictive", stage, [1], [150])
    assert rerun("predictive", stage.task, 1, 150, quiet).n_replayed == multi_layer.n_cells


def test_only_what_the_cell_depends_on_is_replayed(
    make_stage: Callable[..., Stage], multi_layer: Trace
) -> None:
    task = make_stage(multi_layer).task
    found = rerun("predictive", task, 4, 3, quiet)
    site = multi_layer.cells.site_id[4]
    assert found.n_replayed == (multi_layer.cells.site_id == site).sum() < multi_layer.n_cells


def test_the_guard_loop_of_the_tick_is_told(make_stage: Callable[..., Stage], multi_layer: Trace) -> None:
    stage = make_stage(multi_layer, guard=True)
    planned = full("predictive", stage)
    assert planned.series is not None
    from controller.replay.run import plans_of

    (plan,) = plans_of("predictive", stage)
    assert plan.served is not None
    per_tick = stage.clock.per_tick
    woken = plan.served < np.repeat(plan.plan, per_tick, axis=1)
    by_tick = woken.reshape(len(woken), -1, per_tick).sum(2)
    cell, tick = np.unravel_index(by_tick.argmax(), by_tick.shape)
    made = explanation("predictive", stage.task, rerun("predictive", stage.task, int(cell), int(tick), quiet))
    assert made["came"]["guard_loop_woken_s"] == by_tick.max() * 60 > 0
    samples = woken[cell, tick * per_tick : (tick + 1) * per_tick]
    starts = (np.diff(samples.astype(int), prepend=0) > 0).sum()
    assert len(made["came"]["guard_loop_wakes"]) == starts > 0


def test_the_levels_are_weighed_and_a_guard_is_named(small_trace: Any, make_stage: Any) -> None:
    """A cell alone at constant load whose telemetry is lost for two hours."""
    load = np.full((2, 96), 0.1)
    load[0, 40:48] = np.nan
    stage = make_stage(small_trace(load))
    made = explanation("predictive", stage.task, rerun("predictive", stage.task, 0, 42, quiet))
    assert made["decision"]["level"] == "symbol"
    assert made["decision"]["guard"] == REASON_WORDS[Reason.GUARD_TELEMETRY]
    assert made["decision"]["wanted"] != "symbol"
    assert made["came"]["mean"] is None
    rows = {row["level"]: row for row in made["levels"]}
    assert rows["symbol"]["verdict"] == "chosen"
    assert rows[made["decision"]["wanted"]]["verdict"].startswith("wanted; guard: telemetry")
    assert rows["deep_dormancy"]["verdict"] == "not for this cell"
    assert made["counterfactual"]["deeper"]["level"] == "rf_channel_32"
    before = explanation("predictive", stage.task, rerun("predictive", stage.task, 0, 38, quiet))
    weighed = before["counterfactual"]
    assert weighed["upper"] < weighed["limit"]
    assert weighed["saving"] > 0
    assert weighed["saving_wh"] is None, "this world knows no W"
    power = {row["level"]: row["power"] for row in before["levels"]}
    chosen = before["decision"]["level"]
    assert weighed["saving"] == pytest.approx((power["symbol"] - power[chosen]) / 4, rel=1e-5)


def call(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["explain", *map(str, args)])


@pytest.fixture(scope="module")
def city(single_layer: Trace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("networks") / "city"
    write_tidy(single_layer, folder)
    return folder


def test_a_level_that_epsilon_bars_says_so(small_trace: Any, make_stage: Any) -> None:
    task = make_stage(small_trace(np.full((1, 192), 0.36))).task
    made = explanation("predictive", task, rerun("predictive", task, 0, 180, quiet))
    rows = {row["level"]: row for row in made["levels"]}
    assert rows["rf_channel_8"]["over"] > task.profile.predictive.epsilon
    assert rows["rf_channel_8"]["verdict"] == "likelier over its limit than epsilon, 0.03"
    bold = replace(task, profile=task.profile.with_epsilon(0.4))
    made = explanation("predictive", bold, rerun("predictive", bold, 0, 180, quiet))
    assert "epsilon" not in str([row["verdict"] for row in made["levels"]])


def test_the_command_prints_text_and_json(city: Path, single_layer: Trace) -> None:
    cell, time = str(single_layer.cells.cell_id[1]), f"{single_layer.start + np.timedelta64(30, 'h')}Z"
    printed = call(cell, time, city, "--guard", "--world", "earth-macro")
    assert printed.exit_code == 0, printed.output
    for words in (
        f"{cell}, coverage cell",
        "Decision: ",
        " Wh against symbol",
        "verdict",
        "What came",
        "Guard loop",
    ):
        assert words in printed.stdout, words
    document = json.loads(call(cell, time, city, "--json").stdout)
    assert document["schema"] == "quietcell.explanation/1"
    assert document["tick"]["begin"] == time.replace("Z", "") + "Z"
    assert [row["level"] for row in document["levels"]][:2] == ["symbol", "rf_channel_32"]
    assert document["decision"]["since"] <= document["tick"]["begin"]


@pytest.mark.parametrize(
    ("cell", "time", "more", "words"),
    [
        ("NOWHERE", "2025-03-03 10:00", (), "there is no cell 'NOWHERE'; its 6 cells are"),
        ("", "yesterday", (), "'yesterday' is no time; write '2023-03-01 02:15' in local time"),
        ("", "1999-01-01 00:00", (), "is outside the trace, which runs from"),
        ("", "", ("--policy", "oracle"), "does not decide tick by tick; explain one of timer"),
        ("", "", ("--policy", "timr"), "'timr' is no policy"),
    ],
)
def test_wrong_questions_are_answered_with_the_way_out(
    cell: str, time: str, more: tuple[str, ...], words: str, city: Path, single_layer: Trace
) -> None:
    cell = cell or str(single_layer.cells.cell_id[0])
    result = call(cell, time or f"{single_layer.start}Z", city, *more)
    assert result.exit_code == 2
    assert words in result.output


def test_a_typo_in_a_cell_gets_near_matches(single_layer: Trace) -> None:
    name = str(single_layer.cells.cell_id[2])
    assert find_cell(single_layer, name) == 2
    with pytest.raises(TraceError, match=f"close to it: .*{name}"):
        find_cell(single_layer, name.lower() + "x")


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2025-03-03 10:00", "2025-03-03T09:00"),
        ("2025-03-03T10:07:59", "2025-03-03T09:07:59"),
        ("2025-03-03T10:00Z", "2025-03-03T10:00"),
        ("2025-03-03 10:00+05:00", "2025-03-03T05:00"),
        ("2025-07-01", "2025-06-30T22:00"),
        ("2025-10-26 02:30+01:00", "2025-10-26T01:30"),
    ],
)
def test_times_are_local_or_carry_their_offset(text: str, utc: str) -> None:
    assert parse_moment(text, ZoneInfo("Europe/Madrid")) == np.datetime64(utc, "s")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "2025-10-26 02:30",
            r"happened twice in Europe/Madrid; write 2025-10-26 02:30\+01:00 or 2025-10-26 02:30\+02",
        ),
        ("2025-03-30 02:30", "does not exist in Europe/Madrid: the clock was set forward"),
    ],
)
def test_times_that_a_clock_change_spoils_are_refused(text: str, words: str) -> None:
    with pytest.raises(TraceError, match=words):
        parse_moment(text, ZoneInfo("Europe/Madrid"))


def test_every_moment_of_a_tick_is_that_tick(make_stage: Callable[..., Stage], single_layer: Trace) -> None:
    clock = make_stage(single_layer).clock
    for tick in (0, 5, clock.n_ticks - 1):
        for more in (0, clock.tick_s - 1):
            moment = clock.tick_time(tick) + np.timedelta64(more, "s")
            assert find_tick(f"{moment}Z", clock, "here") == tick
    with pytest.raises(TraceError, match="outside the trace"):
        find_tick(f"{clock.tick_time(clock.n_ticks)}Z", clock, "here")


def test_a_policy_without_ticks_is_refused(make_stage: Callable[..., Stage], single_layer: Trace) -> None:
    with pytest.raises(PolicyError, match="'logged' does not decide tick by tick"):
        rerun("logged", make_stage(single_layer).task, 0, 1, quiet)
