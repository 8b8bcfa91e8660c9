"""What power agents measured: the newest of each site, whether its charge is to be believed, and means by plan step."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from controller.live.observing import SECOND_US
from controller.live.power.fleet import Float64, PowerAgent
from hw.adapters.power import PowerReport
from hw.power.plant import Plant
from policies.site.soc_check import Cells, Report, check_charge, unknown_charge

AHEAD_US = 180 * SECOND_US  # that a sample may end after the last tick: an agent's clock, and a late tick
LONG_AGO_US = 1  # a time before all that is measured
OLD_US = 2 * 86_400 * SECOND_US
DROP_AT_RATE_V = 0.1  # over a cell's resistance at a current of one capacity an hour, cold; assumed


class Step(NamedTuple):
    """Means over a step of the plan. (n,), NaN where nothing was measured."""

    load_w: Float64
    pv_w: Float64
    import_w: Float64


def cells_of(plant: Plant, health: Float64) -> Cells:
    """The packs of n sites as their sensors see them."""
    sites = plant.sites
    capacity_ah = np.ascontiguousarray(plant.rated_wh * health / sites["voltage_v"], np.float64)
    most = (np.ascontiguousarray(sites[f"{way}_rate"], np.float64) for way in ("charge", "discharge"))
    charge_a, discharge_a = (rate * capacity_ah / health for rate in most)
    return Cells(capacity_ah, DROP_AT_RATE_V / capacity_ah, charge_a, discharge_a)


class Telemetry:
    """Newest measurements of n sites."""

    def __init__(self, plant: Plant, health: Float64, step_s: int) -> None:
        n = len(health)
        self._cells, self._step_us = cells_of(plant, health), step_s * SECOND_US
        self._charge = unknown_charge(n)
        self.trusted = np.zeros(n, np.bool_)  # (n,) the state of charge may be believed
        self.reason = np.zeros(n, np.uint8)  # policies.site.soc_check.ChargeReason
        self.low_soc = np.zeros(n)  # (n,) at least
        self.soc, self.stored_wh = np.full(n, np.nan), np.full(n, np.nan)
        self._voltage_v = np.asarray(plant.sites["voltage_v"], np.float64)
        self.battery_w = np.full(n, np.nan)  # above 0 while it discharges
        self.load_w, self.pv_w, self.import_w = np.full(n, np.nan), np.zeros(n), np.full(n, np.nan)
        self.mains = np.ones(n, np.bool_)
        self.end_us = np.zeros(n, np.int64)  # of the newest sample
        self._sums: dict[int, tuple[Float64, NDArray[np.int64]]] = {}  # by step: (3, n) and samples (n,)

    def take(self, agent: PowerAgent, report: PowerReport, now_us: int) -> int:
        """Take in the samples of a report. Returns how many were set aside: old, of another time, out of order."""
        n_samples, interval_us = int(report.soc.shape[1]), report.interval_ms * 1000
        aside = 0
        for s in range(n_samples):
            end_us = report.measured_unix_us - (n_samples - 1 - s) * interval_us
            late = end_us <= agent.last_end_us or end_us < now_us - OLD_US
            if late or end_us > now_us + AHEAD_US or not interval_us:
                aside += 1
                continue
            self._sample(agent, report, s, end_us, interval_us)
            agent.last_end_us = end_us
        return aside

    def _sample(self, agent: PowerAgent, report: PowerReport, s: int, end_us: int, interval_us: int) -> None:
        sites, places = agent.cells, agent.places
        before_us = self.end_us[sites]
        elapsed_us = interval_us if not len(sites) or not before_us.all() else end_us - int(before_us.max())
        self._check(sites, report, places, s, elapsed_us / SECOND_US)
        self.soc[sites], self.stored_wh[sites] = report.soc[places, s], report.stored_wh[places, s]
        self.battery_w[sites] = report.battery_a[places, s] * self._voltage_v[sites]
        self.mains[sites], self.end_us[sites] = report.mains[places, s], end_us
        measured = np.stack([getattr(report, name)[places, s] for name in Step._fields])
        with np.errstate(invalid="ignore"):
            measured = np.where(np.isfinite(measured) & (measured >= 0), measured, np.nan)
        self.load_w[sites], self.pv_w[sites], self.import_w[sites] = measured
        n = len(self.soc)
        sums, count = self._sums.setdefault(
            (end_us - 1) // self._step_us, (np.zeros((3, n)), np.zeros(n, np.int64))
        )
        whole = ~np.isnan(measured).any(0)
        sums[:, sites[whole]] += measured[:, whole]
        count[sites[whole]] += 1

    def _check(
        self,
        sites: NDArray[np.int64],
        report: PowerReport,
        places: NDArray[np.int64],
        s: int,
        elapsed_s: float,
    ) -> None:
        """Whether the charge that is reported fits what is known of it."""
        own: Any = type(self._charge)(*(array[sites] for array in cast(Any, self._charge)))
        soc, cell_v, battery_a = (
            np.ascontiguousarray(column[places, s], np.float64)
            for column in (report.soc, report.cell_v, report.battery_a)
        )
        told = Report(soc, cell_v, battery_a, np.zeros(len(sites)))
        found = check_charge(own, told, Cells(*(a[sites] for a in self._cells)), elapsed_s)
        for kept, part in zip(self._charge, own, strict=True):
            kept[sites] = part
        self.trusted[sites], self.low_soc[sites] = found.trusted, found.low
        self.reason[sites] = found.reason

    def warm_up(self) -> None:
        """Compile the check of a charge."""
        nothing = np.full((4, 1), np.nan)
        one = Cells(*(array[:1] for array in self._cells))
        check_charge(unknown_charge(1), Report(*nothing), one, 1.0)

    def forget(self, agent: PowerAgent) -> None:
        """Nothing that was measured at an agent's sites counts as fresh any more."""
        self.trusted[agent.cells] = False
        self._charge.good[agent.cells] = 0

    def begin_anew(self, agent: PowerAgent) -> None:
        """Begin anew with an agent, as one that has long been silent."""
        self.forget(agent)
        self.end_us[agent.cells] = 0
        agent.last_end_us = LONG_AGO_US

    def step(self, number: int) -> Step:
        """Means over a step that is over; older ones are forgotten."""
        sums, count = self._sums.get(
            number, (np.zeros((3, len(self.soc))), np.zeros(len(self.soc), np.int64))
        )
        self._sums = {k: v for k, v in self._sums.items() if k > number}
        with np.errstate(invalid="ignore"):
            return Step(*np.where(count > 0, sums / np.maximum(count, 1), np.nan))
