"""An explanation at the terminal: sentences, and for a replay a table of the levels."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from controller.cli.console import plain, utc_text
from controller.report.words import level_label

if TYPE_CHECKING:
    from hw.adapters.control import CellExplanation, LevelOutlook

Document = dict[str, Any]


def print_explanation(document: Document, console: Console) -> None:
    """Print a document quietcell.explanation/1."""
    cell, tick = document["cell"], document["tick"]
    of = f" over {', '.join(cell['candidates'])}" if cell["role"] == "capacity" else ""
    lines = [
        f"{cell['cell_id']}, {cell['role']} cell{of}, site {cell['site_id']}; {tick['local']} "
        f"{tick['time_zone']} ({tick['begin']}), for {tick['length_s'] // 60} min",
        f"{document['policy']} in world {document['world']}, profile {document['profile']}, seed "
        f"{document['seed']}{', guard loop on' if document['guard_loop'] else ''}; {document['trace']}",
        "",
        *_decision(document["decision"]),
        *_saving(document["counterfactual"], document["decision"]),
    ]
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
    console.print(_levels(document))
    for line in (*_forecast(document), *_came(document), *_group(document["group"])):
        console.print(line, markup=False, soft_wrap=True)


def print_last_plan(told: CellExplanation, console: Console) -> None:
    """Print what a running controller tells of its last plan for a cell."""
    now = told.now
    lines = [
        f"{now.cell_id}, agent {now.agent_id or 'none'}; planned for {told.length_s // 60} min from"
        f" {utc_text(told.begin_unix_us)} on",
        f"Decision: {_change(told.before, told.planned.level)}: {told.reason_words};"
        f" full service {_seconds(told.wake_s)}",
    ]
    if told.guard_words:
        lines.append(f"  the planner wanted {level_label(told.wanted)}; {told.guard_words}")
    lines += _saving(_weighed(told), {"level": told.planned.level})
    at = f"commanded {level_label(now.commanded)}, reported {level_label(now.reported)}"
    lines.append(f"Now: {at} ({now.reason}){', by hand' * now.is_local}{', STUCK' * now.is_stuck}")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def _weighed(told: CellExplanation) -> Document:
    """As in a document quietcell.explanation/1."""

    def level(one: LevelOutlook) -> Document:
        return {**plain(asdict(one)), "off_air": one.is_off_air}

    return {
        **level(told.planned),
        "energy_unit": told.energy_unit,
        "upper": told.upper,
        "upper_probability": told.upper_probability,
        "deeper": None if told.deeper is None else level(told.deeper),
    }


def _decision(made: Document) -> list[str]:
    found = [f"Decision: {_change(made['before'], made['level'])}: {made['reason']}"]
    if made["guard"] is not None:
        found.append(f"  the planner wanted {level_label(made['wanted'])}; {made['guard']}")
    until = "no other level followed within a day or before the end of the trace"
    if made["until"] is not None:
        until = f"until {made['until_local']}, then {level_label(made['then'])}"
    found.append(
        f"  at this level since {made['since_local']}; {until}; full service {_seconds(made['wake_s'])}"
    )
    return found


def _change(before: str, level: str) -> str:
    label = level_label(level)
    return f"stays at {label}" if before == level else f"{level_label(before)} -> {label}"


def _seconds(wake_s: float) -> str:
    return f"takes {wake_s:g} s to return" if wake_s > 0 else "returns at once"


def _saving(weighed: Document, made: Document) -> list[str]:
    if weighed["saving"] is None:
        return ["Nothing is forecast, so nothing can be said about other levels."]
    unit, upper = weighed["energy_unit"], weighed["upper"]
    found = [
        f"Expected to save {_energy(weighed, unit)} against symbol shutdown. Load stays under {upper:.1%} with "
        f"probability {weighed['upper_probability']:g}; {level_label(made['level'])} {_limit(weighed)}."
    ]
    if (deeper := weighed["deeper"]) is not None:
        found.append(
            f"Next deeper, {level_label(deeper['level'])}: {_energy(deeper, unit)}, {_limit(deeper)}."
        )
    else:
        found.append("There is no deeper level that it may use.")
    return found


def _energy(saved: Document, unit: str) -> str:
    if saved["saving_wh"] is not None:
        return f"{saved['saving_wh']:.3g} Wh"
    return f"{saved['saving']:.3g} {unit}"


def _limit(level: Document) -> str:
    if level["limit"] is None:
        return "keeps its target at any load"
    what = "leaves room at its candidates for" if level["off_air"] else "keeps its target up to"
    return f"{what} {level['limit']:.1%}"


def _levels(document: Document) -> Table:
    table = Table(box=box.SIMPLE)
    for column in ("level", "load limit", "P(over)", "power", "priced risk", "wakes in", "verdict"):
        table.add_column(column, justify="left" if column in ("level", "verdict") else "right")
    for row in document["levels"]:
        known = row["over"] is not None
        table.add_row(
            level_label(row["level"]),
            "-" if row["limit"] is None else f"{row['limit']:.1%}",
            f"{row['over']:.2%}" if known else "-",
            f"{row['power']:.4g}" if known else "-",
            "-" if row["risk"] is None else f"{row['risk']:.2f}",
            f"{row['wake_s']:g} s",
            row["verdict"],
            style="bold" if row["verdict"] == "chosen" else None,
        )
    return table


def _forecast(document: Document) -> list[str]:
    made = document["forecast"]
    if made is None:
        return ["No forecast."]
    median, upper = (" ".join(f"{value:.1%}" for value in row) for row in made["load"])
    return [f"Forecast of the coming ticks: median {median}; {made['probabilities'][1]:g} quantile {upper}"]


def _came(document: Document) -> list[str]:
    came = document["came"]
    if came["mean"] is None:
        return ["What came: nothing was recorded in this tick."]
    found = [
        f"What came: load {came['mean']:.1%} on average, {came['highest']:.1%} in the highest minute, "
        f"{came['over_limit_s'] // 60} min over the limit of the level"
    ]
    if document["guard_loop"]:
        wakes = ", ".join(came["guard_loop_wakes"]) or "none"
        found.append(
            f"Guard loop: woken for {came['guard_loop_woken_s'] // 60} min of the tick; wakes at: {wakes}"
        )
    return found


def _group(group: list[Document]) -> list[str]:
    if not group:
        return []
    return [
        "Planned together with:",
        *(f"  {one['cell_id']}: {level_label(one['level'])}; {one['reason']}" for one in group),
    ]
