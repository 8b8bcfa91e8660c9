"""What a cooled room is expected to do and to cost, worked out apart from the kernels."""

from __future__ import annotations

import math

import numpy as np

from hw.power.cooling_spec import CoolingSpec
from tests.hw.power.naive_cooling import NaiveRoom


class NaiveExpectation(NaiveRoom):
    """One step of any length as a whole: the unit works evenly."""

    drawn_w: float = 0.0

    def _substep(
        self,
        outdoor_c: float,
        solar_w: float,
        heat_w: float,
        setpoint_c: float,
        dewpoint_c: float,
        mains: bool,
    ) -> None:
        watts = np.array([heat_w, solar_w, 0.0]) + self.leak * outdoor_c
        needed_w = max((float(self._after(watts, self.end)[0]) - setpoint_c) / self.per_watt[0], 0.0)
        mean_c = float(self._after(watts, self.mean)[0])
        end_c, held = float(self._after(watts, self.end)[0]), self.temp_c
        typical_c = max(float(held[0]), min(end_c, setpoint_c + self.spec.limits.band_k / 2))
        self.temp_c = np.array(
            [typical_c, held[1], held[2]]
        )  # fans judge by the air, in the middle of its rise
        free_w = self._fans(outdoor_c, mean_c, dewpoint_c, mains)
        self.temp_c = held
        compressor, fans = self.spec.compressor, self.spec.free_cooling
        self.drawn_w, moved_w = compressor.standby_w if compressor else 0.0, 0.0
        slack_w = self.spec.limits.band_k / self.per_watt[0]
        if needed_w > 0 and free_w > 0 and (free_w + slack_w >= needed_w or compressor is None):
            moved_w = min(needed_w, free_w)
            assert fans is not None
            speed = moved_w / fans.conductance_w_per_k / (mean_c - self.per_watt[1] * moved_w - outdoor_c)
            share = min(speed / fans.least_speed_ratio, 1)
            self.drawn_w += share * fans.fan_w * max(speed, fans.least_speed_ratio) ** 3
        elif needed_w > 0 and compressor is not None:
            moved_w, more_w = self._evenly(needed_w, mean_c - self.per_watt[1] * needed_w, outdoor_c)
            self.drawn_w += more_w
        watts[0] -= moved_w
        self.temp_c = self._after(watts, self.end)

    def _evenly(self, needed_w: float, air_c: float, outdoor_c: float) -> tuple[float, float]:
        c, held = self.spec.compressor, self.temp_c.copy()
        assert c is not None
        self.temp_c = np.array([air_c, held[1], held[2]])  # the efficiency is that of the mean air
        on_w, drawn_w = self._compress(needed_w, outdoor_c)
        self.temp_c = held
        if needed_w >= on_w:
            return on_w, drawn_w
        warming = NaiveRoom(self.spec, held).per_watt[0] / 60
        across_k = 2 * self.spec.limits.band_k
        cycle_s = across_k / (warming * needed_w) + across_k / (warming * (on_w - needed_w))
        cycle_s = max(cycle_s, c.min_run_s * on_w / needed_w, c.min_rest_s * on_w / (on_w - needed_w))
        return needed_w, drawn_w * min(needed_w / on_w + c.start_loss_s / cycle_s, 1)


def naive_expect(
    spec: CoolingSpec,
    start_c: np.ndarray,
    ahead: tuple[np.ndarray, ...],
    setpoint_c: np.ndarray,
    step_s: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Electric power (T,) and temperatures at the end of each step (T, 3) of one room, from series (T,)."""
    room = NaiveExpectation(spec, np.asarray(start_c, float), step_s)
    drawn, temps = [], []
    for outdoor, dewpoint, solar, heat, asked in zip(*ahead, setpoint_c, strict=True):
        room._substep(outdoor, solar, heat, asked, dewpoint, True)
        drawn.append(room.drawn_w)
        temps.append(room.temp_c)
    return np.array(drawn), np.array(temps)


def naive_cost(
    spec: CoolingSpec,
    drawn_w: np.ndarray,
    temps_c: np.ndarray,
    price: np.ndarray,
    ageing: tuple[float, float],
    worth: tuple[float, float],
    step_s: float,
) -> float:
    """Cost of energy and ageing and of cells that are too warm, and what heat left at the end will cost.

    ``worth`` is the electric power and the heat of holding the safe set point.
    """
    hours, r = step_s / 3600, spec.room
    cost = float((drawn_w * price).sum()) * hours / 1000
    cells_c = temps_c[:, 2]
    cost += sum(ageing[0] * math.exp(ageing[1] * (c - 25)) for c in cells_c) * hours
    cost += (
        2
        * float(np.abs(price).mean())
        * float(np.maximum(cells_c - spec.limits.battery_max_c, 0).sum())
        * hours
    )
    inward = r.air_mass_w_per_k / (r.air_mass_w_per_k + r.mass_outdoor_w_per_k)
    heat_wh = np.array([r.air_wh_per_k, r.mass_wh_per_k * inward, r.battery_wh_per_k]) @ temps_c[-1]
    return cost + max(float(price.mean()), 0.0) / 1000 * worth[0] / max(worth[1], 1.0) * float(heat_wh)
