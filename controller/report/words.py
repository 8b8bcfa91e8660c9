"""The plain words and number formats of a report, shared by the page and the terminal table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Report = dict[str, Any]
UNDEFINED = "–"  # noqa: RUF001  what stands where a figure is null


def percent(ratio: float) -> str:
    """A share with one decimal: 0.391 is '39.1 %'."""
    return f"{100 * ratio:.1f} %".replace("-0.0 %", "0.0 %")


def gain(ratio: float) -> str:
    """A change with its sign: 0.62 is '+62.0 %'."""
    return "0.0 %" if abs(ratio) < 5e-4 else f"{100 * ratio:+.1f} %"


def small_share(ratio: float) -> str:
    """A share that may be tiny, with three digits that count and no exponent: 8.74e-4 is '0.0874 %'."""
    value = 100 * ratio
    if value == 0:
        return "0 %"
    if abs(value) < 1e-6:
        return "<0.000001 %"
    decimals = min(max(0, 2 - math.floor(math.log10(abs(value)))), 8)
    text = f"{value:.{decimals}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def number(value: float) -> str:
    """A count or a quantity with three digits that count and thousands set apart: 12345.6 is '12,346'."""
    if value == 0:
        return "0"
    decimals = min(max(0, 2 - math.floor(math.log10(abs(value)))), 8)
    return f"{value:,.{decimals}f}"


def count(value: float) -> str:
    """A whole number with thousands set apart: 12345 is '12,345'."""
    return f"{value:,.0f}"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of ``policies.<name>``: its key, heading, short heading, format and meaning."""

    name: str
    label: str
    short: str
    form: Callable[[float], str]
    meaning: str


FIGURES = (
    Figure(
        "ee_gain_vs_none", "Efficiency gain", "efficiency\ngain", gain, "served bits per joule, against none"
    ),
    Figure(
        "energy_saved_vs_none", "Energy saved", "energy\nsaved", percent, "joules not spent, against none"
    ),
    Figure("captured_share", "Captured", "captured", percent, "share of what the oracle saves against none"),
    Figure(
        "captured_share_beyond_symbol",
        "Captured beyond symbol",
        "captured\nbeyond\nsymbol",
        percent,
        "share of what the oracle saves against symbol shutdown",
    ),
    Figure("unserved_share", "Unserved", "unserved", small_share, "traffic not carried, beyond none"),
    Figure(
        "below_target_share",
        "Below target",
        "below\ntarget",
        small_share,
        "traffic in minutes whose user throughput falls below the target",
    ),
    Figure(
        "cells_over_limit_share",
        "Cells over limit",
        "cells\nover\nlimit",
        small_share,
        "cells with more than 1 % of their own traffic below the target",
    ),
    Figure(
        "worst_cell_unserved_share",
        "Worst cell unserved",
        "worst cell",
        small_share,
        "unserved share of the cell that is served worst",
    ),
    Figure("throughput_loss_mean", "Throughput loss", "loss", percent, "mean over traffic, against none"),
    Figure("added_latency_ms_p95", "Added latency [ms]", "latency", number, "95th percentile"),
    Figure(
        "level_changes_per_cell_day",
        "Changes per cell-day",
        "changes/\ncell-day",
        number,
        "planned level changes",
    ),
    Figure(
        "emergency_wakes_per_cell_day", "Emergency wakes per cell-day", "wakes", number, "wakes by the guard"
    ),
    Figure("alarms", "Alarms", "alarms", number, "times that a cell was locked awake for flapping"),
    Figure("energy", "Energy", "energy", number, "over the scored cell-time"),
    Figure("energy_kwh", "Energy [kWh]", "kWh", number, "over the scored cell-time"),
    Figure("money_per_year", "Money per year", "money/a", number, "in the tariff's currency"),
    Figure("co2_kg_per_year", "CO2 [kg/year]", "CO2/a", number, "at the grid's emission factor"),
    Figure("wall_s", "Run time [s]", "run time", number, "wall clock"),
)
FIGURE = {figure.name: figure for figure in FIGURES}

POLICY_MEANING = {
    "none": "every cell fully awake, the baseline",
    "symbol": "symbol shutdown only, no loss of service",
    "timer": "sleeps by the clock",
    "threshold": "sleeps below one load threshold and wakes above another",
    "logged": "what the operator did, as the trace records it",
    "predictive": "plans ahead on a forecast quantile of the load",
    "predictive_seasonal": "the same with its seasonal filter, though a forecast model is given",
    "predictive_true": "the same with the traffic to come; like oracle no causal policy",
    "oracle": "perfect foresight under the same rules: the ceiling",
}

RF_CHANNEL = "rf_channel_"  # followed by the transceivers that stay on
OWN_LEVEL = "night_shutdown"  # of an operator; other levels that only one world has are as deep
DEPTH = ("full", "symbol", RF_CHANNEL, OWN_LEVEL, "carrier_shutdown", "deep_dormancy")
LEVEL_MEANING = {
    "full": "awake, empty symbols at active idle power",
    "symbol": "awake, empty symbols in micro sleep; no loss of service",
    "night_shutdown": "the operator's night level, as identified in the measured energy",
    "carrier_shutdown": "off air; candidate cells carry the traffic",
    "deep_dormancy": "off air and asleep as a whole; candidate cells carry the traffic",
}


def level_label(level: str) -> str:
    """The level in plain words; an unknown level keeps its own name."""
    if level.startswith(RF_CHANNEL):
        return _counted(level.removeprefix(RF_CHANNEL), "RF channel")
    return "symbol shutdown" if level == "symbol" else level.replace("_", " ")


def level_meaning(level: str) -> str:
    """What a cell does at the level."""
    if level.startswith(RF_CHANNEL):
        kept = level.removeprefix(RF_CHANNEL)
        return f"{_counted(kept, 'transceiver')} {'stays' if kept == '1' else 'stay'} on; less rate"
    return LEVEL_MEANING.get(level, "a level of this world")


def _counted(number: str, thing: str) -> str:
    return f"{number} {thing}" if number == "1" else f"{number} {thing}s"


def levels_used(report: Report) -> list[str]:
    """The levels at which any policy was, the shallowest first."""
    used = {level for policy in applicable(report).values() for level in policy.get("level_share") or {}}
    return sorted(used, key=_depth)


def _depth(level: str) -> tuple[int, int, str]:
    """Place of a level from shallow to deep; one of a world's own is between RF channels and the carrier."""
    if level.startswith(RF_CHANNEL):
        return DEPTH.index(RF_CHANNEL), -int(level.removeprefix(RF_CHANNEL)), level
    return DEPTH.index(level if level in DEPTH else OWN_LEVEL), 0, level


def figure_text(policy: Report, name: str) -> str:
    """The figure as text, or a dash where it is null or absent."""
    value = policy.get(name)
    return UNDEFINED if value is None else FIGURE[name].form(value)


def applicable(report: Report) -> dict[str, Report]:
    """The policies that ran, those that missed a limit first, else in the order of the report."""
    ran = {name: policy for name, policy in report["policies"].items() if policy.get("applicable", True)}
    return dict(sorted(ran.items(), key=lambda item: item[1].get("limits_held") is not False))


def not_applicable(report: Report) -> dict[str, str]:
    """The policies that could not run, with their reason."""
    found = report["policies"].items()
    return {
        name: policy.get("reason", "no reason given")
        for name, policy in found
        if not policy.get("applicable", True)
    }


def limits_missed(report: Report) -> dict[str, list[str]]:
    """For each policy outside the service limits, what it missed and by how much."""
    missed = {name: p for name, p in applicable(report).items() if p.get("limits_held") is False}
    return {name: list(_excess(report["limits"], p)) or ["its report says so"] for name, p in missed.items()}


def _excess(limits: Report, policy: Report) -> Iterator[str]:
    for name, limit in limits.items():
        value = policy.get(name)
        if name in FIGURE and value is not None and value > limit:
            form = FIGURE[name].form
            yield f"{FIGURE[name].label.lower()} {form(value)} (limit {form(limit)})"


def headline_policy(report: Report) -> str | None:
    """The policy to speak of first: the best gain within the limits, else the best gain.

    ``none`` and ``oracle`` are the two ends of the scale and never the headline. None where nothing else ran.
    """
    rest = {n: p for n, p in applicable(report).items() if n not in ("none", "oracle")}
    rest = {n: p for n, p in rest.items() if p.get("ee_gain_vs_none") is not None}
    return max(
        rest,
        key=lambda n: (rest[n].get("limits_held") is not False, rest[n]["ee_gain_vs_none"]),
        default=None,
    )


def undefined_figures(report: Report, words: Mapping[str, Figure] = FIGURE) -> list[str]:
    """One sentence for each reason why figures are null, with the figures and the policies it holds for."""
    found: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for name, policy in applicable(report).items():
        for key, value in policy.items():
            reason = policy.get(f"{key}_reason")
            if value is None and reason:
                figures, policies = found.setdefault(reason, ({}, {}))
                figures[words[key].label.lower() if key in words else key] = None
                policies[name] = None
    return [
        f"{', '.join(figures)} ({', '.join(policies)}): {reason}"
        for reason, (figures, policies) in found.items()
    ]


def step_text(seconds: float) -> str:
    """The length of a step: 900 is '15 min'."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size:g} {unit}"
    return f"{seconds:g} s"


def with_levers(parameters: Report) -> str:
    """What follows the name of a world in which levers are pulled; empty without any."""
    levers = parameters.get("levers", {})
    pulled = [name for name in ("light_sleep", "filling") if levers.get(name)]
    return f" with {' and '.join(pulled)}" if pulled else ""


def origin(report: Report) -> str:
    """One line: trace, world, seed and how much of the trace is scored."""
    trace = report["trace"]
    size = f"{trace['n_cells']:,} cells, {trace['n_steps']:,} steps of {step_text(trace['step_s'])}"
    scored = f"{percent(trace['scored_share'])} of cell-time scored"
    world = report["world"] + with_levers(report.get("world_parameters", {}))
    return f"{trace['source']}: {size}; world {world}; seed {report['seed']}; {scored}"


def flat(parameters: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested parameters as (dotted name, text) pairs."""
    if isinstance(parameters, dict):
        for key, value in parameters.items():
            yield from flat(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(parameters, list | tuple):
        yield prefix, ", ".join(str(value) for value in parameters)
    else:
        yield prefix, str(parameters)
