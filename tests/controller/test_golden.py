"""A golden transcript: every decision of a small site through a night that goes wrong three times.

After a change that is meant to move decisions, write the transcript anew with

    QUIETCELL_REGENERATE=1 .venv/bin/python -m pytest tests/controller/test_golden.py

read its diff, and say in the commit why it moved.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.replay.run import PolicyRun
from policies.policy import GUARD_REASONS, REASON_WORDS, Reason
from traces import Trace, make_cells

GOLDEN = Path(__file__).parent / "golden"
REGENERATE = "QUIETCELL_REGENERATE"
CELLS = ("low", "mid", "high")  # a coverage layer and two capacity layers, the upper one over both
START_H, STEPS_PER_H = 18, 4


def at(hour: float) -> int:
    """Step that begins at an hour of local time, counted on past midnight."""
    return round((hour - START_H) * STEPS_PER_H)


def site() -> Trace:
    """A day from 18 h to 18 h in Shanghai: a quiet night with an outage, a surge and a silent site."""
    hour = START_H + np.arange(24 * STEPS_PER_H) / STEPS_PER_H
    day = 0.5 - 0.5 * np.cos((hour - 3) / 24 * 2 * np.pi)
    load = np.array([[0.40], [0.30], [0.25]]) * (0.04 + 0.96 * day**1.5)
    load[1, at(25) : at(26)] = np.nan  # 01:00 the telemetry of one cell is lost
    load[:, at(27.5) : at(28.25)] += 0.3  # 03:30 a surge, while capacity cells are off air
    load[:, at(29.5) : at(30)] = 0  # 05:30 the whole site reports zeros
    return Trace(
        source="one site, one night",
        cells=make_cells(CELLS, {1: (0,), 2: (0, 1)}, site_id=["site"] * 3),
        start=np.datetime64("2025-03-03T10:00:00", "s"),
        step_s=900,
        time_zone="Asia/Shanghai",
        dl_prb_ratio=load.astype(np.float32),
    )


def transcript(run: PolicyRun, trace: Trace, level_names: tuple[str, ...]) -> str:
    """One line per cell and tick in which its level changes, or its reason changes from or to a guard's."""
    series = run.series
    assert series is not None
    level, reason = series.level[0], series.reason[0]
    unknown = [np.full(level.shape, np.nan)]
    expected, upper = (series.expected or unknown)[0], (series.upper or unknown)[0]
    lines = [f"{'time':5}  {'cell':4}  {'level':33}  offered  expected  upper  reason"]
    for tick in range(level.shape[1]):
        clock = f"{(START_H + tick // 4) % 24:02d}:{tick % 4 * 15:02d}"
        for i, cell in enumerate(CELLS):
            before = level[i, tick - 1] if tick else 1
            guarded = [int(reason[i, t]) in GUARD_REASONS for t in (max(tick - 1, 0), tick)]
            if before == level[i, tick] and guarded[0] == guarded[1] and tick:
                continue
            change = level_names[level[i, tick]]
            if before != level[i, tick]:
                change = f"{level_names[before]} -> {change}"
            numbers = (trace.dl_prb_ratio[i, tick], expected[i, tick], upper[i, tick])
            shown = [f"{x:.2f}" if np.isfinite(x) else "-" for x in numbers]
            why = REASON_WORDS[Reason(reason[i, tick])]
            lines.append(
                f"{clock}  {cell:4}  {change:33}  {shown[0]:>7}  {shown[1]:>8}  {shown[2]:>5}  {why}"
            )
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("policy", ["predictive", "threshold"])
def test_the_night_goes_as_written(policy: str, replay: Any, world: Any) -> None:
    trace = site()
    told = transcript(replay(policy, trace), trace, world.world.level_names)
    golden = GOLDEN / f"night_{policy}.txt"
    if os.environ.get(REGENERATE):
        golden.write_text(told, encoding="utf-8")
    written = golden.read_text(encoding="utf-8")
    if told != written:
        diff = difflib.unified_diff(
            written.splitlines(), told.splitlines(), "written", "told now", lineterm=""
        )
        how = (
            f"if this is meant: {REGENERATE}=1 .venv/bin/python -m pytest {Path(__file__).name}, and say why"
        )
        pytest.fail("\n".join([f"{golden.name} has changed:", *diff, how]), pytrace=False)
