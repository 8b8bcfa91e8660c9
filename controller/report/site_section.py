"""The page's section on site power: cards and tables as escaped HTML, and what its scripts draw."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from string import Template
from typing import Any

import numpy as np

from controller.report.axis import time_axis
from controller.report.payload import Packer
from controller.report.sections import escape, framed
from controller.report.site_words import FIGURE, POLICY_MEANING, figure_text, headline_policy
from controller.report.sitedata import SitePage
from controller.report.words import UNDEFINED, Report, applicable, not_applicable, undefined_figures

MAIN = (
    "bill",
    "wear_cost",
    "cost",
    "saved_share",
    "captured_share",
    "peak_kw",
    "co2_kg",
    "green_share",
    "cycles_per_year",
    "life_years",
    "reserve_margin_kwh",
)
FURTHER = (
    "energy_cost",
    "demand_cost",
    "event_cost",
    "saved_cost",
    "import_kwh",
    "co2_marginal_kg",
    "battery_max_c",
    "outages",
    "outages_carried",
    "outage_h",
    "outage_lost_h",
    "shed_kwh",
    "guard_interventions",
    "plan_gap",
)
# of the table with one row per site
FLEET = (
    "cost",
    "saved_share",
    "captured_share",
    "peak_kw",
    "reserve_margin_kwh",
    "outages",
    "outages_carried",
    "battery_max_c",
    "life_years",
)
NOTES_SHOWN = 10
FLEET_PLOTS = ("saved_share", "cost", "peak_kw", "reserve_margin_kwh", "battery_max_c", "life_years")


def section(site: Report, page: SitePage, template: str) -> str:
    """The section as HTML.

    Parameters
    ----------
    site : ``report["site"]``.
    page : the series and the fleet.
    template : assets/site.html.
    """
    return Template(template).substitute(
        cautions=_cautions(site),
        cards=_cards(site),
        policies=_policies(site),
        currency=escape(str(site.get("currency", page.currency))),
    )


def _cautions(site: Report) -> str:
    told = []
    if not site.get("complete", True):
        told.append("Stopped before its end: these figures cover only what was done until then.")
    alarmed = site.get("n_alarms", 0)
    if alarmed:
        told.append(
            f"{alarmed:,} {'site raises' if alarmed == 1 else 'sites raise'} alarms, see All sites below."
        )
    return "".join(f'<p class="caution" role="alert">{escape(sentence)}</p>' for sentence in told)


def _cards(site: Report) -> str:
    name = headline_policy(site)
    if name is None:
        return "<p>No policy ran but the two ends of the scale, idle and oracle.</p>"
    body = "".join(
        f"<div><dt>{escape(title)}</dt><dd><b>{escape(value)}</b><span>{escape(note)}</span></dd></div>"
        for title, value, note in _headline_figures(site, name)
    )
    meaning = f": {escape(POLICY_MEANING[name])}" if name in POLICY_MEANING else ""
    return (
        f"<p><strong>{escape(name)}</strong>{meaning}. The baseline is <strong>idle</strong>: "
        f'{escape(POLICY_MEANING["idle"].removesuffix(", the baseline"))}.</p><dl class="cards">{body}</dl>'
    )


def _headline_figures(site: Report, name: str) -> Iterator[tuple[str, str, str]]:
    """(title, value, note) of each card."""
    ran = applicable(site)
    policy, idle = ran[name], ran.get("idle", {})
    money = f"{figure_text(policy, 'saved_cost')} {site.get('currency', '')} of bill and wear, against idle"
    yield "Saved", figure_text(policy, "saved_share"), money
    yield (
        "Captured",
        figure_text(policy, "captured_share"),
        "of what perfect foresight saves under the same rules",
    )
    yield (
        "Highest import",
        _with_unit(policy, "peak_kw", "kW"),
        f"of a site; {_with_unit(idle, 'peak_kw', 'kW')} under idle",
    )
    margin = policy.get("reserve_margin_kwh")
    below = margin is not None and margin < 0
    yield (
        "Reserve margin",
        _with_unit(policy, "reserve_margin_kwh", "kWh"),
        f"{'below' if below else 'least above'} the reserve floor, of any site while mains was present",
    )
    if policy.get("outages") is not None:
        lost = figure_text(policy, "outage_lost_h")
        carried = f"{figure_text(policy, 'outages_carried')} of {figure_text(policy, 'outages')}"
        yield (
            "Outages carried",
            carried if policy["outages"] else "none came",
            f"time with a load shed: {lost}\u00a0h",
        )


def _with_unit(policy: Report, name: str, unit: str) -> str:
    text = figure_text(policy, name)
    return text if text == UNDEFINED else f"{text}\u00a0{unit}"


def _policies(site: Report) -> str:
    notes = [
        *undefined_figures(site, FIGURE),
        *(f"{name} does not apply: {why}" for name, why in not_applicable(site).items()),
        *site.get("notes", []),
    ]
    meanings = "".join(
        f"<div><dt>{escape(FIGURE[name].label)}</dt><dd>{escape(FIGURE[name].meaning)}</dd></div>"
        for name in (*MAIN, *FURTHER)
    )
    further = _table(site, FURTHER, "Further figures of site power")
    return (
        _table(site, MAIN, "Policies of site power against idle")
        + _notes(notes)
        + f"<details><summary>Further figures</summary>{further}</details>"
        + f'<details><summary>What the columns mean</summary><dl class="meanings">{meanings}</dl></details>'
    )


def _notes(notes: list[str]) -> str:
    """The first notes, and the rest of a long list behind a line that opens it."""
    shown, rest = (
        "".join(f"<li>{escape(note)}</li>" for note in part)
        for part in (notes[:NOTES_SHOWN], notes[NOTES_SHOWN:])
    )
    more = f"<details><summary>{len(notes) - NOTES_SHOWN} more notes</summary>" if rest else ""
    listed = f'<ul class="notes">{shown}</ul>' if shown else ""
    return listed + (f'{more}<ul class="notes">{rest}</ul></details>' if rest else "")


def _table(site: Report, names: Iterable[str], caption: str) -> str:
    """One row per policy; a column that no policy has a figure or a reason for is left out."""
    ran = applicable(site)
    shown = [name for name in names if any(name in policy for policy in ran.values())]
    head = "".join(f'<th scope="col">{escape(FIGURE[name].label)}</th>' for name in shown)
    rows = "".join(_row(name, policy, shown) for name, policy in ran.items())
    return framed(caption, f'<th scope="col">Policy</th>{head}', rows)


def _row(name: str, policy: Report, shown: Iterable[str]) -> str:
    cells = "".join(f"<td>{escape(figure_text(policy, figure))}</td>" for figure in shown)
    meaning = f"<small>{escape(POLICY_MEANING[name])}</small>" if name in POLICY_MEANING else ""
    return f'<tr><th scope="row">{escape(name)}{meaning}</th>{cells}</tr>'


def site_data(site: Report, page: SitePage, packer: Packer) -> dict[str, Any]:
    """What the scripts of the section read; the series go to the packer under ``site/<name>``."""
    for name, array in page.series.items():
        packer.quantity(f"site/{name}", np.where(np.isfinite(array), array, np.nan))
    ran = applicable(site)
    drawn = [name for name in page.policy_names if name in ran]
    headline = headline_policy(site)
    time = time_axis(page.start, page.step_s, page.n_steps, page.time_zone)
    first_day_ms = time["first_local_ms"] + page.day_first_step * page.step_s * 1000
    return {
        "time": time,
        "first_day_ms": first_day_ms if page.day_first_step < page.n_steps else None,
        "sites": page.site_id,
        "policies": drawn,
        "headline": headline if headline in drawn else next(iter(drawn), None),
        "currency": page.currency,
        "note": page.series_note,
        "fleet": _fleet(page),
    }


def _fleet(page: SitePage) -> dict[str, Any]:
    """The fleet by columns: names of sites, then for each policy and figure one value per site."""
    rows = page.fleet
    names = list(dict.fromkeys(name for row in rows for name in row["policies"]))
    known = [f for f in FLEET if any(f in row["policies"].get(p, {}) for row in rows for p in names)]
    return {
        "sites": [row["site_id"] for row in rows],
        "classes": [row.get("site_class", "") for row in rows]
        if any("site_class" in r for r in rows)
        else [],
        "alarms": [[str(alarm) for alarm in row.get("alarms") or []] for row in rows],
        "policies": names,
        "columns": [_column(name) for name in known],
        "plots": [name for name in FLEET_PLOTS if name in known],
        "figures": {
            policy: {
                name: [_finite(row["policies"].get(policy, {}).get(name)) for row in rows] for name in known
            }
            for policy in names
        },
    }


def _column(name: str) -> dict[str, Any]:
    figure = FIGURE[name]
    return {"name": name, "label": figure.label, "form": figure.form.__name__}


def _finite(value: float | None) -> float | None:
    """Six digits that count; None for what JSON cannot hold."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")
