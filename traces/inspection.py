"""What a planner wants to know before trusting a trace: size, gaps, units, outliers, loads, daily shape."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traces.advice import Advice, warnings_of
from traces.gaps import Gaps, find_gaps
from traces.localhours import LocalHours, local_hours
from traces.outliers import Outliers, find_outliers
from traces.trace import Float32, SiteEnergy, Trace

BELOW = (0.05, 0.10, 0.15, 0.30, 0.50)  # loads; 0.15, 0.30, 0.50 are the load classes of TR 38.864
CENSORED = 0.9  # a load above may have been capped by the cell's capacity
QUANTILES = (0.01, 0.05, 0.25, 0.50, 0.75, 0.95, 0.99)
UNITS = {"dl_volume_bit": "bit per step", "ul_volume_bit": "bit per step", "active_users": "users"}


@dataclass(frozen=True, slots=True)
class Measure:
    """Range of one recorded measure, over all recorded cell-steps."""

    unit: str
    recorded_share: float
    lowest: float
    median: float
    highest: float


@dataclass(frozen=True, slots=True)
class Load:
    """Distribution of downlink PRB utilisation over recorded cell-time. All values are ratios."""

    mean: float
    quantiles: dict[str, float]  # "0.5" is the median
    share_below: dict[str, float]  # "0.1": share of cell-time with a load under 0.1
    share_censored: float  # above 0.9
    lowest: float
    share_at_lowest: float
    trend: float | None  # mean of the last quarter over that of the first; None under four weeks


@dataclass(frozen=True, slots=True)
class DailyShape:
    """Mean load per hour of local time, None where nothing is recorded, and recorded days, rounded."""

    workday: list[float | None]
    weekend: list[float | None]
    workdays: int
    weekend_days: int
    quietest_hour: int | None
    busiest_hour: int | None


@dataclass(frozen=True, slots=True)
class EnergyRecord:
    """Measured energy of base stations."""

    unit: str
    sites: int  # with some energy recorded
    recorded_share: float  # of the site-steps of these sites
    covered_share: float  # of recorded cell-steps: those whose site has energy recorded too
    median_per_step: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class Activation:
    """How an energy-saving level was used."""

    mean_share: float  # of recorded cell-time [ratio]
    cells: int  # in which it was ever active
    hours: list[int]  # local hours in which it was active for more than 1 % of cell-time
    idle_while_low: float  # share of cell-time with a load under 0.1 in which it was not active [ratio]


@dataclass(frozen=True, slots=True)
class Inspection:
    """Everything that ``inspect_trace`` finds. ``to_dict`` gives it as plain values for JSON."""

    source: str
    cells: int
    sites: int
    coverage_cells: int
    capacity_cells: int
    products: dict[str, int]
    start: str  # UTC, ISO 8601
    end: str  # end of the last step, UTC
    days: float
    steps: int
    step_s: int
    time_zone: str
    gaps: Gaps
    set_aside: dict[str, int]  # reason -> rows
    set_aside_examples: list[dict[str, str]]
    measures: dict[str, Measure]
    full_rate_mbit_s: float | None  # median of volume over load, None without volume
    load: Load
    outliers: Outliers
    constant_cells: list[str]  # one value throughout, and not zero
    dead_cells: list[str]  # zero throughout
    shape: DailyShape
    energy: EnergyRecord | None
    activation: dict[str, Activation]
    notes: list[str]
    warnings: list[Advice] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values: dicts, lists, text, finite numbers and None."""
        return asdict(self)


def inspect_trace(trace: Trace) -> Inspection:
    """Judge a trace. It is not changed; memory stays within a few times one of its arrays."""
    cells, local = trace.cells, local_hours(trace)
    dead, constant = _still_cells(trace)
    products = Counter(cells.product.tolist())
    end = trace.start + trace.n_steps * np.timedelta64(trace.step_s, "s")
    found = Inspection(
        source=trace.source,
        cells=trace.n_cells,
        sites=len(np.unique(cells.site_id)),
        coverage_cells=int((~cells.is_capacity).sum()),
        capacity_cells=int(cells.is_capacity.sum()),
        products={name or "unknown": count for name, count in products.most_common()},
        start=f"{trace.start.astype('datetime64[s]')}Z",
        end=f"{end.astype('datetime64[s]')}Z",
        days=trace.n_steps * trace.step_s / 86_400,
        steps=trace.n_steps,
        step_s=trace.step_s,
        time_zone=trace.time_zone,
        gaps=find_gaps(trace, local),
        set_aside=dict(trace.quarantine.counts),
        set_aside_examples=[asdict(problem) for problem in trace.quarantine.examples],
        measures={name: _measure(name, values) for name, values in trace.series().items()},
        full_rate_mbit_s=_full_rate(trace),
        load=_load(trace),
        outliers=find_outliers(trace, local.hour),
        constant_cells=constant,
        dead_cells=dead,
        shape=_daily_shape(trace.dl_prb_ratio, trace.step_s, local),
        energy=_energy(trace, trace.site_energy) if trace.site_energy else None,
        activation={
            level: _activation(trace.dl_prb_ratio, share, local) for level, share in trace.activation.items()
        },
        notes=list(trace.notes),
    )
    return replace(found, warnings=warnings_of(found))


def _measure(name: str, values: Float32) -> Measure:
    known = values[~np.isnan(values)]
    unit = UNITS.get(name, "ratio")
    if not len(known):
        return Measure(unit, 0.0, 0.0, 0.0, 0.0)
    share = len(known) / values.size
    return Measure(unit, share, float(known.min()), float(np.median(known)), float(known.max()))


def _full_rate(trace: Trace) -> float | None:
    """Median of the volume over the load, from cell-steps with a load of 0.1 to 0.9. [Mbit/s]"""
    if trace.dl_volume_bit is None:
        return None
    load = trace.dl_prb_ratio
    usable = (load > 0.1) & (load < CENSORED) & ~np.isnan(trace.dl_volume_bit)
    if not usable.any():
        return None
    return float(np.median(trace.dl_volume_bit[usable] / load[usable])) / trace.step_s / 1e6


def _load(trace: Trace) -> Load:
    load = np.sort(trace.dl_prb_ratio[~trace.missing])
    quarter = trace.n_steps // 4
    trend = None
    if trace.n_steps * trace.step_s >= 28 * 86_400:
        first, last = trace.dl_prb_ratio[:, :quarter], trace.dl_prb_ratio[:, -quarter:]
        if np.isfinite(first).any() and np.isfinite(last).any() and np.nanmean(first) > 0:
            trend = float(np.nanmean(last) / np.nanmean(first))
    return Load(
        mean=float(load.mean(dtype=np.float64)),
        quantiles={f"{q:g}": float(load[round(q * (len(load) - 1))]) for q in QUANTILES},
        share_below={f"{b:g}": float(np.searchsorted(load, np.float32(b)) / len(load)) for b in BELOW},
        share_censored=float(1 - np.searchsorted(load, np.float32(CENSORED), "right") / len(load)),
        lowest=float(load[0]),
        share_at_lowest=float(np.searchsorted(load, load[0], "right") / len(load)),
        trend=trend,
    )


def _still_cells(trace: Trace) -> tuple[list[str], list[str]]:
    """Cells that are zero throughout, and cells with one other value, of those recorded for a day."""
    recorded = (~trace.missing).sum(axis=1) * trace.step_s >= 86_400
    low = np.fmin.reduce(trace.dl_prb_ratio, axis=1)
    still = recorded & (low == np.fmax.reduce(trace.dl_prb_ratio, axis=1))
    ids = trace.cells.cell_id
    return ids[still & (low == 0)].tolist(), ids[still & (low > 0)].tolist()


def _daily_shape(load: Float32, step_s: int, local: LocalHours) -> DailyShape:
    recorded = ~np.isnan(load)
    total: NDArray[np.float64] = np.asarray(np.nansum(load, axis=0, dtype=np.float64))
    count = recorded.sum(axis=0)
    workday = _hourly_mean(total, count, local.hour, ~local.is_weekend)
    weekend = _hourly_mean(total, count, local.hour, local.is_weekend)
    all_days = _hourly_mean(total, count, local.hour, np.ones(len(count), np.bool_))
    known = {hour: mean for hour, mean in enumerate(all_days) if mean is not None}
    days = (count > 0) * (step_s / 86_400)
    return DailyShape(
        workday=workday,
        weekend=weekend,
        workdays=round(float(days[~local.is_weekend].sum())),
        weekend_days=round(float(days[local.is_weekend].sum())),
        quietest_hour=min(known, key=known.__getitem__) if len(known) == 24 else None,
        busiest_hour=max(known, key=known.__getitem__) if len(known) == 24 else None,
    )


def _hourly_mean(
    total: NDArray[np.float64], count: NDArray[np.intp], hour: NDArray[np.int8], wanted: NDArray[np.bool_]
) -> list[float | None]:
    sums = np.bincount(hour[wanted], weights=total[wanted], minlength=24)
    counts = np.bincount(hour[wanted], weights=count[wanted], minlength=24)
    return [float(s / c) if c else None for s, c in zip(sums.tolist(), counts.tolist(), strict=True)]


def _energy(trace: Trace, energy: SiteEnergy) -> EnergyRecord | None:
    recorded = ~np.isnan(energy.energy)
    known = energy.energy[recorded]
    if not len(known):
        return None
    row = {site: i for i, site in enumerate(energy.site_id.tolist())}
    row_of_cell = np.array([row.get(site, -1) for site in trace.cells.site_id.tolist()])
    with_site, load = row_of_cell >= 0, ~trace.missing
    covered = int((load[with_site] & recorded[row_of_cell[with_site]]).sum())
    return EnergyRecord(
        unit=energy.unit,
        sites=int(recorded.any(axis=1).sum()),
        recorded_share=float(recorded.mean()),
        covered_share=covered / int(load.sum()),
        median_per_step=float(np.median(known)),
        lowest=float(known.min()),
        highest=float(known.max()),
    )


def _activation(load: Float32, share: Float32, local: LocalHours) -> Activation:
    recorded = ~np.isnan(share)
    total: NDArray[np.float64] = np.asarray(np.nansum(share, axis=0, dtype=np.float64))
    count = recorded.sum(axis=0)
    by_hour = _hourly_mean(total, count, local.hour, np.ones(len(count), np.bool_))
    low = recorded & (load < 0.1)
    return Activation(
        mean_share=float(total.sum() / max(int(count.sum()), 1)),
        cells=int((np.nan_to_num(share) > 0).any(axis=1).sum()),
        hours=[hour for hour, mean in enumerate(by_hour) if mean is not None and mean > 0.01],
        idle_while_low=float((share[low] == 0).mean()) if low.any() else 0.0,
    )
