"""The section ``site`` of report.json: what each site policy cost, saved and did to the reserve."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.site.comparison import IDLE, ORACLE, PLAN, SITE_POLICIES, Comparison
from controller.site.tally import life_years

Float64 = NDArray[np.float64]
NOTICED_WH = 1.0  # above the limit of an event, beyond rounding
LEAST_SAVING = 0.02  # of the bill: where the oracle saves less, a share of it says little


def site_section(comparison: Comparison) -> dict[str, Any]:
    """Totals over the sites for each policy, and one row per site under ``sites``."""
    made = comparison.made
    return {
        "schema": "quietcell.site-power/1",
        "complete": comparison.complete,
        "source": made.given.file.spec.source,
        "tariff": made.given.tariff.name,
        "currency": made.given.tariff.currency,
        "time_zone": made.given.tariff.spec.time_zone,
        "radio_policy": made.radio_policy,
        "n_sites": comparison.scene.n_sites,
        "start": f"{_moment(comparison, comparison.spans[0].begin)}Z",
        "end": f"{_moment(comparison, comparison.spans[-1].end)}Z",
        "n_months": len(comparison.spans),
        "notes": site_notes(comparison),
        "policies": {name: _policy(comparison, name) for name in SITE_POLICIES},
        "sites": site_rows(comparison),
    }


def site_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Figures of every site."""
    made = comparison.made
    by_policy = {name: _figures(comparison, name) for name in comparison.tallies}
    rows = []
    for i, site in enumerate(comparison.scene.site_id.tolist()):
        policies = {name: _row(own, by_policy, made.alarms, i) for name, own in by_policy.items()}
        row = {"site_id": site, "site_class": made.given.sites[i].backup_class, "policies": policies}
        rows.append(row | ({"alarms": made.alarms[i]} if made.alarms[i] else {}))
    return rows


def site_notes(comparison: Comparison) -> list[str]:
    """What a reader must know, one sentence each."""
    made, spans = comparison.made, comparison.spans
    scored = (spans[-1].end - spans[0].begin) / comparison.scene.steps_per_day
    learning = spans[0].begin / comparison.scene.steps_per_day
    notes = [
        f"Site power is scored over {scored:.1f} days; the {learning:.1f} days before only teach forecasts and rules.",
        f"The load of the sites is that of the radio policy {made.radio_policy}.",
        "Every policy begins and ends each billing month at the same stored energy.",
    ]
    weighed = {"price": "costs", "co2": "emits"}.get(made.given.file.spec.sleep_by)
    if weighed is not None:
        notes.append(
            f"predictive sleeps deeper where a kWh {weighed} more (sleep_by), inside the same limits; its "
            "share of what oracle saves counts energy all the same."
        )
    cut = [span.share for span in spans if span.share < 0.999]
    if cut and (comparison.scene.tariff.demand_price > 0).any():
        notes.append(
            f"{len(cut)} of {len(spans)} billing months are scored in part ({', '.join(f'{s:.0%}' for s in cut)}): "
            "their demand charge is cut to that share."
        )
    notes += _firm_notes(comparison)
    if comparison.scene.outage is not None:
        notes.append("Costs include what outages and recovery from them did; idle meets the same outages.")
    return notes


def _firm_notes(comparison: Comparison) -> list[str]:
    """A sentence where a plan broke an event that has no penalty."""
    if PLAN not in comparison.tallies:
        return []
    over_wh = comparison.tallies[PLAN].figures.get("event_firm_over_wh", np.zeros(1))
    broken = int((over_wh > NOTICED_WH).sum())
    if not broken:
        return []
    return [
        f"Events without a penalty asked for more than the batteries of {broken} sites could keep: their plans held "
        f"the nearest import that they can, {over_wh.sum() / 1000:,.1f} kWh above the limits in all."
    ]


def _moment(comparison: Comparison, step: int) -> np.datetime64:
    scene = comparison.scene
    moment: np.datetime64 = scene.start.astype("datetime64[s]") + np.timedelta64(step * scene.step_s, "s")
    return moment


def _figures(comparison: Comparison, name: str) -> dict[str, Float64]:
    """The figures of a policy with those that follow from them. (n,) each"""
    own = dict(comparison.tallies[name].figures)
    own["bill"] = own["energy_cost"] + own["demand_cost"] + own["event_cost"]
    own["cost"] = own["bill"] + own["wear_cost"]
    own["life_years"] = life_years(comparison.scene, own)
    return own


def _policy(comparison: Comparison, name: str) -> dict[str, Any]:
    if name not in comparison.tallies:
        return {
            "applicable": False,
            "reason": "the comparison was stopped before this policy was computed",
        }
    by_policy = {other: _figures(comparison, other) for other in comparison.tallies}
    return {"applicable": True, **_row(by_policy[name], by_policy, comparison.made.alarms, None)}


def _row(
    own: dict[str, Float64], by_policy: dict[str, dict[str, Float64]], alarms: list[list[str]], i: int | None
) -> dict[str, Any]:
    """Figures of one site, or over all where ``i`` is None."""

    def total(values: Float64) -> float:
        return float(values.sum() if i is None else values[i])

    def extreme(values: Float64, pick: Any) -> float:
        return float(pick(values) if i is None else values[i])

    hours = total(own["hours"])
    n = len(own["hours"]) if i is None else 1
    used_wh = total(own["pv_used_wh"])
    years = hours / n / 8760
    row: dict[str, Any] = {
        name: total(own[name]) for name in ("bill", "energy_cost", "demand_cost", "wear_cost", "cost")
    }
    if any(figures["event_cost"].any() for figures in by_policy.values()):
        row["event_cost"] = total(own["event_cost"])
    if "event_over_wh" in own:
        row["event_over_kwh"] = total(own["event_over_wh"]) / 1000
    row |= _savings({name: total(figures["cost"]) for name, figures in by_policy.items()}, total(own["cost"]))
    row |= {
        "peak_kw": extreme(own["peak_w"], np.max) / 1000,
        "import_kwh": total(own["import_wh"]) / 1000,
        **_emissions(own, total),
        "green_share": used_wh / max(used_wh + total(own["import_wh"]), 1e-9),
        "cycles_per_year": total(own["cycles"]) / n / years,
        "life_years": extreme(own["life_years"], np.min),
        "reserve_margin_kwh": round(extreme(own["reserve_margin_wh"], np.min)) / 1000,  # in whole Wh
        "battery_max_c": extreme(own["battery_max_c"], np.max),
    }
    if "outages" in own:
        row |= {name: round(total(own[name])) for name in ("outages", "outages_carried")}
        row |= {"outage_h": total(own["outage_h"]), "outage_lost_h": total(own["outage_lost_h"])}
        row["shed_kwh"] = total(own["shed_wh"]) / 1000
    row["guard_interventions"] = round(total(own["guard_interventions"]))
    row["alarms"] = sum(map(len, alarms)) if i is None else len(alarms[i])
    if "planned_cost" in own:
        row["plan_gap"] = (
            total(own["cost"]) / total(own["planned_cost"]) - 1 if total(own["planned_cost"]) > 0 else None
        )
        if row["plan_gap"] is None:
            row["plan_gap_reason"] = "the plan cost nothing"
    return row


def _emissions(own: dict[str, Float64], total: Any) -> dict[str, Any]:
    if "co2_g" in own:
        found: dict[str, Any] = {"co2_kg": total(own["co2_g"]) / 1000}
    else:
        found = {
            "co2_kg": None,
            "co2_kg_reason": "neither tariff nor sites file states what a kWh of the grid emits",
        }
    if "co2_marginal_g" in own:
        found["co2_marginal_kg"] = total(own["co2_marginal_g"]) / 1000
    return found


def _savings(costs: dict[str, float], cost: float) -> dict[str, Any]:
    """What is saved against idle, and how much of what the oracle saves."""
    idle, oracle = costs.get(IDLE), costs.get(ORACLE)
    if idle is None:
        why = f"{IDLE} was not computed"
        return {
            k: v
            for key in ("saved_cost", "saved_share", "captured_share")
            for k, v in ((key, None), (f"{key}_reason", why))
        }
    found: dict[str, Any] = {"saved_cost": idle - cost}
    found["saved_share"] = (idle - cost) / idle if idle > 0 else None
    if idle <= 0:
        found["saved_share_reason"] = f"{IDLE} costs nothing"
    possible = None if oracle is None else idle - oracle
    worth = possible is not None and possible > LEAST_SAVING * abs(idle)
    found["captured_share"] = (idle - cost) / possible if possible is not None and worth else None
    if not worth:
        found["captured_share_reason"] = (
            f"{ORACLE} was not computed"
            if possible is None
            else f"{ORACLE} saves {possible:.2f}, under {LEAST_SAVING:.0%} of what {IDLE} costs: look at the money"
        )
    return found
