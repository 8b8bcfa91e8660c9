"""The terminal tables of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from controller.evaluation.against_logged import LOGGED, SAVED_VS_LOGGED
from controller.report.site_table import print_site_table
from controller.report.table import MISSED
from controller.report.words import UNDEFINED, limits_missed, number, with_levers

Report = dict[str, Any]

WIDTH = 100  # columns that the tables need
_ENERGY = {
    "ee_gain_vs_none": "efficiency gain\n[%]",
    "energy_saved_vs_none": "energy saved\n[%]",
    "captured_share": "captured\n[%]",
    "captured_share_beyond_symbol": "captured beyond\nsymbol [%]",
}
_SERVICE = {"unserved_share": "unserved\n[%]", "below_target_share": "below target\n[%]"}
_CHANGES = "level_changes_per_cell_day"
_OVER = "cells_over_limit_share"
_FIXED = ("none", "symbol", LOGGED)  # not in the table of savings against logged


def print_evaluation(document: Report, console: Console) -> None:
    """Print an evaluation document: missed limits in red, then tables for each trace and world, then gates."""
    for summary in document["summary"]:
        for name, what in limits_missed(_worst_seeds(summary)).items():
            where = f"{summary['trace']}, {summary['world']}"
            console.print(Text(f"LIMITS MISSED by {name} in {where}: {'; '.join(what)}", MISSED))
    if not document["complete"]:
        done = sum(run["complete"] for run in document["runs"])
        console.print(
            Text(f"PARTIAL: {done} of {document['n_replays']} replays were finished", "bold yellow")
        )
    for summary in document["summary"]:
        _print_summary(summary, document["bootstrap"], console)
    for run in document["runs"]:
        if "site" in run:
            console.print(Text(f"{run['trace']['source']} in {run['world']}, seed {run['seed']}", "bold"))
            print_site_table(run["site"], console)
    print_verdicts(document, console)


def print_verdicts(document: Report, console: Console) -> None:
    """Print what became of the gates, missed ones first and in red."""
    for verdict in sorted(document["gates"], key=lambda v: v["held"] is True):
        missed = verdict["held"] is not True
        console.print(Text(verdict_text(verdict), MISSED if missed else "green"), soft_wrap=True)


def verdict_text(verdict: Report) -> str:
    """One line: whether the gate is held, by how much and where it is worst."""
    gate = verdict["gate"]
    if verdict["held"] is None:
        return f"NOT JUDGED {gate}: {verdict['held_reason']}"
    where = (
        f" in {verdict['trace']}, {verdict['world']}, seed {verdict['seed']}" if "trace" in verdict else ""
    )
    if verdict["value"] is None:
        return f"MISSED {gate}: undefined{where}: {verdict['value_reason']}"
    by = f"by {abs(verdict['margin']):.4g}: worst value {verdict['value']:.6g}{where}"
    return f"{'held' if verdict['held'] else 'MISSED'} {gate} {by}"


def _print_summary(summary: Report, bootstrap: Report, console: Console) -> None:
    console.print(Text(f"\n{summary['trace']} in {summary['world']}{with_levers(summary)}", "bold"))
    console.print(_energy_table(summary))
    console.print(_service_table(summary))
    if any(policy.get(SAVED_VS_LOGGED) for policy in summary["policies"].values()):
        console.print(_logged_table(summary))
        for line in _unidentified(summary):
            console.print(Text(line, "dim"))
    if "forecast_shortfall" in summary:
        _print_shortfall(summary, console)
    for name, policy in summary["policies"].items():
        if not policy["applicable"]:
            console.print(Text(f"{name} does not apply: {policy['reason']}", "dim"))
    console.print(Text(_drawn(summary, bootstrap["confidence"]), "dim"))


def _drawn(summary: Report, confidence: float) -> str:
    """One line: what the values and the brackets are."""
    seeds = summary["seeds"]
    value = f"Seed {seeds[0]}" if len(seeds) == 1 else f"Mean of seeds {', '.join(map(str, seeds))}"
    days = f"{summary['n_days']} days"
    if summary["block_days"] > 1:
        days += f" in blocks of {summary['block_days']}"
    return f"{value} [{confidence:.0%} interval over {summary['n_groups']} groups of cells and {days}]."


def _table(*headings: str, whole_names: bool = False) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(headings[0], overflow="fold", no_wrap=whole_names)
    for heading in headings[1:]:
        table.add_column(heading, justify="right", overflow="fold")
    return table


def _rows(summary: Report) -> Iterator[tuple[str, Report, str | None]]:
    """Policies that ran, those that missed a limit first, with the style of their row."""
    ran = {name: policy for name, policy in summary["policies"].items() if policy["applicable"]}
    for name, policy in sorted(ran.items(), key=lambda item: item[1]["limits_held"]):
        yield escape(name), policy, None if policy["limits_held"] else MISSED


def _energy_table(summary: Report) -> Table:
    table = _table("policy", *_ENERGY.values(), whole_names=True)
    for name, policy, style in _rows(summary):
        table.add_row(name, *(_bracketed(policy[key], _percent) for key in _ENERGY), style=style)
    return table


def _service_table(summary: Report) -> Table:
    headings = (*_SERVICE.values(), "cells over\n[%]", "changes per\ncell-day", "limits")
    table = _table("policy", *headings, whole_names=True)
    for name, policy, style in _rows(summary):
        shares = (_bracketed(policy[key], _small) for key in _SERVICE)
        over = _small(policy[_OVER]["mean"])
        verdict = "held" if policy["limits_held"] else "MISSED"
        table.add_row(name, *shares, over, _bracketed(policy[_CHANGES], number), verdict, style=style)
    return table


def _logged_table(summary: Report) -> Table:
    """Savings against logged: all cells, then each product that has a level."""
    shown = {name: policy[SAVED_VS_LOGGED] for name, policy, _ in _rows(summary) if name not in _FIXED}
    table = _table("saved vs logged [%]\nproduct (stations)", *shown)
    if shown:
        every = next(iter(shown.values()))
        table.add_row(f"all ({every['n_stations']})", *(_bracketed(s, _percent) for s in shown.values()))
        for product, own in every["by_product"].items():
            if own["saving"] is not None:
                cells = (_bracketed(s["by_product"][product], _percent, "saving") for s in shown.values())
                table.add_row(escape(f"{_product(product)} ({own['n_stations']})"), *cells)
    return table


def _print_shortfall(summary: Report, console: Console) -> None:
    """What each forecast costs: the energy of ``predictive`` with it, and the share that the model closes."""
    found = summary["forecast_shortfall"]
    if found is None:
        console.print(Text(f"no forecast shortfall: {summary['forecast_shortfall_reason']}", "dim"))
        return
    base = found["energy"]["seasonal"]["mean"]
    table = _table(f"forecast of predictive\nfrom {found['from']} on", "energy\n[% of seasonal]", "limits")
    for word, energy in found["energy"].items():
        held = found["limits_held"][word]
        share = f"{100 * energy['mean'] / base:.2f}" if base > 0 else UNDEFINED
        table.add_row(
            word.replace("_", " "), share, "held" if held else "MISSED", style=None if held else MISSED
        )
    console.print(table)
    why = f": {found['closed_share_reason']}" if found["closed_share"] is None else " %"
    closed = _bracketed(found["closed_share"], _percent)
    days = f"over {found['n_days']} days"
    console.print(Text(f"forecast shortfall closed by the model {days}: {closed}{why}"))


def _unidentified(summary: Report) -> Iterator[str]:
    """Products without a saving against logged, with the reason."""
    some = next(p[SAVED_VS_LOGGED] for p in summary["policies"].values() if p.get(SAVED_VS_LOGGED))
    for product, own in some["by_product"].items():
        if own["saving"] is None:
            yield f"{_product(product)} ({own['n_stations']}): {own['saving_reason']}"


def _product(name: str) -> str:
    return name or "(no name)"


def _worst_seeds(summary: Report) -> Report:
    """The summary as a report in which each figure is that of the worst seed."""
    policies = {
        name: {key: max(value["by_seed"]) for key, value in policy.items() if isinstance(value, dict)}
        | {"limits_held": policy["limits_held"]}
        for name, policy in summary["policies"].items()
        if policy["applicable"]
    }
    return {"limits": summary["limits"], "policies": policies}


def _bracketed(figure: Report | None, form: Any, value: str = "mean") -> str:
    """``value [low, high]``; without brackets where there is no interval or it is a single point."""
    if figure is None:
        return UNDEFINED
    text = form(figure[value])
    if figure["low"] is None or figure["low"] == figure["high"] == figure[value]:
        return str(text)
    return f"{text} [{form(figure['low'])}, {form(figure['high'])}]"


def _percent(ratio: float) -> str:
    return f"{100 * ratio:.1f}".replace("-0.0", "0.0")


def _small(ratio: float) -> str:
    """A share that may be tiny, in percent with two digits that count."""
    return "<0.0001" if 0 < ratio < 1e-6 else f"{100 * ratio:.2g}"
