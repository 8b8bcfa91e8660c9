"""The terminal table of site power."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from controller.report.site_words import FIGURE, figure_text
from controller.report.words import applicable, not_applicable

MONEY = (
    "bill",
    "wear_cost",
    "cost",
    "saved_share",
    "captured_share",
    "plan_gap",
    "peak_kw",
    "import_kwh",
    "co2_kg",
    "co2_marginal_kg",
    "green_share",
)
BATTERY = (
    "cycles_per_year",
    "life_years",
    "reserve_margin_kwh",
    "battery_max_c",
    "outages",
    "outages_carried",
    "outage_lost_h",
    "shed_kwh",
    "guard_interventions",
)
SHOWN_ALARMS = 5


def print_site_table(site: dict[str, Any], console: Console) -> None:
    """Print the section ``site`` of a report: alarms, a table of money and one of batteries, then what to know."""
    alarmed = [row for row in site["sites"] if row.get("alarms")]
    for row in alarmed[:SHOWN_ALARMS]:
        console.print(Text(f"ALARM {row['site_id']}: {'; '.join(row['alarms'])}", "bold yellow"))
    if len(alarmed) > SHOWN_ALARMS:
        console.print(
            Text(f"ALARM at {len(alarmed) - SHOWN_ALARMS} more sites, see report.json", "bold yellow")
        )
    if not site["complete"]:
        console.print(Text("PARTIAL: site power was stopped before its end", "bold yellow"))
    title = f"Site power: {site['n_sites']} sites, tariff {site['tariff']}, money in {site['currency']}"
    console.print(Text(title, "bold"))
    console.print(_table(site, MONEY))
    console.print(_table(site, BATTERY))
    for name, reason in not_applicable(site).items():
        console.print(Text(f"{name} does not apply: {reason}", "dim"))
    for reason in dict.fromkeys(_reasons(site)):
        console.print(Text(f"{reason}.", "dim"))
    for note in site["notes"]:
        console.print(Text(note, "dim"))


def _table(site: dict[str, Any], wanted: tuple[str, ...]) -> Table:
    policies = applicable(site)
    columns = [key for key in wanted if any(policy.get(key) is not None for policy in policies.values())]
    if "green_share" in columns and not any(policy.get("green_share") for policy in policies.values()):
        columns.remove("green_share")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("policy", overflow="fold")
    for key in columns:
        table.add_column(FIGURE[key].short, justify="right", overflow="fold")
    for name, policy in policies.items():
        table.add_row(escape(name), *(figure_text(policy, key) for key in columns))
    return table


def _reasons(site: dict[str, Any]) -> list[str]:
    """Why shares that belong into the table are not in it."""
    return [
        str(policy["captured_share_reason"])
        for policy in applicable(site).values()
        if policy.get("captured_share") is None and "captured_share_reason" in policy
    ]
