"""The report page: one HTML file that works offline and asks no network for anything."""

from __future__ import annotations

import math
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plotly.offline import get_plotlyjs

from controller.report import sections, site_section
from controller.report.axis import time_axis
from controller.report.pagedata import CurvePoint, PageData, WorstCell
from controller.report.payload import Packer, deflated, script_json
from controller.report.sitedata import SitePage
from controller.report.words import (
    POLICY_MEANING,
    UNDEFINED,
    applicable,
    headline_policy,
    level_label,
    number,
    origin,
    percent,
    small_share,
)

MAX_POINTS = 3000  # of the plots over all cells; more would only slow the browser down
SCRIPTS = ("decode.js", "plots.js", "curve.js", "page.js")
SITE_SCRIPTS = ("site.js", "fleet.js")  # stand before page.js, only where there is site power


def write_page(path: Path, report: dict[str, Any], page: PageData, site: SitePage | None = None) -> None:
    """Write the self-contained page of a report.

    Parameters
    ----------
    path : file to write; an existing one is replaced.
    report : the document of report.json, see docs/report.md.
    page : the series that the plots draw.
    site : the series of site power, whose figures are ``report["site"]``; without it the page has no such section.

    Raises ValueError if a figure that the plots need is NaN or infinite.
    """
    packer = Packer()
    data = _data(report, page, packer)
    if site is not None:
        data["site"] = site_section.site_data(report["site"], site, packer)
    text = Template(_asset("page.html")).substitute(
        title=escape(f"quietcell: {report['trace']['source']}"),
        origin=escape(origin(report)),
        headline=sections.headline(report),
        assumed=sections.assumed(report),
        policies=sections.policies(report),
        level_shares=sections.level_shares(report),
        energy=sections.energy(report),
        site_link="" if site is None else '<a href="#site">Site power</a>\n',
        site="" if site is None else site_section.section(report["site"], site, _asset("site.html")),
        css=_asset("page.css") + ("" if site is None else _asset("site.css")),
        data=script_json(data | {"arrays": packer.manifest}),
        arrays=packer.packed(),
        plotly=deflated(get_plotlyjs().encode()),
        scripts="\n".join(_asset(name) for name in _scripts(site)),
    )
    path.write_text(text, encoding="utf-8")


def _scripts(site: SitePage | None) -> tuple[str, ...]:
    return SCRIPTS if site is None else (*SCRIPTS[:-1], *SITE_SCRIPTS, SCRIPTS[-1])


def _asset(name: str) -> str:
    return files("controller.report").joinpath("assets", name).read_text(encoding="utf-8")


def _data(report: dict[str, Any], page: PageData, packer: Packer) -> dict[str, Any]:
    ran = applicable(report)
    drawn = [name for name in report["policies"] if name in ran and name in page.policies]
    stride = max(1, math.ceil(len(page.offered) / MAX_POINTS))
    packer.ratio("offered", _mean_of(page.offered, stride))
    for name in drawn:
        series = page.policies[name]
        packer.ratio(f"level_share/{name}", _mean_of(series.level_share, stride).T)
        unscored = np.isnan(series.level_share).all(axis=1)
        packer.quantity(f"energy/{name}", _mean_of(np.where(unscored, np.nan, series.energy), stride))
    _pack_cells(page, packer)
    n_ticks = max(len(page.offered), page.cells.load.shape[1])
    headline = headline_policy(report)
    return {
        "headline": headline if headline in drawn else (drawn or [None])[0],
        "time": time_axis(page.first_tick, page.tick_s, n_ticks, page.time_zone, stride),
        "limits": report["limits"],
        "sigma": report.get("world_parameters", {}).get("traffic_path", {}).get("sigma"),
        "energy_unit": next((p["energy_unit"] for p in ran.values() if p.get("energy_unit")), ""),
        "levels": [{"name": name, "label": level_label(name)} for name in page.level_names],
        "reasons": page.reason_names,
        "policies": {name: _policy(name, report["policies"][name], page) for name in drawn},
        "curve": [_point(point) for point in page.curve],
        "cells": page.cells.cell_id,
        "cells_note": page.cells_note,
    }


def _pack_cells(page: PageData, packer: Packer) -> None:
    cells = page.cells
    packer.ratio("cell/load", cells.load)
    packer.ratio("cell/expected", cells.expected)
    packer.ratio("cell/upper", cells.upper)
    for name, level in cells.level.items():
        packer.index(f"cell/level/{name}", level)
    for name, reason in cells.reason.items():
        packer.index(f"cell/reason/{name}", reason)


def _mean_of(series: NDArray[np.floating[Any]], stride: int) -> NDArray[np.float64]:
    """Mean of each ``stride`` ticks along the first axis, NaN where all of them are."""
    padded = np.full((-(-len(series) // stride) * stride, *series.shape[1:]), np.nan)
    padded[: len(series)] = series
    groups = padded.reshape(-1, stride, *series.shape[1:])
    known = np.isfinite(groups)
    count = known.sum(axis=1)
    mean: NDArray[np.float64] = np.where(known, groups, 0).sum(axis=1) / np.maximum(count, 1)
    return np.where(count, mean, np.nan)


def _policy(name: str, policy: dict[str, Any], page: PageData) -> dict[str, Any]:
    keys = (
        "energy",
        "energy_saved_vs_none",
        "ee_gain_vs_none",
        "below_target_share",
        "unserved_share",
        "limits_held",
    )
    series = page.policies[name]
    return {
        "meaning": POLICY_MEANING.get(name, ""),
        **{key: policy.get(key) for key in keys},
        "energy_by_level": [float(energy) for energy in series.energy_by_level],
        "worst": [_worst(cell) for cell in series.worst_cells],
    }


def _worst(cell: WorstCell) -> dict[str, Any]:
    figures = (
        (cell.below_target_share, small_share),
        (cell.unserved_share, small_share),
        (cell.energy_saved_vs_none, percent),
        (cell.level_changes_per_day, number),
    )
    texts = [form(value) if math.isfinite(value) else UNDEFINED for value, form in figures]
    return {"cell": cell.cell_id, "figures": texts}


def _point(point: CurvePoint) -> dict[str, Any]:
    figures = (
        "target_mbit_s",
        "sigma",
        "ee_gain_vs_none",
        "energy_saved_vs_none",
        "below_target_share",
        "unserved_share",
    )
    return {
        "policy": point.policy,
        "label": point.label,
        **{name: _figure(getattr(point, name)) for name in figures},
        "limits_held": bool(point.limits_held),
    }


def _figure(value: float) -> float | None:
    """A number that JSON can hold; None for NaN and infinities."""
    return float(value) if math.isfinite(value) else None
