"""Sites through outages and recovery, step by step: the on-battery program, the random delay, no new peak."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.site.scene import OutageTerms, SiteScene
from hw.power.plant import Inputs, State
from hw.power.view import View
from policies.site.follow import Setpoint
from policies.site.outage import run_program, with_mains
from policies.site.recovery import Recovery, no_recovery, recover

Float64 = NDArray[np.float64]


class LiveOutages:
    """What agents and recovery remember during one run. Each run begins with mains and nothing to make good."""

    def __init__(self, scene: SiteScene, terms: OutageTerms, begin: int) -> None:
        self._scene, self._terms = scene, terms
        self._program = with_mains(scene.n_sites)
        self._recovery = no_recovery(scene.n_sites)
        self._rng = np.random.default_rng([terms.seed, begin])
        self._since_back_s = np.full(scene.n_sites, np.inf)
        self.shed_wh = np.zeros(scene.n_sites)  # by the program; sleep sheds nothing

    def step(self, t: int, inputs: Inputs, state: State, view: View) -> tuple[Inputs, Recovery]:
        """The loads that the program leaves, and what recovery charges."""
        scene, step_s = self._scene, self._scene.step_s
        recovery = recover(
            self._recovery,
            self._terms.recovery,
            inputs.mains,
            state.stored_wh,
            np.minimum(scene.floor_wh[:, t + 1], view.capacity_wh),
            view.charge_max_w > 0,
            step_s,
            self._rng,
        )
        self._since_back_s = np.where(inputs.mains, self._since_back_s + step_s, -step_s)
        soc = state.stored_wh / view.capacity_wh
        orders = run_program(self._terms.program, self._program, inputs.mains, soc, 0.0)
        keeps = self._terms.acknowledged & ~inputs.mains
        asleep_w = np.minimum(inputs.radio_w, orders.radio_ratio * self._terms.full_radio_w[:, t])
        radio_w = np.where(keeps, asleep_w, inputs.radio_w)
        transport_w = np.where(keeps & ~orders.transport, 0.0, inputs.transport_w)
        gone_w = np.where(keeps & (orders.radio_ratio == 0), inputs.radio_w, 0.0)
        self.shed_wh += (gone_w + inputs.transport_w - transport_w) * scene.step_h
        run_program(self._terms.program, self._program, inputs.mains, soc, step_s)  # the step goes by
        return inputs._replace(radio_w=radio_w, transport_w=transport_w), recovery

    def below_peak(self, wanted: Setpoint, peak_w: Float64, load_w: Float64) -> Setpoint:
        """After an outage, as long as recovery may last, charging takes only what is left below the peak billed so far.

        Recovery itself ends once the floor is stored; what a policy then charges must make no new peak either.
        """
        soon = self._since_back_s < self._terms.recovery.within_s
        least_w = np.minimum(wanted.import_limit_w, np.maximum(peak_w, load_w))
        return Setpoint(wanted.battery_w, np.where(soon, least_w, wanted.import_limit_w))
