"""A room and its unit worked out one by one, with eigenvectors in place of the kernel's matrix exponentials."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from hw.power.cooling_spec import CoolingSpec


@dataclass
class NaiveRoom:
    """One room; ``electric_wh`` and ``removed_wh`` add up from its start."""

    spec: CoolingSpec
    temp_c: np.ndarray
    substep_s: float = 60.0
    running: bool = False
    since_s: float = 1e9
    starts: int = 0
    electric_wh: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("compressor", "fan", "standby"), 0.0)
    )
    removed_wh: float = 0.0
    envelope_wh: float = 0.0

    def __post_init__(self) -> None:
        r = self.spec.room
        self.stored_j_per_k = 3600 * np.array([r.air_wh_per_k, r.mass_wh_per_k, r.battery_wh_per_k])
        self.leak = np.array([r.air_outdoor_w_per_k, r.mass_outdoor_w_per_k, 0.0])
        u, b = r.air_mass_w_per_k, r.air_battery_w_per_k
        flow = np.array([[-u - b, u, b], [u, -u, 0], [b, 0, -b]]) - np.diag(self.leak)
        self.matrix = flow / self.stored_j_per_k[:, None]
        values, vectors = np.linalg.eig(self.matrix)
        inverse, x = np.linalg.inv(vectors), values * self.substep_s
        self.end = ((vectors * np.exp(x)) @ inverse).real
        self.mean = ((vectors * ((np.exp(x) - 1) / x)) @ inverse).real
        self.per_watt = self._air([1.0, 0.0, 0.0], self.end), self._air([1.0, 0.0, 0.0], self.mean)

    def _air(self, watts: list[float], how: np.ndarray) -> float:
        """How much warmer the air is for heat into the nodes, at the end or in the mean of a sub-step."""
        steady = -np.linalg.solve(self.matrix, np.array(watts) / self.stored_j_per_k)
        return float((steady - how @ steady)[0])

    def _after(self, watts: np.ndarray, how: np.ndarray) -> np.ndarray:
        steady = -np.linalg.solve(self.matrix, watts / self.stored_j_per_k)
        return np.asarray(steady + how @ (self.temp_c - steady))

    def step(
        self,
        outdoor_c: float,
        solar_w: float,
        heat_w: float,
        setpoint_c: float,
        step_s: float,
        dewpoint_c: float,
        mains: bool,
    ) -> None:
        for _ in range(round(step_s / self.substep_s)):
            self._substep(outdoor_c, solar_w, heat_w, setpoint_c, dewpoint_c, mains)

    def _fans(self, outdoor_c: float, mean_c: float, dewpoint_c: float, mains: bool) -> float:
        fans, limits, air_c = self.spec.free_cooling, self.spec.limits, float(self.temp_c[0])
        if fans is None or (fans.fan_supply == "ac" and not mains):
            return 0.0
        dry = fans.dewpoint_max_c is None or dewpoint_c <= fans.dewpoint_max_c
        if fans.dewpoint_max_c is None and math.isnan(dewpoint_c):
            dry = False
        urgent = air_c >= limits.setpoint_max_c + limits.band_k and air_c - outdoor_c >= 0.5
        cold = air_c - outdoor_c >= fans.min_difference_k and air_c < limits.setpoint_max_c + limits.band_k
        if not (urgent or (cold and dry)):
            return 0.0
        g = fans.conductance_w_per_k
        return max(g * (mean_c - outdoor_c) / (1 + g * self.per_watt[1]), 0.0)

    def _decide(self, asked_c: float, suffice: bool, mains: bool) -> bool:
        compressor, band_k = self.spec.compressor, self.spec.limits.band_k
        if compressor is None:
            return False
        wanted = self.running
        if self.temp_c[0] >= asked_c + band_k:
            wanted = True
        if self.temp_c[0] <= asked_c - band_k or suffice:
            wanted = False
        held_s = compressor.min_run_s if self.running else compressor.min_rest_s
        if wanted is not self.running and self.since_s < held_s:
            wanted = self.running
        return wanted and mains

    def _substep(
        self,
        outdoor_c: float,
        solar_w: float,
        heat_w: float,
        setpoint_c: float,
        dewpoint_c: float,
        mains: bool,
    ) -> None:
        limits, hours = self.spec.limits, self.substep_s / 3600
        asked_c = float(np.clip(setpoint_c, limits.setpoint_min_c, limits.setpoint_max_c))
        if not math.isfinite(setpoint_c):
            asked_c = limits.safe_setpoint_c
        watts = np.array([heat_w, solar_w, 0.0]) + self.leak * outdoor_c
        needed_w = max((self._after(watts, self.end)[0] - asked_c) / self.per_watt[0], 0.0)
        mean_c = float(self._after(watts, self.mean)[0])
        by_fans_w = self._fans(outdoor_c, mean_c, dewpoint_c, mains)
        hold_w = (self._after(watts, self.end)[0] - self.temp_c[0]) / self.per_watt[0]
        gently_w = hold_w + (self.temp_c[0] - asked_c) * self.substep_s / 900 / self.per_watt[0]
        before, self.running = self.running, self._decide(asked_c, 0 < by_fans_w >= gently_w, mains)
        if self.running is not before:
            self.since_s, self.starts = 0.0, self.starts + self.running
        if self.running:
            moved_w, drawn_w = self._compress(needed_w, outdoor_c)
            self.electric_wh["compressor"] += drawn_w * hours
            if not before:
                moved_w *= 1 - self.spec.compressor.start_loss_s / self.substep_s  # type: ignore[union-attr]
        else:
            moved_w = min(needed_w, by_fans_w)
            if moved_w > 0:
                fans = self.spec.free_cooling
                assert fans is not None
                speed = moved_w / fans.conductance_w_per_k / (mean_c - self.per_watt[1] * moved_w - outdoor_c)
                least = fans.least_speed_ratio
                part = min(speed / least, 1.0)
                self.electric_wh["fan"] += part * fans.fan_w * max(speed, least) ** 3 * hours
        if mains and self.spec.compressor is not None:
            self.electric_wh["standby"] += self.spec.compressor.standby_w * hours
        self.removed_wh += moved_w * hours
        self.since_s += self.substep_s
        watts[0] -= moved_w
        mean = self._after(watts, self.mean)
        self.envelope_wh += float((self.leak * (outdoor_c - mean)).sum()) * hours
        self.temp_c = self._after(watts, self.end)

    def _compress(self, needed_w: float, outdoor_c: float) -> tuple[float, float]:
        c, air_c = self.spec.compressor, float(self.temp_c[0])
        assert c is not None
        factor = 1 + c.capacity_per_indoor_k * (air_c - 27) - c.capacity_per_outdoor_k * (outdoor_c - 35)
        most_w = c.capacity_w * float(np.clip(factor, 0.2, 1.25))
        moved_w = float(np.clip(needed_w, c.least_load_ratio * most_w, most_w))
        load = moved_w / most_w
        cold_k = air_c - load * c.evaporator_approach_k + 273.15
        hot_k = max(outdoor_c + load * c.condenser_approach_k, c.condensing_min_c) + 273.15
        ideal_cop = cold_k / max(hot_k - cold_k, 15.0)
        return moved_w, c.auxiliary_w + moved_w / (c.carnot_ratio * ideal_cop)
