"""The terminal table: nothing cut, what was missed first and in red."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from controller.report.pagedata import PageData
from controller.report.table import print_table

Made = tuple[dict[str, Any], PageData]


def printed(report: dict[str, Any], width: int = 100, color: bool = False) -> str:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=color, color_system="standard" if color else None
    )
    print_table(report, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_nothing_is_cut_at_100_columns(made: Made) -> None:
    text = printed(made[0])
    assert "…" not in text
    assert max(len(line) for line in text.splitlines()) <= 100
    row = next(" ".join(line.split()) for line in text.splitlines() if line.startswith(" predictive"))
    assert row == "predictive +64.2 % 39.1 % 88.6 % 67.2 % 0.0032 % 0.0874 % 0.72 % 9.83 held"


@pytest.mark.parametrize("width", [60, 80])
def test_a_narrow_terminal_folds(made: Made, width: int) -> None:
    assert "…" not in printed(made[0], width)


def test_missed_limits_are_first_and_red(made: Made) -> None:
    lines = printed(made[0], color=True).splitlines()
    assert lines[0].startswith("\x1b[1;31mLIMITS MISSED by timer: unserved 0.21 % (limit 0.01 %)")
    first_row = lines[next(i for i, line in enumerate(lines) if "───" in line) + 1]
    assert "timer" in first_row
    assert "\x1b[1;31m" in first_row
    assert not any("\x1b[1;31m" in line for line in lines if "predictive" in line or "oracle" in line)


def test_the_line_under_the_table_says_what_was_run(made: Made) -> None:
    text = " ".join(printed(made[0]).split())
    assert "60 cells, 336 steps of 1 h; world 3gpp-cat1-set1; seed 1; 99.3 % of cell-time scored" in text
    assert "logged does not apply: the trace records no energy-saving activation" in text
    assert "against none" in text


def test_names_are_no_markup(made: Made) -> None:
    report = made[0]
    report["policies"]["[red]mine[/]"] = report["policies"].pop("threshold")
    report["trace"]["source"] = "[blink]trace[/blink]"
    text = printed(report, color=True)
    assert "[red]mine[/]" in text
    assert "[blink]trace[/blink]" in text


def test_a_partial_report_says_so(made: Made) -> None:
    assert "PARTIAL" in printed(made[0] | {"complete": False})
    assert "PARTIAL" not in printed(made[0])


def test_alarms_stand_under_the_table(made: Made) -> None:
    report = made[0]
    assert "ALARM: under threshold cells were locked awake for flapping 3 times" in printed(report)
    report["policies"]["threshold"]["alarms"] = 0
    assert "ALARM" not in printed(report)
