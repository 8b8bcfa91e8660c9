"""Where a plan's inputs come from: the truth (ceilings and tests), or the outlook on what was known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.site.scene import SiteScene
from hw.power.view import View
from policies.site.ahead import Expected, Duty

Float64 = NDArray[np.float64]


class TrueExpect:
    """The scene itself: what perfect foresight is told."""

    def __init__(self, scene: SiteScene) -> None:
        self._scene = scene

    def ahead(self, step: int, n_steps: int) -> Expected:
        """The coming steps as they will be. (n, n_steps)"""
        scene, span = self._scene, slice(step, step + n_steps)
        shape = (scene.n_sites, n_steps)
        return Expected(
            dc_load_w=scene.radio_w[:, span] + scene.transport_w[:, span],
            ac_load_w=scene.ac_load_w[:, span],
            pv_w=scene.pv_w[:, span],
            import_price=np.broadcast_to(scene.tariff.import_price[span], shape),
            export_price=np.broadcast_to(scene.tariff.export_price[span], shape),
        )

    def scenarios(self, step: int, n_steps: int) -> tuple[Expected, int]:
        """The one course that will be."""
        return self.ahead(step, n_steps), 1


class SceneDuties:
    """Floors and caps of the scene, and the stored energy wanted at its last step."""

    def __init__(self, scene: SiteScene, end: int, end_wh: Float64) -> None:
        self._scene, self._end, self._end_wh = scene, end, end_wh

    def duty(self, step: int, n_steps: int, view: View) -> Duty:
        """What a plan over the coming steps must keep."""
        scene = self._scene
        floor_wh = np.minimum(scene.floor_wh[:, step : step + n_steps + 1], view.capacity_wh[:, None])
        last = step + n_steps >= self._end
        end_wh = np.minimum(self._end_wh, view.capacity_wh) if last else floor_wh[:, -1]
        cap_w = np.repeat(scene.import_cap_w[:, None], n_steps, axis=1)
        return Duty(np.ascontiguousarray(floor_wh), end_wh.copy(), cap_w, scene.export_cap_w)
