"""Where a plan's inputs come from: the truth (ceilings and tests), or the outlook on what was known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.site.outlook import Outlook, SiteCalendar
from controller.site.scene import SiteScene
from hw.power.view import View
from policies.site.ahead import Duty, Expected

Float64 = NDArray[np.float64]
FIRM_PRICE = 100.0  # of a kWh above a firm event's limit: over any tariff's price [currency/kWh]


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
        floors_wh, nothing = np.ascontiguousarray(floor_wh), np.zeros(scene.n_sites)
        event_w, event_price = _events(scene, step, n_steps)
        return Duty(floors_wh, end_wh.copy(), nothing, cap_w, scene.export_cap_w, event_w, event_price)


def _events(scene: SiteScene, step: int, n_steps: int) -> tuple[Float64, Float64]:
    """Limits of the events that are announced, and what a kWh above them costs: penalty and reward forgone.

    One that neither costs nor pays is firm: it is priced so high that it is broken only where it cannot be kept.
    """
    shape, span = (scene.n_sites, n_steps), slice(step, step + n_steps)
    if scene.event is None:
        return np.full(shape, np.inf), np.zeros(shape)
    event_w = np.where(scene.event.known_at[:, span] <= step, scene.event.limit_w[:, span], np.inf)
    price = scene.event.penalty_per_kwh[:, span] + scene.event.reward_per_kwh[:, span]
    return event_w, np.where(np.isinf(event_w), 0.0, np.where(price > 0, price, FIRM_PRICE))


class OutlookExpect:
    """The outlook on what was known when a step began; prices as far as they were published.

    The history goes back ``history_days``. All sites of the scene are looked at together.
    """

    def __init__(
        self, scene: SiteScene, calendar: SiteCalendar, *, count: int, seed: int, history_days: int = 42
    ) -> None:
        self._scene, self._calendar, self._count, self._seed = scene, calendar, count, seed
        self._history = history_days * scene.steps_per_day
        self._dc_w = scene.radio_w + scene.transport_w

    def ahead(self, step: int, n_steps: int) -> Expected:
        """The coming steps as expected. (n, n_steps)"""
        scene = self._scene
        forecast = self._outlook(step, self._dc_w).forecast(n_steps)
        ac_w = self._outlook(step, scene.ac_load_w).forecast(n_steps).load_w if scene.ac_load_w.any() else 0.0
        assert forecast.import_price is not None
        return Expected(
            forecast.load_w,
            np.zeros_like(forecast.load_w) + ac_w,
            forecast.pv_w,
            forecast.import_price,
            np.broadcast_to(scene.tariff.export_price[step : step + n_steps], forecast.load_w.shape),
        )

    def scenarios(self, step: int, n_steps: int) -> tuple[Expected, int]:
        """Courses drawn from the recent days. (n x count, n_steps)"""
        base = self.ahead(step, n_steps)
        rng = np.random.default_rng([self._seed, step + n_steps])  # as often as this end is looked at
        drawn = self._outlook(step, self._dc_w).scenarios(n_steps, self._count, rng)
        rows = (len(base.dc_load_w) * self._count, n_steps)
        return Expected(
            np.ascontiguousarray(drawn.load_w.transpose(1, 0, 2)).reshape(rows),
            np.repeat(base.ac_load_w, self._count, axis=0),
            np.ascontiguousarray(drawn.pv_w.transpose(1, 0, 2)).reshape(rows),
            np.repeat(base.import_price, self._count, axis=0),
            np.repeat(base.export_price, self._count, axis=0),
        ), self._count

    def _outlook(self, step: int, load_w: Float64) -> Outlook:
        scene, first = self._scene, max(0, step - self._history)
        known = max(step, scene.tariff.known_until(step))
        return Outlook(
            load_w[:, first:step],
            scene.pv_w[:, first:step],
            scene.battery_c[:, first:step],
            scene.tariff.import_price[first:known],
            self._calendar.since(first),
        )
