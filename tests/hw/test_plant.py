"""The simulated plant against its naive twin, and against cases worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hw.plant import BELOW, CHANGES, LOST, N_COLUMNS, OFFERED, UNSERVED, Figures, execute
from hw.sharing import Groups
from hw.tables import LATENCY_BINS, Tables, pack
from hw.world import FULL, SYMBOL
from tests.hw.naive_plant import naive_execute
from tests.hw.random_cells import Case, random_case

CARRIER, DEEP = 5, 6  # of the default world
SIZES = st.sampled_from([[1], [1, 1, 1], [2], [3], [4, 1], [2, 3, 1], [1, 2, 1]])


def run(case: Case, *, per_tick: int, per_day: int = 1000, by_tick: bool = False) -> Figures:
    return execute(
        case.tables,
        case.groups,
        case.path,
        case.ul_per_dl,
        case.plan,
        samples_per_tick=per_tick,
        samples_per_day=per_day,
        energy_per_tick=by_tick,
    )


def assert_same_histogram(found: NDArray[Any], expected: NDArray[Any], traffic: float) -> None:
    """Equal up to rounding, which may move traffic at the edge of a bin to the next one."""
    assert found.sum() == pytest.approx(traffic, rel=1e-4, abs=1e-6)
    slack = 1e-4 * traffic + 1e-6
    below = np.concatenate([[0], np.cumsum(expected)])
    assert (np.cumsum(found) >= below[:-1] - slack).all()
    assert (np.cumsum(found)[:-1] <= below[2:] + slack).all()
    assert found[0] == pytest.approx(expected[0], rel=1e-4, abs=1e-6)


@pytest.mark.kernel
@settings(max_examples=200)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=SIZES,
    ticks=st.integers(1, 8),
    per_tick=st.sampled_from([1, 2, 5]),
    per_day=st.sampled_from([3, 7, 20, 1000]),
    by_tick=st.booleans(),
)
def test_the_plant_does_what_its_twin_does(
    seed: int, sizes: list[int], ticks: int, per_tick: int, per_day: int, by_tick: bool
) -> None:
    cut = seed % per_tick
    steps = 2 if (ticks * per_tick - cut) % 2 == 0 else 1
    case = random_case(seed, sizes, ticks=ticks, per_tick=per_tick, cut=cut, steps=steps)
    found = run(case, per_tick=per_tick, per_day=per_day, by_tick=by_tick)
    naive = naive_execute(*case, samples_per_tick=per_tick, samples_per_day=per_day)
    np.testing.assert_allclose(found.table, naive.table, rtol=2e-5, atol=2e-6)
    for i in range(len(case.path)):
        assert_same_histogram(found.latency[i], naive.latency[i], float(naive.table[i, :, OFFERED].sum()))
    if by_tick:
        np.testing.assert_allclose(found.energy_tick, naive.energy_tick, rtol=2e-5, atol=2e-5)
    else:
        assert found.energy_tick.shape == (len(case.path), 0)


@pytest.mark.kernel
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), sizes=SIZES)
def test_traffic_is_conserved(seed: int, sizes: list[int]) -> None:
    case = random_case(seed, sizes, ticks=4, per_tick=3)
    table = run(case, per_tick=3).table
    size = case.tables.size[case.groups.model][:, None]
    carried = np.nansum(naive_execute(*case, samples_per_tick=3, samples_per_day=1000).carried * size)
    assert table[:, :, OFFERED].sum() == pytest.approx(np.nansum(case.path * size, dtype=float), rel=1e-5)
    assert table[:, :, OFFERED].sum() == pytest.approx(carried + table[:, :, UNSERVED].sum(), rel=1e-5)
    scored = table[:, :, N_COLUMNS : N_COLUMNS + 6].sum()
    assert scored == np.isfinite(case.path).sum()


@pytest.mark.kernel
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), sizes=SIZES)
def test_unserved_traffic_is_below_target(seed: int, sizes: list[int]) -> None:
    case = random_case(seed, sizes, ticks=4, per_tick=3)
    case = case._replace(path=np.minimum(case.path, np.float32(0.99)))  # a full cell has no target under none
    table = run(case, per_tick=3).table
    assert (table[:, :, UNSERVED] <= table[:, :, BELOW] * (1 + 1e-6) + 1e-9).all()
    assert (table[:, :, BELOW] <= table[:, :, OFFERED] * (1 + 1e-6) + 1e-9).all()
    assert (table[:, :, LOST] <= table[:, :, OFFERED] * (1 + 1e-6) + 1e-9).all()


def test_a_part_of_a_network_does_what_it_does_within_the_whole() -> None:
    case = random_case(5, [3, 1, 2, 4, 1], ticks=6, per_tick=4)
    whole = run(case, per_tick=4)
    members = case.groups.member[case.groups.group_start[2] : case.groups.group_start[4]]  # of two groups
    number = {int(i): k for k, i in enumerate(members)}
    starts = case.groups.candidate_start
    candidates = [[number[int(c)] for c in case.groups.candidate[starts[i] : starts[i + 1]]] for i in members]
    part = Groups(
        case.groups.model[members],
        np.cumsum([0, *map(len, candidates)]).astype(np.int32),
        np.array([c for own in candidates for c in own], np.int32),
        np.array([0, 2, 6], np.int32),
        np.arange(6, dtype=np.int32),
        np.concatenate([case.groups.overlap[starts[i] : starts[i + 1]] for i in members]),
    )
    alone = run(
        case._replace(
            groups=part, path=case.path[members], ul_per_dl=case.ul_per_dl[members], plan=case.plan[members]
        ),
        per_tick=4,
    )
    np.testing.assert_array_equal(alone.table, whole.table[members])
    np.testing.assert_array_equal(alone.latency, whole.latency[members])


def test_runs_of_a_level_do_not_depend_on_how_they_are_cut() -> None:
    case = random_case(8, [1, 1, 2], ticks=12, per_tick=5)
    by_tick, whole = run(case, per_tick=5, by_tick=True), run(case, per_tick=5)
    np.testing.assert_allclose(by_tick.table, whole.table, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(by_tick.energy_tick.sum(1), whole.energy.sum(1), rtol=1e-5)
    per_sample = case._replace(plan=np.repeat(case.plan, 5, axis=1))
    np.testing.assert_allclose(run(per_sample, per_tick=1).energy, whole.energy, rtol=1e-5)


# by hand, in the default world: full, symbol, rf_channel_32, _16, _8, carrier_shutdown, deep_dormancy


def alone(
    tables: Tables, path: list[float], plan: list[int], *, per_tick: int = 1, per_day: int = 1000
) -> Figures:
    groups = Groups(
        np.zeros(1, np.int32),
        np.zeros(2, np.int32),
        np.zeros(0, np.int32),
        np.array([0, 1], np.int32),
        np.zeros(1, np.int32),
        np.zeros(0, np.float32),
    )
    return run(
        Case(
            tables,
            groups,
            np.array([path], np.float32),
            np.zeros((1, 1), np.float32),
            np.array([plan], np.uint8),
        ),
        per_tick=per_tick,
        per_day=per_day,
    )


def trio(tables: Tables, path: list[list[float]], plan: list[list[int]], *, per_tick: int = 1) -> Figures:
    """Cell 0 with candidates 1 and 2."""
    groups = Groups(
        np.zeros(3, np.int32),
        np.array([0, 2, 2, 2], np.int32),
        np.array([1, 2], np.int32),
        np.array([0, 3], np.int32),
        np.arange(3, dtype=np.int32),
        np.ones(2, np.float32),
    )
    case = Case(
        tables,
        groups,
        np.array(path, np.float32),
        np.zeros((3, 1), np.float32),
        np.array(plan, np.uint8),
    )
    return run(case, per_tick=per_tick)


def unserved(figures: Figures) -> list[float]:
    return [float(x) for x in figures.table[:, :, UNSERVED].sum(1)]


def test_a_cell_that_rests_its_channels_carries_what_its_rate_allows(tables: Tables) -> None:
    figures = alone(tables, [0.9, 0.5], [4, 4])
    rate = float(tables.rate[0, 4])
    assert figures.table[0, 0, OFFERED] == pytest.approx(1.4)
    assert figures.table[0, 0, UNSERVED] == pytest.approx(0.9 - rate)
    # the overloaded minute counts as below target as a whole; 1000 x (0.57 - 0.5) is above 25 Mbit/s
    assert figures.table[0, 0, BELOW] == pytest.approx(0.9)


@pytest.mark.parametrize(("load", "below"), [(0.530, False), (0.555, True)])
def test_a_minute_is_below_target_when_its_users_get_less_than_25_mbit_s(
    tables: Tables, load: float, below: bool
) -> None:
    assert 1000 * (tables.rate[0, 4] - 0.555) < 25 < 1000 * (tables.rate[0, 4] - 0.530)
    assert (alone(tables, [load], [4]).table[0, 0, BELOW] > 0) == below


def test_no_minute_is_held_to_more_than_it_would_have_without_saving(world: Any) -> None:
    tables = pack(world.world, sample_s=60, target_mbit_s=1000, target_share=0.8)
    rate = float(tables.rate[0, 2])
    limit = (rate - 0.8) / 0.2  # below it 0.8 of the throughput under none is kept
    assert alone(tables, [limit - 0.01], [2]).table[0, 0, BELOW] == 0
    assert alone(tables, [limit + 0.01], [2]).table[0, 0, BELOW] > 0
    for awake in (FULL, SYMBOL):
        assert alone(tables, [0.99], [awake]).table[0, 0, BELOW] == 0


def test_switching_everything_off_looks_terrible(tables: Tables) -> None:
    load = [[0.2] * 4, [0.3] * 4, [0.4] * 4]
    for level in (CARRIER, DEEP):
        figures = trio(tables, load, [[level] * 4] * 3)
        total = figures.table.sum((0, 1))
        assert total[UNSERVED] == pytest.approx(total[OFFERED])
        assert total[BELOW] == pytest.approx(total[OFFERED])
        assert figures.latency[:, -1].sum() == pytest.approx(total[OFFERED])
        assert figures.energy.sum() < 0.3 * trio(tables, load, [[SYMBOL] * 4] * 3).energy.sum()


def test_handed_over_traffic_lands_in_proportion_to_room(tables: Tables) -> None:
    # room 0.6 and 0.3: the 0.45 of cell 0 go to 0.4 + 0.3 and 0.7 + 0.15
    figures = trio(tables, [[0.45], [0.4], [0.7]], [[CARRIER], [SYMBOL], [SYMBOL]])
    for cell, load in ((1, 0.7), (2, 0.85)):
        expected = np.interp(load, np.linspace(0, 1, 513), tables.power[0, SYMBOL])
        assert figures.energy[cell, 0] == pytest.approx(expected, rel=1e-5)
    assert figures.energy[0, 0] == pytest.approx(25)
    assert unserved(figures) == [0, 0, 0]
    assert figures.table[:, 0, BELOW].sum() == 0
    # 1000 x 0.3 and 1000 x 0.15 Mbit/s against 550 under none, and less for those who were there before
    lost = (0.3 * (1 - 0.3 / 0.55) + 0.15 * (1 - 0.15 / 0.55), 0.4 * (1 - 0.3 / 0.6), 0.7 * (1 - 0.15 / 0.3))
    assert figures.table[:, 0, LOST] == pytest.approx(lost, rel=1e-5)


def test_what_finds_no_room_is_unserved(tables: Tables) -> None:
    figures = trio(tables, [[0.8], [0.7], [0.9]], [[CARRIER], [SYMBOL], [SYMBOL]])
    assert unserved(figures) == pytest.approx([0.4, 0, 0], abs=1e-6)
    nobody = trio(tables, [[0.8], [0.7], [0.9]], [[CARRIER], [SYMBOL], [DEEP]])
    assert unserved(nobody) == pytest.approx([0.5, 0, 0.9], abs=1e-6)
    unrecorded = trio(tables, [[0.8], [0.7], [np.nan]], [[CARRIER], [SYMBOL], [SYMBOL]])
    assert unserved(unrecorded) == pytest.approx([0.5, 0, 0], abs=1e-6)
    assert unrecorded.table[2].sum() == 0


@pytest.mark.parametrize(("level", "missed"), [(CARRIER, 1), (DEEP, 3), (4, 0)])
def test_a_waking_cell_is_served_by_the_level_it_leaves(tables: Tables, level: int, missed: int) -> None:
    path = [0.1] * 10
    figures = alone(tables, path, [level, SYMBOL], per_tick=5)
    asleep = 5 if level >= CARRIER else 0
    assert figures.table[0, 0, UNSERVED] == pytest.approx(0.1 * (asleep + missed), rel=1e-5)
    assert figures.table[0, 0, CHANGES] == 2
    # it draws what it will draw, from the first minute on, and the energy of waking once
    awake = np.interp(0.1, np.linspace(0, 1, 513), tables.power[0, SYMBOL])
    drawn = figures.level_energy[0, 0, SYMBOL]
    assert drawn == pytest.approx(5 * awake + tables.wake_energy[0, level], rel=1e-5)
    assert (tables.wake_energy[0, level] > 0) == (level >= CARRIER)


def test_candidates_help_a_waking_cell(tables: Tables) -> None:
    plan = [[DEEP, SYMBOL], [SYMBOL, SYMBOL], [SYMBOL, SYMBOL]]
    figures = trio(tables, [[0.5] * 10, [0.7] * 10, [0.9] * 10], plan, per_tick=5)
    assert unserved(figures) == pytest.approx([8 * 0.1, 0, 0], rel=1e-4, abs=1e-6)


def test_a_waking_candidate_still_serves_at_its_old_rate(tables: Tables) -> None:
    """Handed-over traffic gets what the candidate has left in that minute, not what it will have."""
    slow = tables._replace(wake_samples=np.array([0, 0, 0, 0, 1, 1, 3], np.int32))
    path = [[0.1] * 4, [0.45] * 4, [1.0] * 4]
    figures = trio(slow, path, [[CARRIER] * 2, [4, SYMBOL], [SYMBOL] * 2], per_tick=2)
    # rate 0.57 less 0.55 is below 25 Mbit/s in the first tick and in the minute of waking
    assert figures.table[:2, 0, BELOW] == pytest.approx([0.1 * 3, 0.45 * 3], rel=1e-5)


def test_sleeping_deeper_and_back_takes_the_deeper_wake_up(tables: Tables) -> None:
    figures = alone(tables, [0.1] * 15, [DEEP, CARRIER, SYMBOL], per_tick=5)
    assert figures.table[0, 0, UNSERVED] == pytest.approx(0.1 * (5 + 5 + 1), rel=1e-5)
    # a wake-up that outlasts its tick goes on, one that is called off ends
    longer = alone(tables, [0.1] * 8, [DEEP, SYMBOL, SYMBOL, SYMBOL], per_tick=2)
    assert longer.table[0, 0, UNSERVED] == pytest.approx(0.1 * (2 + 3), rel=1e-5)
    called_off = alone(tables, [0.1] * 8, [DEEP, SYMBOL, DEEP, SYMBOL], per_tick=2)
    assert called_off.table[0, 0, UNSERVED] == pytest.approx(0.1 * (2 + 2 + 2 + 2), rel=1e-5)


def test_unrecorded_samples_run_awake_and_are_left_out(tables: Tables) -> None:
    nan = np.nan
    figures = alone(tables, [0.1, nan, nan, nan, 0.1, 0.1], [DEEP, DEEP, SYMBOL], per_tick=2)
    assert figures.table[0, 0, OFFERED] == pytest.approx(0.3)
    assert figures.table[0, 0, UNSERVED] == pytest.approx(0.1)
    assert figures.level_samples[0, 0].tolist() == [0, 2, 0, 0, 0, 0, 1]
    # waking ends at an unrecorded sample, in a group as well as alone
    for path, missed in (([0.1, 0.1, 0.1, nan, 0.1, 0.1], 3), ([0.1, nan, 0.1, 0.1, 0.1, 0.1], 1)):
        figures = alone(tables, path, [DEEP, SYMBOL, SYMBOL], per_tick=2)
        assert figures.table[0, 0, UNSERVED] == pytest.approx(0.1 * missed, rel=1e-5)
        full = [1.0] * 6
        grouped = trio(tables, [path, full, full], [[DEEP, SYMBOL, SYMBOL], [1] * 3, [1] * 3], per_tick=2)
        assert unserved(grouped)[0] == pytest.approx(0.1 * missed, rel=1e-5)


@pytest.mark.parametrize(
    ("plan", "recorded", "changes"),
    [
        ([SYMBOL, SYMBOL, SYMBOL], [1, 1, 1], 0),
        ([FULL, SYMBOL, FULL], [1, 1, 1], 0),
        ([4, 4, 4], [1, 1, 1], 1),
        ([4, FULL, 4], [1, 1, 1], 3),
        ([2, 3, 4], [1, 1, 1], 3),
        ([4, SYMBOL, 4], [1, 0, 1], 1),
        ([SYMBOL, 4, SYMBOL], [1, 0, 1], 0),
        ([4, SYMBOL, SYMBOL], [0, 1, 1], 0),
        ([CARRIER, DEEP, SYMBOL], [1, 1, 1], 3),
    ],
)
def test_changes_count_between_consecutive_scored_ticks(
    tables: Tables, plan: list[int], recorded: list[int], changes: int
) -> None:
    path = [0.1 if known else np.nan for known in recorded for _ in range(2)]
    assert alone(tables, path, plan, per_tick=2).table[0, 0, CHANGES] == changes
    grouped = trio(tables, [path, [0.1] * 6, [0.1] * 6], [plan, [1] * 3, [1] * 3], per_tick=2)
    assert grouped.table[0, 0, CHANGES] == changes


def test_a_day_ends_inside_a_tick(tables: Tables) -> None:
    figures = alone(tables, [0.1, 0.2, 0.3, 0.4, 0.5], [4, 1], per_tick=3, per_day=2)
    assert figures.table[0, :, OFFERED] == pytest.approx([0.3, 0.7, 0.5])
    assert figures.table[0, :, CHANGES].tolist() == [1, 1, 0]
    assert figures.level_samples[0, :, 4].tolist() == [2, 1, 0]


def test_uplink_adds_its_load(tables: Tables) -> None:
    groups = Groups(*(np.array(x, np.int32) for x in ([0], [0, 0], [], [0, 1], [0])), np.zeros(0, np.float32))
    path, plan = np.array([[0.4, 0.4]], np.float32), np.array([[SYMBOL]], np.uint8)
    for ul_per_dl, ul_load in (([[0.5]], (0.2, 0.2)), ([[0.5, 9.0]], (0.2, 1.0))):
        case = Case(tables, groups, path, np.array(ul_per_dl, np.float32), plan)
        rest = run(case._replace(ul_per_dl=np.zeros((1, 1), np.float32)), per_tick=2).energy[0, 0]
        added = run(case, per_tick=2).energy[0, 0] - rest
        assert added == pytest.approx(0.25 * 55 * sum(ul_load), rel=1e-4)


def test_added_latency_of_one_object(tables: Tables) -> None:
    # 1 Mbit at 570 instead of 1000 Mbit/s of an empty cell: 0.754 ms more
    figures = alone(tables, [1e-6], [4])
    at = int(np.flatnonzero(figures.latency[0])[0])
    added_ms = 1000 / (1000 * float(tables.rate[0, 4])) - 1
    assert at == int((LATENCY_BINS - 1) * np.sqrt(added_ms / 100))
    assert alone(tables, [0.5], [SYMBOL]).latency[0, 0] == pytest.approx(0.5)
    assert alone(tables, [0.9], [4]).latency[0, -1] == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"plan": np.zeros((1, 3), np.uint8)}, r"shape \(1, 2\)"),
        ({"plan": np.zeros((1, 2), np.int64)}, "uint8"),
        ({"plan": np.full((1, 2), 7, np.uint8)}, "level 7, the world has 7"),
        ({"ul_per_dl": np.zeros((1, 3), np.float32)}, "whole number of samples"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(tables: Tables, change: dict[str, Any], complaint: str) -> None:
    groups = Groups(*(np.array(x, np.int32) for x in ([0], [0, 0], [], [0, 1], [0])), np.zeros(0, np.float32))
    path, plan = np.zeros((1, 4), np.float32), np.ones((1, 2), np.uint8)
    case = Case(tables, groups, path, np.zeros((1, 1), np.float32), plan)._replace(**change)
    with pytest.raises(ValueError, match=complaint):
        run(case, per_tick=2)


def test_the_default_world_is_the_one_worked_out_here(world: Any) -> None:
    names = world.world.level_names
    assert (names[SYMBOL], names[4]) == ("symbol", "rf_channel_8")
    assert (names[CARRIER], names[DEEP]) == ("carrier_shutdown", "deep_dormancy")
