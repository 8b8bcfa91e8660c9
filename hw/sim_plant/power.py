"""Site power of the simulated plant: battery, rectifiers and PV of hw/power, with a dead-man timer a site.

It owns no clock: time is passed in. A site is on safe charging until a setpoint comes, and again when its timer runs
out: it never discharges and charges as far as pack and connection let it. Without mains the physics decides alone, for
the radio power and the transport that the last setpoint keeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from hw.ports import Bools, Floats, Int64, PowerSetting
from hw.power import flows as f
from hw.power.plant import Command, Inputs, Plant, State, start_state, step
from hw.sim_plant.faults import Fault, Faults
from hw.sim_plant.holding import above_reserve_w, held_w
from hw.sim_plant.samples import Samples
from hw.sim_plant.timing import NEVER_US, SampleClock

# Open-circuit voltage of an LFP cell by state of charge; assumed, typical of data sheets. [ratio], [V]
SOC_KNOTS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.7, 0.9, 0.98, 1.0)
CELL_V = (2.5, 3.0, 3.2, 3.25, 3.29, 3.32, 3.34, 3.36, 3.45)


T = TypeVar("T", bound=tuple[Any, ...])


def rows(arrays: T, site: Int64) -> T:
    """A copy of every array of a named tuple for some sites."""
    return type(arrays)(*(array[site] for array in arrays))


@dataclass(frozen=True, slots=True)
class PowerTruth:
    """The sites and what they meet. m sites, T steps, after which all starts over."""

    site_id: tuple[str, ...]
    plant: Plant
    soc: Floats  # (m,) at the start [ratio]
    health: Floats  # (m,) at the start [ratio]
    step_us: int  # whole samples
    transport_w: Floats  # (m, T) DC
    ac_load_w: Floats  # (m, T)
    pv_w: Floats  # (m, T) DC power that the panels could give
    battery_c: Floats  # (m, T) of the cells [degC]
    mains: Bools  # (m, T)
    reserve_wh: Floats  # (m,) kept whatever is commanded, except in a mains failure
    import_cap_w: Floats  # (m,) of the connection
    export_cap_w: Floats  # (m,)
    has_dead_man: Bools  # (m,)

    @property
    def n_sites(self) -> int:
        """Number of sites."""
        return len(self.site_id)


class PowerSample(NamedTuple):
    """One measured interval. Arrays (m,)."""

    end_unix_us: int
    soc: Floats  # [ratio], at the end as are voltage and stored energy; powers and current are means
    cell_v: Floats
    battery_a: Floats
    import_w: Floats
    load_w: Floats
    pv_w: Floats
    stored_wh: Floats
    mains: Bools


class PowerSim:
    """Power systems of m sites. They start on safe charging."""

    def __init__(self, truth: PowerTruth, clock: SampleClock, now_us: int) -> None:
        m, sample = truth.n_sites, clock.complete(now_us)
        self.truth, self.clock = truth, clock
        self.faults = Faults(m)
        self.samples: Samples[PowerSample] = Samples(sample)
        self.state = start_state(truth.plant, truth.soc, truth.health)
        self.is_safe = np.ones(m, np.bool_)
        self._battery_w, self._import_limit_w = np.zeros(m), np.full(m, np.inf)
        self._radio_ratio, self._keeps_transport = np.ones(m), np.ones(m, np.bool_)
        self._until_us = np.full(m, NEVER_US, np.int64)
        self._radio_w, self._full_radio_w = np.zeros(m), np.zeros(m)
        self._now_us = now_us
        self._served_us = np.full(m, clock.end_us(sample), np.int64)
        self._flows_w_us = np.zeros((m, f.N_FLOWS))
        self._last: PowerSample | None = None

    @property
    def battery_w(self) -> Floats:
        """Power of the battery in force: as set, or as it last charged safely. (m,)"""
        voltage_v = self.truth.plant.sites["voltage_v"]
        charging_w = np.zeros(len(voltage_v)) if self._last is None else self._last.battery_a * voltage_v
        return np.where(self.is_safe, charging_w, self._battery_w)

    @property
    def next_event_us(self) -> int:
        """Time of the next end of a sample or of a timer."""
        end_us = self.clock.end_us(self.samples.last + 1)
        return min(end_us, int(self._until_us.min(initial=NEVER_US)))

    def set_radio(self, power_w: Floats, full_service_w: Floats) -> None:
        """What radio and baseband want from now on, and would at full service. (m,)"""
        self._radio_w, self._full_radio_w = power_w, full_service_w

    def advance(self, now_us: int) -> None:
        """Work off all that happens up to now, in the order of time."""
        while (at_us := self.next_event_us) <= now_us:
            if at_us == self.clock.end_us(self.samples.last + 1):
                self._end_sample(at_us)
                continue
            self._to_safe(np.flatnonzero(self._until_us == at_us), at_us)
        self._now_us = max(self._now_us, now_us)

    def apply(self, setting: PowerSetting, now_us: int) -> Bools:
        """Set different sites. Returns whether each holds its setting."""
        self.advance(now_us)
        site, safe = setting.site, setting.is_safe
        until_us = np.where(setting.until_us == 0, NEVER_US, setting.until_us)
        sound = np.isfinite(setting.battery_w) & (setting.import_limit_w >= 0)
        sound &= (setting.radio_ratio >= 0) & (until_us > self._now_us)
        can = self.faults.takes_effect(site) & (safe | (sound & ~self.faults.at(Fault.LOCAL_CONTROL)[site]))
        moves = can & ~self.faults.at(Fault.STUCK_RELAY)[site]
        self._to_safe(site[moves & safe], self._now_us)
        k = np.flatnonzero(moves & ~safe)
        self._serve_until(self._now_us, site[k])
        own = site[k]
        self.is_safe[own] = False
        self._battery_w[own], self._import_limit_w[own] = setting.battery_w[k], setting.import_limit_w[k]
        self._radio_ratio[own], self._keeps_transport[own] = (
            setting.radio_ratio[k],
            setting.keeps_transport[k],
        )
        self._until_us[own] = np.where(self.truth.has_dead_man[own], until_us[k], NEVER_US)
        return np.asarray(can)

    def inject(self, fault: Fault, site: Int64, now_us: int, *, heals: bool) -> None:
        """Inject a fault at some sites, or heal it."""
        self.advance(now_us)
        self._serve_until(self._now_us, site)
        if fault is not Fault.REBOOT:
            self.faults.put(fault, site, heals=heals)
        if fault is Fault.LOCAL_CONTROL and not heals:
            self._to_safe(site, self._now_us)

    def _to_safe(self, site: Int64, at_us: int) -> None:
        """Put sites on safe charging."""
        self._serve_until(at_us, site)
        self.is_safe[site] = True
        self._battery_w[site], self._import_limit_w[site] = 0.0, np.inf
        self._radio_ratio[site], self._keeps_transport[site] = 1.0, True
        self._until_us[site] = NEVER_US

    def _serve_until(self, at_us: int, site: Int64) -> None:
        """Carry sites to a time inside the running sample, those together that were carried equally far."""
        behind = site[self._served_us[site] < at_us]
        for begin_us in np.unique(self._served_us[behind]):
            self._carry(behind[self._served_us[behind] == begin_us], at_us - int(begin_us))
        self._served_us[behind] = at_us

    def _carry(self, site: Int64, span_us: int) -> None:
        """Carry sites through a span."""
        plant, state = rows(self.truth.plant, site), rows(self.state, site)
        inputs = self._inputs(site)
        made = step(plant, state, inputs, self._command(site, plant, state, inputs, span_us), span_us / 1e6)
        whole: Any
        for whole, part in zip(self.state, state, strict=True):
            whole[site] = part
        self._flows_w_us[site] += made * span_us

    def _inputs(self, site: Int64) -> Inputs:
        truth = self.truth
        column = self.samples.last * self.clock.sample_us // truth.step_us % truth.mains.shape[1]
        mains = truth.mains[site, column] & ~self.faults.at(Fault.OUTAGE)[site]
        kept_w = np.minimum(self._radio_w[site], self._radio_ratio[site] * self._full_radio_w[site])
        transport_w = truth.transport_w[site, column]
        return Inputs(
            radio_w=np.where(mains, self._radio_w[site], kept_w),
            transport_w=np.where(mains | self._keeps_transport[site], transport_w, 0.0),
            ac_load_w=truth.ac_load_w[site, column],
            pv_w=truth.pv_w[site, column],
            battery_c=truth.battery_c[site, column],
            mains=mains,
        )

    def _command(self, site: Int64, plant: Plant, state: State, inputs: Inputs, span_us: int) -> Command:
        """What the power systems make of their setpoints."""
        limit_w = np.minimum(self._import_limit_w[site], self.truth.import_cap_w[site])
        held = held_w(plant, state, inputs, self._battery_w[site], limit_w)
        held = above_reserve_w(plant, state, held, self.truth.reserve_wh[site], span_us / 1e6)
        charging_w = plant.sites["charge_rate"] * plant.sites["rated_wh"]
        return Command(
            np.where(self.is_safe[site], -charging_w, held), limit_w, self.truth.export_cap_w[site]
        )

    def _end_sample(self, at_us: int) -> None:
        self._serve_until(at_us, np.arange(self.truth.n_sites))
        self._last = self._measure(self._flows_w_us / self.clock.sample_us)
        self.samples.append(self._last)
        self._flows_w_us[:] = 0.0

    def _measure(self, flows_w: Floats) -> PowerSample:
        """What is measured at the end of a sample of these mean flows (m, N_FLOWS)."""
        state, sites, last = self.state, self.truth.plant.sites, self._last
        # a pack that ages while it is full holds more than its capacity for a while
        soc = np.minimum(state.stored_wh / (sites["rated_wh"] * state.health), 1.0)
        true: dict[str, Any] = {
            "soc": soc,
            "cell_v": np.interp(soc, SOC_KNOTS, CELL_V),
            "battery_a": (flows_w[:, f.BATTERY_OUT] - flows_w[:, f.BATTERY_IN]) / sites["voltage_v"],
            "import_w": flows_w[:, f.GRID_IMPORT],
            "load_w": flows_w[:, f.RADIO] + flows_w[:, f.TRANSPORT],
            "pv_w": flows_w[:, f.PV_OUT],
            "stored_wh": state.stored_wh.copy(),
            "mains": self._inputs(np.arange(len(soc))).mains,
        }
        measured: dict[str, Any] = {
            name: self.faults.measured(
                values, values if last is None else getattr(last, name), is_share=name == "soc"
            )
            for name, values in true.items()
        }
        return PowerSample(end_unix_us=self.clock.end_unix_us(self.samples.last + 1), **measured)
