"""The bootstrap behind the intervals: against a naive twin, and whether intervals cover what they should."""

from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

import controller.evaluation.bootstrap as bootstrap_module
from controller.evaluation.bootstrap import (
    Draws,
    Interval,
    block_days,
    draw_weights,
    interval,
    resample,
)
from controller.evaluation.sums import FIGURES, N_SUMS, figures_of, sums_by
from controller.replay.figures import Outcome, captured, gain, service_figures
from controller.worlds import EvaluatedWorld
from hw.plant import N_COLUMNS, OFFERED, UNSERVED

POLICIES = ("none", "symbol", "predictive", "oracle")
N_LEVELS, PER_DAY = 2, 1440
Float64 = NDArray[np.float64]


def random_outcome(rng: np.random.Generator, cells: int, days: int, energy: float) -> Outcome:
    """Figures of a policy that draws about ``energy`` per sample, as the plant would hand them back."""
    table = rng.uniform(1, 2, (cells, days, N_COLUMNS + 2 * N_LEVELS))
    table[:, :, OFFERED] *= 100
    table[:, :, N_COLUMNS : N_COLUMNS + N_LEVELS] = PER_DAY / N_LEVELS
    table[:, :, N_COLUMNS + N_LEVELS :] *= energy
    return Outcome(table, np.zeros(0), N_LEVELS)


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    rng = np.random.default_rng(1)
    made = {
        name: random_outcome(rng, 7, 3, energy) for name, energy in zip(POLICIES, (9, 6, 4, 3), strict=True)
    }
    for outcome in made.values():  # all policies are offered the same
        outcome.table[:, :, OFFERED] = made["none"].table[:, :, OFFERED]
    made["none"].table[:, :, UNSERVED] = 0
    return made


def twin_figures(
    outcomes: dict[str, Outcome], rows: list[int], days: list[int], ratio: float, world: EvaluatedWorld
) -> dict[str, list[float | None]]:
    """Every figure as a replay's report defines it, on a network in which cells and days are written out."""
    drawn = {name: Outcome(o.table[rows][:, days], np.zeros(0), N_LEVELS) for name, o in outcomes.items()}
    ceiling = drawn["oracle"].energy * ratio
    found: dict[str, list[float | None]] = {name: [] for name in FIGURES}
    for outcome in drawn.values():
        service = service_figures(outcome, world.evaluation.service, PER_DAY)
        found["ee_gain_vs_none"].append(gain(outcome, drawn["none"]))
        found["energy_saved_vs_none"].append(1 - outcome.energy / drawn["none"].energy)
        found["captured_share"].append(captured(outcome.energy, drawn["none"].energy, ceiling))
        found["captured_share_beyond_symbol"].append(
            captured(outcome.energy, drawn["symbol"].energy, ceiling)
        )
        for name in ("unserved_share", "below_target_share", "level_changes_per_cell_day"):
            found[name].append(service[name])
    return found


def test_draws_equal_a_network_with_its_groups_and_days_written_out(
    outcomes: dict[str, Outcome], world: EvaluatedWorld
) -> None:
    group = np.array([0, 1, 0, 2, 2, 3, 0], np.int32)
    sums = np.stack([sums_by(outcome, group) for outcome in outcomes.values()], 2)
    draws, ratio = 5, 0.99
    drawn = resample(sums.reshape(4, 3, -1), draws, seed=4)
    found = figures_of(drawn.joint.reshape(draws, 1, 4, N_SUMS), POLICIES, np.array([ratio]), PER_DAY)
    of_groups, of_days = np.random.default_rng(4).spawn(2)
    group_weight = draw_weights(4, draws, 1, of_groups).astype(int)
    day_weight = draw_weights(3, draws, 1, of_days).astype(int)
    for b in range(draws):
        rows = [cell for cell in range(7) for _ in range(group_weight[b, group[cell]])]
        days = [day for day in range(3) for _ in range(day_weight[b, day])]
        twin = twin_figures(outcomes, rows, days, ratio, world)
        for i, name in enumerate(FIGURES):
            np.testing.assert_allclose(found[b, 0, :, i], twin[name], rtol=1e-9, atol=1e-12)
    alone = figures_of(drawn.units.reshape(draws, 1, 4, N_SUMS), POLICIES, np.array([ratio]), PER_DAY)
    rows = [cell for cell in range(7) for _ in range(group_weight[0, group[cell]])]
    twin = twin_figures(outcomes, rows, [0, 1, 2], ratio, world)
    np.testing.assert_allclose(alone[0, 0, :, 0], twin["ee_gain_vs_none"])


def test_what_is_undefined_is_nan(outcomes: dict[str, Outcome]) -> None:
    sums = np.stack([sums_by(outcome, np.zeros(7, np.int32)).sum((0, 1)) for outcome in outcomes.values()])
    sums[:, 2:] = 0  # no traffic
    sums[POLICIES.index("oracle"), 0] = sums[0, 0]  # and nothing that could be saved
    found = figures_of(sums[None], POLICIES, np.ones(1), PER_DAY)[0]
    undefined = np.isnan(found).all(0)
    shares = ("ee_gain_vs_none", "captured_share", "unserved_share", "below_target_share")
    assert {*shares} == {name for name, nan in zip(FIGURES, undefined, strict=True) if nan} - {
        "captured_share_beyond_symbol"
    }


def test_weights_count_what_was_drawn_in_blocks() -> None:
    weight = draw_weights(14, 200, 2, np.random.default_rng(0))
    assert (weight.sum(1) == 14).all()
    assert weight.mean() == pytest.approx(1)
    rolled = np.minimum(np.roll(weight, 1, 1), np.roll(weight, -1, 1))
    assert (np.maximum(np.roll(weight, 1, 1), np.roll(weight, -1, 1))[weight > 0] > 0).all()
    assert (rolled[weight > 0] == 0).any()  # not everything has both neighbours
    assert (draw_weights(1, 3, 1, np.random.default_rng(0)) == 1).all()
    assert [block_days(n) for n in (1, 7, 8, 14, 26, 27, 64, 365)] == [1, 1, 2, 2, 2, 3, 4, 7]


def test_draws_do_not_depend_on_how_they_are_cut_into_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    sums = np.random.default_rng(0).uniform(1, 2, (9, 5, 3))
    whole = resample(sums, 70, seed=2)
    monkeypatch.setattr(bootstrap_module, "MAX_ELEMENTS", 100)
    cut = resample(sums, 70, seed=2)
    np.testing.assert_allclose(whole.joint, cut.joint)
    np.testing.assert_allclose(whole.units, cut.units)
    assert (resample(sums, 70, seed=3).joint != whole.joint).any()


def ratio_interval(part: Float64, whole: Float64, draws: int, seed: int) -> Interval:
    drawn = resample(np.stack([part, whole], -1), draws, seed)
    return interval(drawn.apply(lambda sums: sums[:, 0] / sums[:, 1]))


@pytest.mark.parametrize(
    ("groups", "days", "of_group", "of_day"), [(8, 14, 0.1, 0.02), (60, 7, 0.05, 0.05), (200, 7, 0.1, 0)]
)
def test_intervals_cover_the_truth(groups: int, days: int, of_group: float, of_day: float) -> None:
    """A saving that differs between groups and between days, on networks drawn again and again."""
    rng = np.random.default_rng(0)
    truth, networks, covered = 0.3, 250, 0
    for k in range(networks):
        whole = rng.lognormal(0, 0.5, (groups, 1)) * np.ones(days)
        saved = truth + of_group * rng.normal(size=(groups, 1)) + of_day * rng.normal(size=days)
        saved += 0.05 * rng.normal(size=(groups, days))
        found = ratio_interval(whole * saved, whole, 400, seed=k)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= truth <= found.high
    assert 0.91 <= covered / networks <= 0.99


def test_stations_alone_are_covered_too() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for k in range(250):
        saved = 0.2 + 0.1 * rng.normal(size=(10, 1))
        found = ratio_interval(saved, np.ones((10, 1)), 400, seed=k)
        covered += found.low is not None and found.high is not None and found.low <= 0.2 <= found.high
    assert 0.90 <= covered / 250 <= 0.99


def test_cells_of_one_group_are_not_independent() -> None:
    """Four copies of each cell in its group say no more than one; as groups of their own they would."""
    rng = np.random.default_rng(0)
    saved = np.repeat(0.3 + 0.1 * rng.normal(size=(20, 7)), 4, axis=0)
    rows = np.zeros((80, 7, N_COLUMNS + 2 * N_LEVELS))
    rows[:, :, -1] = saved
    outcome = Outcome(rows, np.zeros(0), N_LEVELS)

    def width(group: NDArray[np.int32]) -> float:
        sums = sums_by(outcome, group)[:, :, 0]
        found = ratio_interval(sums, np.full(sums.shape, 80 / len(sums)), 1000, seed=0)
        assert found.low is not None
        assert found.high is not None
        return found.high - found.low

    grouped = width(np.repeat(np.arange(20, dtype=np.int32), 4))
    assert grouped > 1.3 * width(np.arange(80, dtype=np.int32))
    shuffled = np.random.default_rng(1).permutation(80)
    whole = sums_by(outcome, np.zeros(80, np.int32))
    np.testing.assert_allclose(sums_by(outcome, (shuffled % 5).astype(np.int32)).sum(0), whole[0])


def test_intervals_without_ground_say_why() -> None:
    ones = np.ones((50, 1))
    lonely = interval(resample(np.ones((1, 1, 1)), 50, 0).pick(0))
    assert lonely.low is None
    assert "one group of cells" in lonely.reason
    patchy = ones[:, 0].copy()
    patchy[:3] = np.nan
    found = interval(Draws(patchy, patchy, patchy, 5, 2))
    assert (found.low, found.high, found.reason) == (None, None, "undefined in 3 of 50 draws")
    assert interval(resample(np.ones((1, 4, 1)), 50, 0).pick(0)) == Interval(4.0, 4.0)


def test_few_units_widen_the_interval() -> None:
    """The same spread of draws means less when it comes from few units."""
    values = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    still = np.zeros(4000)
    bounds = [interval(Draws(values, values, still, n, 1)) for n in (3, 10, 1000)]
    widths = [b.high - b.low for b in bounds if b.low is not None and b.high is not None]
    assert widths[0] > widths[1] > widths[2]
    assert widths[2] == pytest.approx(2 * 1.96, rel=0.005)
    assert widths[1] == pytest.approx(2 * 2.262 * np.sqrt(10 / 9), rel=0.01)  # Student t, 9 degrees


def test_a_thousand_draws_of_a_real_network_take_less_than_two_seconds() -> None:
    sums = np.random.default_rng(0).uniform(1, 2, (800, 7, 7 * N_SUMS))
    began = time.perf_counter()
    drawn = resample(sums, 1000, 0).apply(
        lambda values: figures_of(
            values.reshape(-1, 1, 7, N_SUMS), (*POLICIES, "a", "b", "c"), np.ones(1), 1
        )[:, 0]
    )
    for policy in range(7):
        for figure in range(len(FIGURES)):
            interval(drawn.pick(policy, figure))
    assert time.perf_counter() - began < 2
