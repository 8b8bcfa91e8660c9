"""What an inspection means for a planner: warnings with what to do about each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from traces.inspection import Inspection

QUIET_HOURS = range(1, 7)  # local hours in which real networks carry least
PLAUSIBLE_FULL_RATE_MBIT_S = (1.0, 20_000.0)


@dataclass(frozen=True, slots=True)
class Advice:
    """Something to know before trusting the trace."""

    finding: str
    remedy: str


def warnings_of(found: Inspection) -> list[Advice]:
    """All warnings, those about the record first."""
    parts = (_record, _units, _time, _use)
    return [Advice(finding, remedy) for part in parts for finding, remedy in part(found)]


Pairs = Iterator[tuple[str, str]]


def _record(found: Inspection) -> Pairs:
    gaps, rows = found.gaps, sum(found.set_aside.values())
    if rows:
        yield (
            f"{rows} rows were set aside.",
            "See the reasons and examples; correct the source if they are many.",
        )
    if gaps.share_inside > 0.02:
        yield (
            f"{gaps.share_inside:.1%} of the steps inside the cells' recordings are missing.",
            "Missing steps run awake and are left out of the figures; find out if files were lost.",
        )
    day, day_share = gaps.worst_day
    if day_share > max(0.25, 3 * gaps.share_inside):
        yield (
            f"On {day} {day_share:.0%} of the steps are missing, far more than on other days.",
            "Look for lost files of that day, or leave it out.",
        )
    if gaps.cells_without_data:
        yield (
            f"{len(gaps.cells_without_data)} cells of the cell table have no recorded load.",
            "They stay awake. Remove them from the table if they are not on air.",
        )
    if gaps.cells_under_two_days:
        yield (
            f"{gaps.cells_under_two_days} of {found.cells} cells have less than two days of data.",
            "Nothing daily can be learned from them alone; look at figures after the first 48 h too.",
        )
    if gaps.steps_without_data:
        yield (
            f"In {gaps.steps_without_data} steps no cell is recorded.",
            "The collection was down rather than the network: get the missing files if they exist.",
        )
    for cells, what in ((found.dead_cells, "are zero"), (found.constant_cells, "hold one value")):
        if cells:
            yield (
                f"{len(cells)} of {found.cells} cells {what} throughout, {cells[0]} among them.",
                "Check whether they were on air and their counters worked.",
            )
    if found.outliers.share > 0.002:
        yield (
            f"{found.outliers.share:.2%} of the loads are far from what the cell usually has at that hour.",
            "Look at the examples: events are real, counter errors must go.",
        )


def _units(found: Inspection) -> Pairs:
    load, rate = found.load, found.full_rate_mbit_s
    has_floor = load.share_at_lowest > 0.02 and load.lowest > 0 and found.steps >= 24
    if has_floor and not found.constant_cells:
        yield (
            f"{load.share_at_lowest:.1%} of the loads are exactly {load.lowest:g}, and none is lower.",
            "The source has a floor: what can be saved at low load is understated.",
        )
    if load.quantiles["0.99"] < 0.015:
        yield (
            f"99 % of the loads are below {load.quantiles['0.99']:.3f}.",
            "Check the unit: a ratio that was divided by 100 once too often looks like this.",
        )
    if load.share_censored > 0.001:
        yield (
            f"{load.share_censored:.1%} of the loads are above 0.9.",
            "There the demand may have been higher than what is recorded; the report counts them.",
        )
    low, high = PLAUSIBLE_FULL_RATE_MBIT_S
    if rate is not None and not low <= rate <= high:
        yield (
            f"Volume over load gives {rate:.3g} Mbit/s at full load.",
            "Check the unit of the volume; the schema wants bits per step.",
        )


def _time(found: Inspection) -> Pairs:
    quietest = found.shape.quietest_hour
    if quietest is not None and quietest not in QUIET_HOURS:
        yield (
            f"The quietest local hour is {quietest:02d} h in {found.time_zone}.",
            "Networks are quietest from 01 to 06 h: name the right zone with --time-zone.",
        )
    if found.days < 14:
        yield (
            f"The trace spans {found.days:.1f} days, {found.shape.weekend_days} of them on a weekend.",
            "It cannot show what repeats weekly: treat figures by weekday with care, or record two weeks.",
        )
    if found.load.trend is not None and not 0.67 <= found.load.trend <= 1.5:
        yield (
            f"The mean load of the last quarter is {found.load.trend:.1f} times that of the first.",
            "Average figures hide it: look at the end of the trace, or replay it in parts.",
        )


def _use(found: Inspection) -> Pairs:
    if not found.capacity_cells:
        yield (
            "There is no capacity cell: carrier shutdown cannot be judged.",
            "State candidates in the cell table, or assume overlap inside stations with --assume-overlay.",
        )
    if found.energy is None:
        yield (
            "No energy is measured.",
            "Savings rest on the hardware world alone; add site_energy to calibrate one.",
        )
    elif found.energy.covered_share < 0.95:
        yield (
            f"Energy is recorded for {found.energy.covered_share:.0%} of the recorded cell-time.",
            "A calibration uses that part only.",
        )
    if found.energy is not None and found.energy.unit != "Wh":
        yield (
            f"Energy is in the unit {found.energy.unit}, not in Wh.",
            "Shares and ratios hold; kWh, money and CO2 cannot be given.",
        )
