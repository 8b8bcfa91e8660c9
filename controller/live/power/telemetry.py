"""What power agents measured: the newest of each site, whether its charge is to be believed, and means by plan step."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from controller.live.observing import SECOND_US
from controller.live.power.fleet import Float64, PowerAgent
from controller.live.power.inputs import Inputs
from controller.live.power.plausible import LIMITED, Plausible
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

    def __init__(self, inputs: Inputs) -> None:
        n, plant = inputs.n_sites, inputs.plant
        self._cells, self._step_us = cells_of(plant, inputs.health), inputs.step_s * SECOND_US
        self._plausible = Plausible(inputs)
        self.absurd = np.zeros((len(LIMITED), n), np.bool_)  # what the newest sample says that cannot be
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

    def take(self, agent: PowerAgent, report: PowerReport, now_us: int) -> tuple[int, int]:
        """Take in the samples of a report.

        Returns how many were set aside, in whole or in part, as old, of another time or out of order; and how many
        values as absurd.
        """
        n_samples, interval_us = int(report.soc.shape[1]), report.interval_ms * 1000
        aside = absurd = 0
        for s in range(n_samples):
            end_us = report.measured_unix_us - (n_samples - 1 - s) * interval_us
            late = end_us <= agent.last_end_us or end_us < now_us - OLD_US
            if late or end_us > now_us + AHEAD_US or not interval_us:
                aside += 1
                continue
            newer = end_us > self.end_us[agent.cells]  # another agent may have had a site before
            aside += not newer.all()
            absurd += self._sample(
                agent.cells[newer], agent.places[newer], report, s, end_us=end_us, interval_us=interval_us
            )
            agent.last_end_us = end_us
        return aside, absurd

    def _sample(
        self,
        sites: NDArray[np.int64],
        places: NDArray[np.int64],
        report: PowerReport,
        s: int,
        *,
        end_us: int,
        interval_us: int,
    ) -> int:
        """Take in a sample of sites (k,), newer than all before. Returns how many absurd values were set aside."""
        limited, self.absurd[:, sites] = self._plausible.measured(report, sites, places, s)
        told = dict(zip(LIMITED, limited, strict=True))
        before_us = self.end_us[sites]
        elapsed_us = np.where(before_us > 0, end_us - before_us, interval_us)
        for each_us in np.unique(elapsed_us).tolist():  # one, but after a site went from one agent to another
            own = elapsed_us == each_us
            self._check(sites[own], report, places[own], s, told["battery_a"][own], each_us / SECOND_US)
        self.soc[sites], self.stored_wh[sites] = report.soc[places, s], told["stored_wh"]
        self.battery_w[sites] = told["battery_a"] * self._voltage_v[sites]
        self.mains[sites], self.end_us[sites] = report.mains[places, s], end_us
        self._add(sites, np.stack([told[name] for name in Step._fields]), end_us)
        return int(self.absurd[:, sites].sum())

    def _add(self, sites: NDArray[np.int64], measured: Float64, end_us: int) -> None:
        """Count what was measured (3, k) of sites (k,) for its step."""
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
        battery_a: Float64,
        elapsed_s: float,
    ) -> None:
        """Whether the charge that is reported fits what is known of it; ``battery_a`` (k,), NaN where absurd."""
        own: Any = type(self._charge)(*(array[sites] for array in cast(Any, self._charge)))
        soc, cell_v = (
            np.ascontiguousarray(column[places, s], np.float64) for column in (report.soc, report.cell_v)
        )
        told = Report(soc, cell_v, np.ascontiguousarray(battery_a), np.zeros(len(sites)))
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
