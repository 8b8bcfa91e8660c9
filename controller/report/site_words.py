"""The plain words and number formats of site power, shared by the page and the terminal table."""

from __future__ import annotations

import math

from controller.report.words import UNDEFINED, Figure, Report, applicable, count, number, percent, small_share

FIGURES = (
    Figure("bill", "Bill", "bill", number, "energy, demand charge and grid events, less what feed-in paid"),
    Figure("energy_cost", "Energy cost", "energy\ncost", number, "part of the bill for energy"),
    Figure("demand_cost", "Demand charge", "demand\ncharge", number, "part of the bill for the month's peak"),
    Figure("event_cost", "Grid events", "events", number, "part of the bill: penalties less rewards"),
    Figure("wear_cost", "Wear", "wear", number, "what passed the battery, at its price of wear"),
    Figure("cost", "Cost", "cost", number, "bill and wear"),
    Figure("saved_cost", "Saved cost", "saved\ncost", number, "cost of idle less cost"),
    Figure("saved_share", "Saved", "saved", percent, "share of the cost of idle"),
    Figure("captured_share", "Captured", "captured", percent, "share of what the oracle saves against idle"),
    Figure("peak_kw", "Peak [kW]", "peak\nkW", number, "highest billed import of a site"),
    Figure("import_kwh", "Import [kWh]", "kWh", number, "energy from the grid"),
    Figure("co2_kg", "CO2 [kg]", "CO2\nkg", number, "import at the grid's average emission factor"),
    Figure(
        "co2_marginal_kg", "Marginal CO2 [kg]", "marginal\nCO2 kg", number, "import at the marginal factor"
    ),
    Figure("green_share", "Green", "green", percent, "share of the energy used that came from the panels"),
    Figure("cycles_per_year", "Cycles per year", "cycles/a", number, "full cycles of the battery"),
    Figure("life_years", "Battery life [years]", "life\nyears", number, "of the pack that ages fastest"),
    Figure(
        "reserve_margin_kwh",
        "Reserve margin [kWh]",
        "margin\nkWh",
        number,
        "least stored energy above the reserve floor of any site while mains was present",
    ),
    Figure(
        "battery_max_c", "Hottest battery [°C]", "battery\n°C", number, "highest temperature of the cells"
    ),
    Figure("outages", "Outages", "outages", count, "mains failures"),
    Figure("outages_carried", "Outages carried", "carried", count, "of them, with no declared load shed"),
    Figure("outage_h", "Time in outages [h]", "outage\nh", number, "site-hours without mains"),
    Figure("outage_lost_h", "Time lost [h]", "lost\nh", number, "site-hours in outages with a load shed"),
    Figure("shed_kwh", "Shed [kWh]", "shed\nkWh", number, "loads not served"),
    Figure("guard_interventions", "Guard interventions", "guard", count, "steps that the guard changed"),
    Figure(
        "plan_gap", "Plan gap", "plan\ngap", small_share, "cost on the full physics over the plan's, less 1"
    ),
)
FIGURE = {figure.name: figure for figure in FIGURES}

POLICY_MEANING = {
    "idle": "the battery waits for an outage, the baseline",
    "rule": "charges in the valley, discharges in the peak",
    "threshold": "discharges above one limit on import",
    "plan": "plans ahead on forecasts, with a target for the month's peak",
    "plan_24h": "the same without the month's target",
    "oracle": "perfect foresight under the same rules: the ceiling",
}


def figure_text(policy: Report, name: str) -> str:
    """The figure as text, or a dash where it is null, absent or infinite."""
    value = policy.get(name)
    return UNDEFINED if value is None or not math.isfinite(value) else FIGURE[name].form(value)


def headline_policy(site: Report) -> str | None:
    """The policy to speak of first: ``plan``, else the one that saves most.

    ``idle`` and ``oracle`` are the two ends of the scale and never the headline. None where nothing else ran.
    """
    rest = {name: policy for name, policy in applicable(site).items() if name not in ("idle", "oracle")}
    if "plan" in rest:
        return "plan"
    return max(rest, key=lambda name: _saved(rest[name]), default=None)


def _saved(policy: Report) -> float:
    value = policy.get("saved_cost")
    return float("-inf") if value is None else float(value)
