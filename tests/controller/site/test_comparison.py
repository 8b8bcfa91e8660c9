"""The comparison of site policies on a small scene: what must hold of its figures, whatever they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from controller.errors import ConfigError
from controller.site.comparison import SITE_POLICIES, Comparison
from controller.site.document import site_section
from controller.site.page import KeptCourses
from controller.site.spans import billing_spans
from controller.site.tally import Tally, life_years
from tests.controller.site.site_made import DEFAULTS, HEAD, PER_DAY, made_scene

OUTAGE = "site,begin,end\nwest,2025-03-06T10:00:00Z,2025-03-06T{:02d}:00:00Z\n"


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, KeptCourses]:
    """Six days without outages, all policies."""
    comparison = Comparison(made_scene(tmp_path_factory.mktemp("made")))
    kept = KeptCourses(comparison)
    comparison.run(keep=kept.keep)
    return comparison, kept


def test_every_policy_runs_and_the_oracle_is_the_best(compared: tuple[Comparison, KeptCourses]) -> None:
    site = site_section(compared[0])
    cost = {name: site["policies"][name]["cost"] for name in SITE_POLICIES}
    assert site["complete"]
    assert min(cost, key=lambda name: cost[name]) == "oracle"
    assert cost["oracle"] < 0.98 * cost["idle"]
    for name in SITE_POLICIES:
        policy = site["policies"][name]
        assert policy["cost"] == pytest.approx(
            policy["energy_cost"] + policy["demand_cost"] + policy["wear_cost"]
        )
        assert policy["saved_cost"] == pytest.approx(cost["idle"] - cost[name])
        possible = cost["idle"] - cost["oracle"]
        assert policy["captured_share"] == pytest.approx(policy["saved_cost"] / possible)
    assert site["policies"]["plan"]["captured_share"] > 0.5


def test_no_policy_goes_below_the_floor_and_all_end_where_they_began(
    compared: tuple[Comparison, KeptCourses],
) -> None:
    comparison, kept = compared
    for name in SITE_POLICIES:
        assert comparison.tallies[name].figures["reserve_margin_wh"].min() > -0.01
        stored = kept.series[f"stored_wh/{name}"]
        begin = 0.95 * comparison.scene.plant.rated_wh
        assert stored[:, 0] == pytest.approx(begin, rel=1e-6)
    # the last step kept begins an hour before the end
    last = {name: kept.series[f"stored_wh/{name}"][:, -1] for name in SITE_POLICIES}
    assert last["plan"] == pytest.approx(last["idle"], abs=6000.0)


def test_totals_are_the_sum_of_the_sites(compared: tuple[Comparison, KeptCourses]) -> None:
    site = site_section(compared[0])
    for name in ("bill", "wear_cost", "cost", "import_kwh", "saved_cost", "guard_interventions"):
        rows = [row["policies"]["plan"][name] for row in site["sites"]]
        assert site["policies"]["plan"][name] == pytest.approx(sum(rows))
    peaks = [row["policies"]["plan"]["peak_kw"] for row in site["sites"]]
    assert site["policies"]["plan"]["peak_kw"] == max(peaks)


def test_the_bill_can_be_recomputed_from_the_courses(compared: tuple[Comparison, KeptCourses]) -> None:
    comparison, kept = compared
    page = kept.page()
    import_w = page.series["import_w/rule"].astype(np.float64)
    price = page.series["import_price"].astype(np.float64)
    energy = (import_w * price).sum() / 1000
    assert comparison.tallies["rule"].figures["energy_cost"].sum() == pytest.approx(energy, rel=1e-5)
    share = comparison.spans[0].share
    assert share == pytest.approx(3 / 31)
    demand = 38.0 * share * (import_w.max(1) / 1000).sum()
    assert comparison.tallies["rule"].figures["demand_cost"].sum() == pytest.approx(demand, rel=1e-5)


def test_the_page_holds_what_the_plant_did(compared: tuple[Comparison, KeptCourses]) -> None:
    page = compared[1].page()
    assert page.site_id == ["east", "west"]
    assert (page.n_steps, page.day_first_step) == (3 * PER_DAY, 0)
    assert "mains" not in page.series and "outdoor_c" not in page.series
    for name in SITE_POLICIES:
        assert not np.isnan(page.series[f"stored_wh/{name}"]).any()
    gained = page.series["charge_w/plan"][:, :-1] - page.series["discharge_w/plan"][:, :-1]
    change = np.diff(page.series["stored_wh/plan"], axis=1)
    assert (np.sign(change[np.abs(gained) > 50]) == np.sign(gained[np.abs(gained) > 50])).all()
    assert [row["site_id"] for row in page.fleet] == ["east", "west"]


def test_what_was_computed_before_an_interruption_is_reported(tmp_path: Path) -> None:
    comparison = Comparison(made_scene(tmp_path))

    def stop(name: str, share: float) -> None:
        if name == "site threshold":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        comparison.run(stop)
    site = site_section(comparison)
    assert not site["complete"]
    assert list(comparison.tallies) == ["idle", "rule"]
    assert site["policies"]["plan"]["reason"].startswith("the comparison was stopped")
    assert site["policies"]["rule"]["captured_share"] is None
    assert site["policies"]["rule"]["captured_share_reason"] == "oracle was not computed"


def test_billing_months_are_cut_at_local_midnight_and_weighed(tmp_path: Path) -> None:
    made = made_scene(tmp_path, HEAD + "history_days: 3\n" + DEFAULTS, days=40)
    march, april = billing_spans(made)  # from the third of March on
    assert (march.begin, march.end, april.end) == (3 * PER_DAY, 29 * PER_DAY, 40 * PER_DAY)
    assert march.share == pytest.approx(26 / 31) and april.share == pytest.approx(11 / 30)
    assert (march.before, april.before) == (0, 18 * PER_DAY)


def test_a_trace_that_is_too_short_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="site power needs 2"):
        billing_spans(made_scene(tmp_path, days=1))


def test_the_future_cannot_change_a_causal_policy(tmp_path: Path) -> None:
    """Loads of the last two days half as high again: all but the oracle do the same until then."""
    made = made_scene(tmp_path)
    scene, until = made.scene, 4 * PER_DAY
    radio_w = scene.radio_w.copy()
    radio_w[:, until:] *= 1.5
    courses = []
    for one in (scene, replace(scene, radio_w=radio_w)):
        comparison = Comparison(replace(made, scene=one))
        kept = KeptCourses(comparison)
        comparison.run(keep=kept.keep)
        courses.append(kept.series)
    same = until - comparison.spans[0].begin
    for name in SITE_POLICIES:
        first, second = (own[f"stored_wh/{name}"][:, : same + 1] for own in courses)
        assert np.array_equal(first, second) == (name != "oracle"), name


@pytest.mark.parametrize(("until_h", "carried"), [(11, 1.0), (20, 1.0)])
def test_an_outage_is_carried_for_the_declared_hours(until_h: int, carried: float, tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text(OUTAGE.format(until_h))
    comparison = Comparison(made_scene(tmp_path, HEAD + "outages: {path: out.csv}\n" + DEFAULTS))
    kept = KeptCourses(comparison)
    comparison.run(keep=kept.keep)
    site = site_section(comparison)
    for name in SITE_POLICIES:
        policy = site["policies"][name]
        assert (policy["outages"], policy["outages_carried"]) == (1, carried), name
        assert (policy["outage_lost_h"] > 0) == (until_h == 20), name
        first = _first_step(comparison)
        assert (kept.series[f"import_w/{name}"][1, first : first + until_h - 10] == 0).all()
    assert (kept.page().series["mains"] == 0).sum() == until_h - 10


def _first_step(comparison: Comparison) -> int:
    """First step of the outage among those that are kept."""
    begin = comparison.spans[0].begin
    moment = np.datetime64("2025-03-06T10:00:00") - comparison.scene.start
    return int(moment / np.timedelta64(1, "h")) - begin


def test_recovery_keeps_below_the_billed_peak(tmp_path: Path) -> None:
    """After an outage the pack is recharged at no more than the class allows, and without a new peak."""
    (tmp_path / "out.csv").write_text(OUTAGE.format(12))
    comparison = Comparison(made_scene(tmp_path, HEAD + "outages: {path: out.csv}\n" + DEFAULTS))
    kept = KeptCourses(comparison)
    comparison.run(keep=kept.keep)
    first = _first_step(comparison)
    import_w = kept.series["import_w/idle"][1]
    back = slice(first + 2, first + 8)
    assert kept.series["charge_w/idle"][1, back].max() > 100.0
    assert import_w[back].max() <= max(import_w[:first].max(), kept.page().series["load_w"][1].max()) * 1.001


def test_an_event_is_met_and_paid_for(tmp_path: Path) -> None:
    events = """schema: quietcell.grid-events/1
source: made up
events:
- {name: first, kind: limit_to, amount_w: 900.0, begin: 2025-03-06T10:00:00Z, end: 2025-03-06T12:00:00Z,
   announced: 2025-03-06T02:00:00Z, sites: [west], penalty_per_kwh: 5.0}
"""
    (tmp_path / "events.yaml").write_text(events)
    comparison = Comparison(made_scene(tmp_path, HEAD + "grid_events: events.yaml\n" + DEFAULTS))
    kept = KeptCourses(comparison)
    comparison.run(keep=kept.keep)
    first = _first_step(comparison)
    import_w = {name: kept.series[f"import_w/{name}"][1, first : first + 2] for name in SITE_POLICIES}
    assert (import_w["plan"] <= 901.0).all() and (import_w["oracle"] <= 901.0).all()
    site = site_section(comparison)
    over_kwh = np.maximum(import_w["idle"] - 900.0, 0.0).sum() / 1000
    assert site["policies"]["idle"]["event_cost"] == pytest.approx(5.0 * over_kwh, rel=1e-4)
    assert site["policies"]["plan"]["event_cost"] == pytest.approx(0.0, abs=0.02)


EVENT = """schema: quietcell.grid-events/1
source: made up
events:
- {{name: long, kind: limit_to, amount_w: 0.0, begin: 2025-03-06T04:00:00Z, end: 2025-03-06T16:00:00Z,
   announced: 2025-03-05T02:00:00Z, penalty_per_kwh: {}}}
"""


@pytest.mark.parametrize("penalty", [5.0, 0.0], ids=["paid", "firm"])
def test_an_event_beyond_the_battery_is_kept_as_far_as_it_can_be(tmp_path: Path, penalty: float) -> None:
    """Twelve hours without import empty any pack to its floor: a plan says by how much, and goes on."""
    (tmp_path / "events.yaml").write_text(EVENT.format(penalty))
    comparison = Comparison(made_scene(tmp_path, HEAD + "grid_events: events.yaml\n" + DEFAULTS))
    comparison.run()
    site = site_section(comparison)
    rows = site["policies"]
    assert 0 < rows["plan"]["event_over_kwh"] <= 1.001 * rows["idle"]["event_over_kwh"]
    assert rows["plan"].get("event_cost", 0.0) == pytest.approx(penalty * rows["plan"]["event_over_kwh"])
    said = [note for note in site["notes"] if "Events without a penalty" in note]
    assert bool(said) == (penalty == 0)
    assert rows["plan"]["plan_gap"] == pytest.approx(0.0, abs=0.1), "every step was planned"


def test_years_of_life_are_those_of_the_ageing_law(compared: tuple[Comparison, KeptCourses]) -> None:
    comparison = compared[0]
    idle, busy = (comparison.tallies[name].figures for name in ("idle", "oracle"))
    years = life_years(comparison.scene, busy)
    assert (years < life_years(comparison.scene, idle)).all()
    passed = busy["hours"] / 8760
    loss = 0.2 * (busy["cycle_damage"] / passed * years) ** 0.55
    loss += np.sqrt(busy["calendar_square"] / passed * years)
    assert loss == pytest.approx(0.2, rel=1e-4)


def test_months_add_up_but_peaks_and_margins() -> None:
    tally = Tally()
    for peak, margin, hours in ((5.0, 3.0, 10.0), (4.0, 2.0, 20.0)):
        tally.add(
            {"peak_w": np.array([peak]), "reserve_margin_wh": np.array([margin]), "hours": np.array([hours])}
        )
    assert [float(tally.figures[k][0]) for k in ("peak_w", "reserve_margin_wh", "hours")] == [5.0, 2.0, 30.0]


def test_an_acknowledged_program_sleeps_and_sheds_on_battery(tmp_path: Path) -> None:
    """Half of full service at once, no radio after two hours: the pack gives so much less."""
    program = (
        "  on_battery_program:\n    acknowledged: {}\n    reaction_s: 60.0\n    stages:\n"
        "    - {{after_s: 0.0, radio_ratio: 0.5}}\n    - {{after_s: 7200.0, below_soc: 0.2, radio_ratio: 0.0}}\n"
    )
    (tmp_path / "out.csv").write_text(OUTAGE.format(13))
    given = {}
    for acknowledged in ("true", "false"):
        text = HEAD + "outages: {path: out.csv}\n" + DEFAULTS + program.format(acknowledged)
        comparison = Comparison(made_scene(tmp_path, text))
        kept = KeptCourses(comparison)
        comparison.run(keep=kept.keep)
        first = _first_step(comparison)
        given[acknowledged] = kept.series["discharge_w/idle"][1, first : first + 3].astype(np.float64)
        shed_kwh = site_section(comparison)["policies"]["idle"]["shed_kwh"]
        assert (shed_kwh > 1.0) == (acknowledged == "true")
    step = comparison.spans[0].begin + first
    full_w = comparison.scene.outage.full_radio_w[1, step : step + 3]  # type: ignore[union-attr]
    assert given["true"] == pytest.approx(np.array([0.5, 0.5, 0.0]) * full_w + 300.0, rel=0.03)
    assert given["false"] == pytest.approx(full_w + 300.0, rel=0.03)
