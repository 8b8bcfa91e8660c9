"""Puts the guard on the battery's power: gathers what it must know of each site, step by step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.site.scene import SiteScene
from hw.power.plant import State
from hw.power.view import View, meter_load_w
from policies.site.guard import Facts, GuardReason, Wanted, guard
from policies.site.recovery import Recovery
from policies.site.safe_charging import Ahead, Terms

Float64 = NDArray[np.float64]
LOOK_H = 48.0  # floors that rise later than this are met in time anyway


class SceneGuard:
    """The guard of a scene: floors and upper loads of the coming hours, the plant's limits, the mains."""

    def __init__(self, scene: SiteScene) -> None:
        self._scene = scene
        self._load_w = meter_load_w(scene.plant, scene.upper_dc_w, scene.upper_ac_w)
        self._look = max(1, round(LOOK_H / scene.step_h))

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
        scene = self._scene
        end = min(step + self._look, scene.n_steps)
        charge_w = np.repeat(view.charge_max_w[:, None], end - step, axis=1)
        ahead = Ahead(
            np.minimum(scene.floor_wh[:, step : end + 1], view.capacity_wh[:, None]),
            charge_w,
            np.ascontiguousarray(self._load_w[:, step:end]),
        )
        n = scene.n_sites
        terms = Terms(
            hard_cap_w=scene.import_cap_w,
            rectifier_efficiency=view.rectifier_efficiency,
            charge_efficiency=view.charge_efficiency,
            discharge_efficiency=view.discharge_efficiency,
            charge_max_w=view.charge_max_w,
            discharge_max_w=view.discharge_max_w,
            self_discharge_w=state.stored_wh * scene.plant.sites["self_discharge_per_h"],
            room_ratio=np.full(n, 0.9),
        )
        dc_w = scene.radio_w[:, step] + scene.transport_w[:, step]
        facts = Facts(
            stored_wh=state.stored_wh.copy(),
            trusted=np.ones(n, np.bool_),
            mains=scene.mains[:, step].copy(),
            recovering=np.zeros(n, np.bool_) if recovery is None else recovery.recovering,
            recovery_w=np.zeros(n) if recovery is None else recovery.charge_w,
            served_w=dc_w - scene.pv_w[:, step] * scene.plant.sites["converter_efficiency"],
        )
        # The plan keeps the month's peak. The guard asks whether floors can be met by what the connection allows.
        verdict = guard(Wanted(battery_w, scene.import_cap_w), facts, ahead, terms, scene.step_s)
        lifted = np.isin(verdict.reason, (GuardReason.CHARGE_NOW, GuardReason.CAP_LIFTED))
        return verdict.battery_w, np.where(
            lifted, verdict.import_cap_w, np.minimum(limit_w, verdict.import_cap_w)
        )

    def take(self, sites: NDArray[np.intp]) -> SceneGuard:
        """The guard of some sites."""
        return SceneGuard(self._scene.take(sites))
