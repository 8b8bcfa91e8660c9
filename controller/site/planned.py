"""What a plan thought its steps would cost, beside what they did cost on the plant."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.site.scene import SiteScene
from hw.power.view import planning_view, swing
from policies.site.dispatch import Moment, PlanDispatch
from policies.site.follow import Setpoint
from policies.site.problem import OK, Plans

Float64 = NDArray[np.float64]


class CostedPlan:
    """A plan that adds up the cost of the steps it wanted, as it saw them. Where it had none, nothing is added."""

    def __init__(self, inner: PlanDispatch, scene: SiteScene) -> None:
        n = scene.n_sites
        self.inner, self._scene = inner, scene
        self._seen: Plans | None = None
        self._age = 0
        self._peak_w = np.zeros(n)
        self._demand = np.zeros(n)
        self._cost = np.zeros(n)
        self.failed_steps = np.zeros(n, np.int64)  # without a plan

    def decide(self, moment: Moment) -> Setpoint:
        """What the plan decides."""
        wanted = self.inner.decide(moment)
        plans, tariff = self.inner.plans, self._scene.tariff
        assert plans is not None
        self._age = self._age + 1 if plans is self._seen else 0
        self._seen = plans
        ok = plans.status == OK
        self.failed_steps += ~ok
        view = planning_view(self.inner.plant, moment.state, moment.dc_load_w, moment.battery_c)
        wear = view.wear_price * swing(self.inner.plant, moment.dc_load_w).discharge
        imported_w, given_w = plans.import_w[:, self._age], np.maximum(plans.battery_w[:, self._age], 0.0)
        energy = tariff.import_price[moment.step] * imported_w
        energy = energy - tariff.export_price[moment.step] * plans.export_w[:, self._age] + wear * given_w
        cost = energy * self._scene.step_h / 1000
        if self._scene.event is not None:
            now = slice(moment.step, moment.step + 1)
            cost = cost + self._scene.event.cost(imported_w[:, None], now, self._scene.step_h)[:, 0]
        self._cost += np.where(ok, cost, 0.0)
        if tariff.demand_counts[moment.step]:
            self._peak_w = np.maximum(self._peak_w, np.where(ok, imported_w, 0.0))
        self._demand = np.maximum(self._demand, self._peak_w / 1000 * moment.bill.demand_price)
        return wanted

    @property
    def cost(self) -> Float64:
        """Energy, events, wear and demand as planned. (n,)"""
        return self._cost + self._demand
