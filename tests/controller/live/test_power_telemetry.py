"""What power agents measure: sites that change their agent, and meters that show what cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from controller.live.events import CLEARED, Alarm
from controller.live.power.events import PowerReported
from controller.live.power.fleet import PowerAgent
from controller.live.power.plausible import LARGEST_IMPORT, LIMITED
from hw.adapters.power import PowerReport
from tests.controller.live.power_trial import AgentOverPlant, PowerTrial

DEAR_S = 6 * 3600  # after the trace's begin the dear hours are on
ABSURD = 1e300


def kept_report(trial: PowerTrial) -> PowerReport:
    """What the agent's first report on a new stream would be: all samples that it keeps."""
    return trial.agent.runner._report(trial.agent.runner.samples.after(0)[1], is_new=True)


def test_a_site_that_another_agent_had_takes_no_sample_older_than_its_last(tmp_path: Path) -> None:
    trial = PowerTrial(tmp_path)
    trial.run(600, plans=False)
    telemetry, had = trial.power.telemetry, trial.power.fleet.agents[0]
    assert telemetry.trusted.all()
    other = PowerAgent("other", 1, power=had.power)
    other.cells, other.places = had.cells, had.places
    report, last_us = kept_report(trial), telemetry.end_us.copy()
    n_samples = report.soc.shape[1]
    assert n_samples > 3
    assert telemetry.take(other, report, trial.clock.unix_us()) == (n_samples, 0)
    assert (telemetry.end_us == last_us).all()
    trial.run(60, plans=False)
    newest = kept_report(trial)
    assert telemetry.take(had, newest, trial.clock.unix_us())[0] == newest.soc.shape[1], "it has it already"
    assert telemetry.trusted.all()
    assert (telemetry.end_us > last_us).all()


def test_each_site_counts_the_time_since_its_own_last_sample(tmp_path: Path) -> None:
    trial = PowerTrial(tmp_path)
    trial.run(600, plans=False)
    telemetry = trial.power.telemetry
    telemetry.end_us[0] -= 300_000_000  # it was at an agent that went away earlier
    seen: list[tuple[list[int], float]] = []
    telemetry._check = lambda sites, *told: seen.append((sites.tolist(), told[-1]))  # type: ignore[method-assign]
    trial.run(60, plans=False)
    assert seen == [([1], 60.0), ([0], 360.0)]


def says(trial: PowerTrial, names: Sequence[str], site: slice) -> None:
    """From now on the agent says of ``site`` what cannot be."""
    honest: Any = AgentOverPlant.report

    def absurd() -> PowerReported:
        report = honest(trial.agent).report
        values = {name: getattr(report, name).copy() for name in names}
        for value in values.values():
            value[site] = ABSURD
        return PowerReported(replace(report, **values))

    trial.agent.report = absurd  # type: ignore[method-assign]


def test_what_cannot_be_is_not_used(tmp_path: Path) -> None:
    trial = PowerTrial(tmp_path)
    trial.run(300, plans=False)
    telemetry = trial.power.telemetry
    for name in LIMITED:
        says(trial, [name], slice(0, 1))
        trial.run(60, plans=False)
        kept = getattr(telemetry, "battery_w" if name == "battery_a" else name)
        assert np.isnan(kept[0])
        assert np.isfinite(kept[1])
        assert telemetry.trusted.tolist() == [name != "battery_a", True]


def test_absurd_loads_and_imports_neither_discharge_a_battery_nor_make_a_peak(tmp_path: Path) -> None:
    trial = PowerTrial(tmp_path, now_s=DEAR_S)
    trial.run(900)
    says(trial, ["load_w", "import_w"], slice(None))
    trial.run(1800)
    inputs = trial.power.planner.inputs
    assert trial.power.leases.is_leased.all(), "at the rated load"
    assert (trial.power.leases.battery_w <= 1.1 * inputs.upper_dc_w).all()
    assert (trial.power.planner._peak_w < LARGEST_IMPORT * inputs.import_cap_w).all()
    assert (trial.power.planner._peak_w < 100_000).all()
    assert trial.power.alarms.set_aside["measurement of a site beyond what it can be"] == 2 * 2 * 30
    texts = [record.text for record in trial.records if isinstance(record, Alarm)]
    assert sum("not used: load_w, import_w" in text for text in texts) == 2, "once a site"
    says(trial, [], slice(None))
    trial.run(60)
    over = [record for record in trial.records if isinstance(record, Alarm) and record.severity == CLEARED]
    assert sum("not used" in record.text for record in over) == 2
