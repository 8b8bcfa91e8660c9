"""The power plant of one site again, as plain objects that know their specification alone: the twin of the kernels.

Written for being read: components are asked one after the other, time is cut by bisection where the pack becomes full
or empty or the disconnect acts, and nothing is shared with hw/power but the names of the flows. Ageing is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hw.power import flows as f
from hw.power.spec import PlantSpec

SUB_STEP_S = 300


def table(knots: tuple[tuple[float, float], ...], x: float, *, beyond: float | None = None) -> float:
    xs, ys = zip(*knots, strict=True)
    if beyond is not None and not xs[0] <= x <= xs[-1]:
        return beyond
    return float(np.interp(x, xs, ys))


@dataclass
class NaivePlant:
    """One site. ``met`` and ``wish`` of a step are mappings of numbers."""

    spec: PlantSpec
    stored_wh: float
    health: float
    stage: int = 0
    back_s: float = 0
    clock_s: float = 0
    changed_s: list[float] = field(default_factory=list)
    locked_until_s: float = -math.inf
    working: int = 0

    def __post_init__(self) -> None:
        self.working = self.spec.rectifier.modules

    # what the pack can do
    @property
    def capacity_wh(self) -> float:
        return self.spec.battery.rated_wh * self.health

    def level_wh(self, soc: float, cells_c: float) -> float:
        usable = table(self.spec.battery.usable_share_by_c, cells_c)
        return self.capacity_wh * (1 - usable) + self.capacity_wh * usable * soc

    def self_discharge_w(self) -> float:
        return -self.stored_wh * math.log(1 - self.spec.battery.self_discharge_per_month) / 720

    def can_give_w(self, cells_c: float) -> float:
        b = self.spec.battery
        if self.stored_wh <= self.level_wh(b.cutoff_soc, cells_c) + 1e-6 * self.capacity_wh:
            return 0
        shares = (
            table(b.discharge_share_by_c, cells_c, beyond=0),
            table(b.discharge_share_by_soc, self.stored_wh / self.capacity_wh),
        )
        return b.discharge_rate * b.rated_wh * min(shares)

    def can_take_w(self, cells_c: float) -> float:
        b = self.spec.battery
        shares = (
            table(b.charge_share_by_c, cells_c, beyond=0),
            table(b.charge_share_by_soc, self.stored_wh / self.capacity_wh),
        )
        limit_w = b.charge_rate * b.rated_wh * min(shares)
        if self.stored_wh >= (1 - 1e-6) * self.capacity_wh:
            limit_w = min(limit_w, self.self_discharge_w() / b.charge_efficiency)
        if self.stored_wh > (1 + 1e-6) * self.capacity_wh:
            limit_w = 0.0  # it has aged while it was full, and holds more than it could be given
        return limit_w

    # rectifiers
    def loss_w(self, out_w: float, working: int) -> float:
        r = self.spec.rectifier
        x = out_w / working / r.module_w
        one_w = r.module_w * (r.standby_share + r.linear_share * x + r.quadratic_share * x * x)
        return working * one_w + (r.modules - working) * r.resting_w

    def wanted(self, out_w: float) -> int:
        r = self.spec.rectifier
        if not r.hibernates or r.resting_w >= r.standby_share * r.module_w:
            return r.modules
        needed = max(1, math.ceil(out_w / r.module_w - 1e-9)) + r.spare_modules
        allowed = range(min(needed, r.modules), r.modules + 1)
        return min(allowed, key=lambda m: (self.loss_w(out_w, m), m))

    def free(self, now_s: float) -> bool:
        recent = [t for t in self.changed_s if now_s - t < 3600 - 1e-3]
        return (
            now_s + 1e-3 >= self.locked_until_s
            and len(recent) <= self.spec.rectifier.max_changes_per_hour - 2
        )

    def modules(self, out_w: float, now_s: float) -> int:
        wanted = self.wanted(out_w)
        return wanted if wanted == self.working or self.free(now_s) else self.spec.rectifier.modules

    # one stretch of time
    def cable_w(self, load_w: float) -> float:
        return self.spec.bus.distribution_ohm * (load_w / self.spec.bus.voltage_v) ** 2

    def loads(self, met: dict[str, Any]) -> tuple[float, float]:
        return (met["radio_w"] if self.stage < 1 else 0.0), (met["transport_w"] if self.stage < 2 else 0.0)

    def threshold_wh(self, cells_c: float) -> float:
        bus = self.spec.bus
        return self.level_wh(
            bus.radio_disconnect_soc if self.stage == 0 else bus.transport_disconnect_soc, cells_c
        )

    def set_points(self, met: dict[str, Any], wish: dict[str, float], now_s: float) -> tuple[float, ...]:
        """Open what stages must; then load with cables, PV at the bus, what the pack takes and gives, lower bound."""
        r, pv, cells_c = self.spec.rectifier, self.spec.pv, met["battery_c"]
        sun_w = min(met["pv_w"] * pv.converter_efficiency, pv.converter_w) if pv else 0.0
        rect_w = r.modules * r.module_w if met["mains"] else 0.0
        while True:
            load_w = sum(self.loads(met)) + self.cable_w(sum(self.loads(met)))
            need_w = max(0.0, load_w - sun_w - rect_w)
            above = self.stored_wh - self.threshold_wh(cells_c) > 1e-6 * self.capacity_wh
            if need_w == 0 or (above and need_w <= self.can_give_w(cells_c)):
                break
            self.stage += 1
        asked_w = wish["battery_w"]
        given_w, taken_w = need_w, 0.0
        if met["mains"] and asked_w > 0 and self.stage == 0:
            given_w = max(need_w, min(asked_w, self.can_give_w(cells_c), max(0.0, load_w - sun_w)))
        elif need_w == 0 and (asked_w < 0 if met["mains"] else sun_w > load_w):
            taken_w = min(-asked_w if met["mains"] else sun_w - load_w, self.can_take_w(cells_c))
            if met["mains"]:
                taken_w = self.under_cap_w(
                    taken_w, load_w - sun_w, met["ac_load_w"], wish["import_cap_w"], now_s
                )
        low_wh = (
            self.threshold_wh(cells_c) if need_w > 0 else self.level_wh(self.spec.battery.cutoff_soc, cells_c)
        )
        return load_w, sun_w, taken_w, given_w, low_wh

    def under_cap_w(self, taken_w: float, net_w: float, ac_w: float, cap_w: float, now_s: float) -> float:
        r = self.spec.rectifier
        taken_w = min(taken_w, max(0.0, r.modules * r.module_w - net_w))
        out_w = max(0.0, net_w + taken_w)
        working = self.modules(out_w, now_s)
        if out_w == 0 or out_w + self.loss_w(out_w, working) + ac_w <= cap_w:
            return taken_w
        if not self.free(now_s):
            working = r.modules
        low_w, high_w = 0.0, min(out_w, working * r.module_w)
        for _ in range(200):
            middle_w = (low_w + high_w) / 2
            fits = middle_w + self.loss_w(middle_w, working) + ac_w <= cap_w
            low_w, high_w = (middle_w, high_w) if fits else (low_w, middle_w)
        return min(taken_w, max(0.0, low_w - net_w))

    def stretch(
        self, met: dict[str, Any], wish: dict[str, float], left_h: float, last: bool, row: Any
    ) -> float:
        """Run until something happens, at most ``left_h``; returns for how long."""
        b, now_s = self.spec.battery, self.clock_s
        load_w, sun_w, taken_w, given_w, low_wh = self.set_points(met, wish, now_s)
        lost_w = min(self.self_discharge_w(), self.stored_wh / left_h)
        rate_w = taken_w * b.charge_efficiency - given_w / b.discharge_efficiency - lost_w
        hours = left_h
        if not last and taken_w > 0 and rate_w > 1e-9:
            hours = max(0.0, min(left_h, (self.capacity_wh - self.stored_wh) / rate_w))
        if not last and given_w > 0:
            hours = max(0.0, min(left_h, (self.stored_wh - low_wh) / -rate_w))
        self.stored_wh += rate_w * hours
        demand_w = load_w - sun_w + taken_w - given_w
        in_w = out_w = loss_w = inverter_w = 0.0
        if met["mains"]:
            out_w = min(max(0.0, demand_w), self.spec.rectifier.modules * self.spec.rectifier.module_w)
            self.follow(out_w, hours, now_s)
            loss_w = self.loss_w(out_w, self.working)
            in_w = out_w + loss_w
            if self.spec.pv:
                room_w = min(self.spec.pv.inverter_w, met["ac_load_w"] + in_w + wish["export_cap_w"])
                inverter_w = min(max(0.0, -demand_w) * self.spec.pv.inverter_efficiency, room_w)
        ac_w = met["ac_load_w"] if met["mains"] else 0.0
        efficiency = self.spec.pv.inverter_efficiency if self.spec.pv else 1.0
        sun_out_w = sun_w - max(0.0, -demand_w - inverter_w / efficiency)
        converter = self.spec.pv.converter_efficiency if self.spec.pv else 1.0
        radio_w, transport_w = self.loads(met)
        meter_w = ac_w + in_w - inverter_w
        now = {
            f.GRID_IMPORT: max(0.0, meter_w),
            f.GRID_EXPORT: max(0.0, -meter_w),
            f.AC_LOAD: ac_w,
            f.AC_SHED: met["ac_load_w"] - ac_w,
            f.CAP_EXCESS: max(0.0, meter_w - wish["import_cap_w"]),
            f.RECTIFIER_IN: in_w,
            f.RECTIFIER_OUT: out_w,
            f.RECTIFIER_LOSS: loss_w,
            f.PV_AVAILABLE: met["pv_w"],
            f.PV_CURTAILED: met["pv_w"] - sun_out_w / converter,
            f.PV_LOSS: sun_out_w / converter - sun_out_w,
            f.PV_OUT: sun_out_w,
            f.EXPORT_IN: inverter_w / efficiency,
            f.EXPORT_LOSS: inverter_w / efficiency - inverter_w,
            f.EXPORT_OUT: inverter_w,
            f.BATTERY_IN: taken_w,
            f.BATTERY_OUT: given_w,
            f.BATTERY_LOSS: taken_w * (1 - b.charge_efficiency) + given_w / b.discharge_efficiency - given_w,
            f.SELF_DISCHARGE: lost_w,
            f.BUS_LOSS: self.cable_w(radio_w + transport_w),
            f.RADIO: radio_w,
            f.TRANSPORT: transport_w,
            f.RADIO_SHED: met["radio_w"] - radio_w,
            f.TRANSPORT_SHED: met["transport_w"] - transport_w,
        }
        for column, power_w in now.items():
            row[column] += power_w * hours
        self.clock_s += hours * 3600
        return hours

    def follow(self, out_w: float, hours: float, now_s: float) -> None:
        wanted = self.modules(out_w, now_s)
        if hours * 3600 < 10 or wanted == self.working:
            return
        if not self.free(now_s):
            self.locked_until_s = now_s + 3600
        self.changed_s.append(now_s)
        self.working = wanted

    def reconnect(self, met: dict[str, Any], sub_s: float) -> None:
        bus, cells_c = self.spec.bus, met["battery_c"]
        if not met["mains"] or self.stage == 0:
            self.back_s = 0
            return
        for stage, soc in ((2, bus.transport_disconnect_soc), (1, bus.radio_disconnect_soc)):
            enough_wh = self.level_wh(soc + bus.reconnect_margin, cells_c)
            if self.stage == stage and (self.back_s >= bus.reconnect_after_s or self.stored_wh >= enough_wh):
                self.stage -= 1
        self.back_s = self.back_s + sub_s if self.stage else 0

    def step(self, met: dict[str, Any], wish: dict[str, float], step_s: float) -> Any:
        row = np.zeros(f.N_FLOWS)
        row[f.STORED_BEFORE] = self.stored_wh
        count, began_s = math.ceil(step_s / SUB_STEP_S), self.clock_s
        for k in range(count):
            self.clock_s = began_s + k * step_s / count
            self.reconnect(met, step_s / count)
            left_h, cut = step_s / count / 3600, 0
            while left_h > 0 and cut < 6:
                left_h -= self.stretch(met, wish, left_h, cut == 5, row)
                cut += 1
        self.clock_s = began_s + step_s
        row[: f.STORED_BEFORE] *= 3600 / step_s
        row[f.STORED_AFTER] = self.stored_wh
        return row
