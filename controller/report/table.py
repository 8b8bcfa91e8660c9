"""The terminal table of a report."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from controller.report.words import (
    FIGURE,
    Report,
    applicable,
    figure_text,
    limits_missed,
    not_applicable,
    origin,
)

COLUMNS = (
    "ee_gain_vs_none",
    "energy_saved_vs_none",
    "captured_share",
    "captured_share_beyond_symbol",
    "unserved_share",
    "below_target_share",
    "cells_over_limit_share",
    "level_changes_per_cell_day",
)
MISSED = "bold red"


def print_table(report: Report, console: Console) -> None:
    """Print the policies of a report document; what missed a service limit comes first and in red."""
    missed = limits_missed(report)
    for name, what in missed.items():
        console.print(Text(f"LIMITS MISSED by {name}: {'; '.join(what)}", MISSED))
    if not report.get("complete", True):
        console.print(Text("PARTIAL: the run was stopped before its end", "bold yellow"))
    console.print(_table(report, set(missed)))
    for name, policy in applicable(report).items():
        if policy.get("alarms"):
            times = f"ALARM: under {name} cells were locked awake for flapping {policy['alarms']} times"
            console.print(Text(f"{times}; see docs/guards.md", "bold yellow"))
    for name, reason in not_applicable(report).items():
        console.print(Text(f"{name} does not apply: {reason}", "dim"))
    console.print(Text("Gains and savings are against none: every cell fully awake.", "dim"))
    console.print(Text(origin(report), "dim"))


def _table(report: Report, missed: set[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("policy", overflow="fold")  # a narrow terminal folds; it never cuts
    for key in COLUMNS:
        table.add_column(FIGURE[key].short, justify="right", overflow="fold")
    table.add_column("limits", overflow="fold")
    for name, policy in applicable(report).items():
        held = policy.get("limits_held")
        verdict = "MISSED" if name in missed else "held" if held else "not judged"
        cells = [figure_text(policy, key) for key in COLUMNS]
        table.add_row(escape(name), *cells, verdict, style=MISSED if name in missed else None)
    return table
