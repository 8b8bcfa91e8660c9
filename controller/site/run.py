"""Carries out a policy of the battery on the simulated plant, step by step, at many sites at once.

Each step: what is known -> the policy -> the site's own power controller -> guard -> plant -> what happened. The
loop is the same for every policy; perfect foresight differs only in what its plan was told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from controller.site.on_battery import LiveOutages
from controller.site.scene import SiteScene
from hw.power import flows
from hw.power.plant import Command, State, step
from hw.power.view import View, meter_load_w, planning_view
from policies.site.ahead import Bill
from policies.site.dispatch import Dispatch, Moment
from policies.site.follow import Loads, Setpoint, follow
from policies.site.recovery import Recovery

Float64 = NDArray[np.float64]
KEPT = (
    flows.GRID_IMPORT,
    flows.GRID_EXPORT,
    flows.BATTERY_IN,
    flows.BATTERY_OUT,
    flows.PV_OUT,
    flows.PV_CURTAILED,
    flows.RADIO_SHED,
    flows.TRANSPORT_SHED,
)


@dataclass(slots=True)
class SiteRun:
    """What a policy did at n sites over T steps."""

    begin: int  # step of the scene
    flows_w: Float64  # (len(KEPT), n, T) mean over the step
    stored_wh: Float64  # (n, T + 1)
    health: Float64  # (n,) at the end
    guarded: NDArray[np.int64]  # (n,) steps in which the guard changed what was wanted
    wear_cost: Float64  # (n,) of what the battery gave, at the plant's wear price of each step [currency of the plant]
    cycles: Float64  # (n,) full and half turns by rainflow
    cycle_damage: Float64  # (n,) share of the cycle life that went
    calendar_square: Float64  # (n,) added to the square of the calendar loss
    program_shed_wh: Float64  # (n,) loads that the on-battery program shed
    recovering: NDArray[np.bool_] | None = None  # (n, T) after an outage; None: there was none

    def series(self, flow: int) -> Float64:
        """One kept flow. (n, T) [W]"""
        return np.asarray(self.flows_w[KEPT.index(flow)])

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return int(self.flows_w.shape[2])


class Guard(Protocol):
    """The last word on the battery."""

    def __call__(
        self,
        step: int,
        battery_w: Float64,
        limit_w: Float64,
        state: State,
        view: View,
        recovery: Recovery | None = None,
    ) -> tuple[Float64, Float64]:
        """Battery power at the bus and import limit at the meter that may be commanded. (n,) each"""
        ...

    def take(self, sites: NDArray[np.intp]) -> Guard:
        """The guard of some sites."""
        ...


def run_sites(
    scene: SiteScene, dispatch: Dispatch, guard: Guard, *, begin: int, end: int, start: State
) -> SiteRun:
    """Carry out ``dispatch`` over the steps ``begin`` .. ``end`` of a scene; ``start`` is changed in place."""
    n, plant, tariff = scene.n_sites, scene.plant, scene.tariff
    flows_w = np.empty((len(KEPT), n, end - begin))
    stored_wh = np.empty((n, end - begin + 1))
    stored_wh[:, 0] = start.stored_wh
    guarded, wear, billed = np.zeros(n, np.int64), np.zeros(n), _Billed(scene)
    began = (start.cycles.copy(), start.cycle_damage.copy(), start.calendar_square.copy())
    outages = None if scene.outage is None else LiveOutages(scene, scene.outage, begin)
    recovering = None if outages is None else np.zeros((n, end - begin), np.bool_)
    for t in range(begin, end):
        dc_w = scene.radio_w[:, t] + scene.transport_w[:, t]
        view = planning_view(plant, start, dc_w, scene.battery_c[:, t])
        bill = Bill(billed.peak_w(t), np.full(n, tariff.demand_price[tariff.month[t]]))
        wanted = dispatch.decide(Moment(t, start, *scene.measured(t), bill))
        limit_w = scene.limit_w(t, wanted.event_limit_w)
        wanted = Setpoint(wanted.battery_w, np.minimum(wanted.import_limit_w, limit_w))
        inputs, recovery = scene.inputs(t), None
        if outages is not None:
            inputs, recovery = outages.step(t, inputs, start, view)
            load_w = meter_load_w(plant, dc_w, scene.ac_load_w[:, t])
            wanted = outages.below_peak(wanted, bill.peak_w, load_w)
        asked_w = follow(plant, start, wanted, Loads(dc_w, scene.ac_load_w[:, t], scene.pv_w[:, t]))
        battery_w, limit_w = guard(t, asked_w, wanted.import_limit_w, start, view, recovery)
        if recovery is not None and recovering is not None:
            recovering[:, t - begin] = recovery.recovering
        judged = inputs.mains if recovery is None else inputs.mains & ~recovery.recovering
        guarded += (battery_w != asked_w) & judged
        made = step(plant, start, inputs, Command(battery_w, limit_w, scene.export_cap_w), scene.step_s)
        flows_w[:, :, t - begin] = made[:, KEPT].T
        stored_wh[:, t - begin + 1] = start.stored_wh
        wear += view.wear_price * made[:, flows.BATTERY_OUT] * (scene.step_h / 1000)
        billed.add(t, made[:, flows.GRID_IMPORT])
    shed_wh = np.zeros(n) if outages is None else outages.shed_wh
    return SiteRun(
        begin=begin,
        flows_w=flows_w,
        stored_wh=stored_wh,
        health=start.health.copy(),
        guarded=guarded,
        wear_cost=wear,
        cycles=start.cycles - began[0],
        cycle_damage=start.cycle_damage - began[1],
        calendar_square=start.calendar_square - began[2],
        program_shed_wh=shed_wh,
        recovering=recovering,
    )


class _Billed:
    """The billed peak of the month so far."""

    def __init__(self, scene: SiteScene) -> None:
        tariff = scene.tariff
        self._month = tariff.month
        self._per_interval = max(1, tariff.demand_interval_s // scene.step_s)
        self._peak_w = np.zeros(scene.n_sites)
        self._sum_w, self._count, self._current = np.zeros(scene.n_sites), 0, -1

    def peak_w(self, t: int) -> Float64:
        """Highest mean over a whole demand interval of the month of step ``t``, as known when it begins. (n,)"""
        if self._month[t] != self._current:
            self._current, self._count = int(self._month[t]), 0
            self._peak_w = np.zeros_like(self._peak_w)
            self._sum_w = np.zeros_like(self._sum_w)
        return self._peak_w

    def add(self, t: int, import_w: Float64) -> None:
        """Add a step."""
        self.peak_w(t)
        self._sum_w, self._count = self._sum_w + import_w, self._count + 1
        if self._count == self._per_interval:
            self._peak_w = np.maximum(self._peak_w, self._sum_w / self._count)
            self._sum_w, self._count = np.zeros_like(self._sum_w), 0
