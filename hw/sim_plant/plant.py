"""The simulated plant of a whole network, as each of its agents sees its own part of it. Owns no clock."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from hw.ports import (
    Bools,
    Int64,
    PowerAbilities,
    PowerReading,
    PowerSetting,
    RadioAbilities,
    RadioReading,
    RadioSetting,
)
from hw.sim_plant.errors import PlantError, PlantSilentError
from hw.sim_plant.faults import Fault
from hw.sim_plant.power import PowerSample, PowerSim
from hw.sim_plant.radio import FULL_SERVICE, RadioSim
from hw.sim_plant.service import energy_wh

MEASURES = tuple(name for name in PowerSample._fields if name != "end_unix_us")


@dataclass(frozen=True, slots=True)
class NetworkNames:
    """What is known of n cells beside their physics."""

    cell_id: tuple[str, ...]
    site_id: tuple[str, ...]  # of each cell
    product: tuple[str, ...]
    is_capacity: Bools  # (n,)
    level_names: tuple[str, ...]  # (L,)


class PlantSim:
    """Radios, site power where there is any, and who has which part."""

    def __init__(
        self,
        names: NetworkNames,
        agents: Sequence[str],
        agent_of_cell: Int64,
        radio: RadioSim,
        power: PowerSim | None = None,
        watt_per_unit: float = 1.0,
    ) -> None:
        """``agent_of_cell`` (n,) counts into ``agents``; a site has one agent. ``watt_per_unit`` of radio power."""
        self.names, self.agents = names, tuple(agents)
        self.radio, self.power = radio, power
        self._watt_per_unit = watt_per_unit
        self._cells = {agent: np.flatnonzero(agent_of_cell == k) for k, agent in enumerate(agents)}
        self._silent: set[str] = set()
        self._radio_number = np.zeros(len(names.cell_id), np.int64)  # of the last order that each cell obeyed
        self._power_number = np.zeros(0 if power is None else power.truth.n_sites, np.int64)
        power_sites = () if power is None else power.truth.site_id
        place = {site: k for k, site in enumerate(power_sites)}
        self._site_of_cell = np.array([place.get(site, -1) for site in names.site_id], np.int64)
        self._sites = {agent: self._sites_of(cells) for agent, cells in self._cells.items()}
        idle = radio.truth.tables.idle_power[radio.truth.groups.model].astype(np.float64)
        self._cell_w = np.stack([idle, idle]) * watt_per_unit  # drawn, and at full service
        self._feed_power()

    def _sites_of(self, cells: Int64) -> Int64:
        sites = np.unique(self._site_of_cell[cells])
        return sites[sites >= 0]

    def advance(self, now_us: int) -> None:
        """Work off all that happens up to now; the sites are loaded by what the radios drew in the sample before."""
        power, clock = self.power, self.radio.clock
        while power is not None and (end_us := clock.end_us(self.radio.samples.last + 1)) <= now_us:
            self.radio.advance(end_us)
            power.advance(end_us)
            drawn = np.stack([self.radio.book.last_power, self.radio.book.last_full_service_power])
            self._cell_w = np.where(np.isnan(drawn), self._cell_w, self._watt_per_unit * drawn)
            self._feed_power()
        self.radio.advance(now_us)
        if power is not None:
            power.advance(now_us)

    def _feed_power(self) -> None:
        if self.power is None:
            return
        with_power = self._site_of_cell >= 0
        m = self.power.truth.n_sites
        site = self._site_of_cell[with_power]
        drawn_w, full_w = (np.bincount(site, w[with_power], m).astype(np.float64) for w in self._cell_w)
        self.power.set_radio(drawn_w, full_w)

    def describe_radio(self, agent: str) -> RadioAbilities:
        """The radios of an agent."""
        cells, truth, names = self._cells_of(agent), self.radio.truth, self.names
        wake_ms = truth.tables.wake_samples.astype(np.int64) * (self.radio.clock.sample_us // 1000)
        return RadioAbilities(
            cell_id=tuple(names.cell_id[i] for i in cells),
            site_id=tuple(names.site_id[i] for i in cells),
            product=tuple(names.product[i] for i in cells),
            is_capacity=names.is_capacity[cells],
            level_names=names.level_names,
            wake_ms=wake_ms,
            off_air=truth.tables.asleep,
            allowed=truth.allowed[cells],
            has_dead_man=truth.has_dead_man[cells],
            full_service_level=FULL_SERVICE,
            is_simulated=True,
        )

    def apply_radio(self, agent: str, setting: RadioSetting, number: int, now_us: int) -> Bools:
        """Set cells of an agent, as hw.ports.RadioPlant. Raises PlantError for places that do not exist."""
        cells, level = self._cells_of(agent), setting.level
        _check_places("cell", setting.cell, len(cells))
        if len(level) and int(level.max()) >= len(self.names.level_names):
            raise PlantError(f"level must be below {len(self.names.level_names)}, not {int(level.max())}")
        self.advance(now_us)
        cell = cells[setting.cell]
        obeys = (number >= self._radio_number[cell]) & (
            ~setting.extends | (self.radio.commanded[cell] == level)
        )
        self._radio_number[cell[obeys]] = number
        done = np.zeros(len(cell), np.bool_)
        done[obeys] = self.radio.apply(cell[obeys], level[obeys], setting.until_us[obeys], now_us)
        return done

    def read_radio(self, agent: str, after_sample: int, now_us: int) -> RadioReading:
        """Levels of an agent's cells and what was measured after a sample."""
        cells = self._cells_of(agent)
        self.advance(now_us)
        samples = self.radio.samples.after(after_sample)
        measured = np.empty((3, len(cells), len(samples)), np.float32)
        for s, sample in enumerate(samples):
            measured[:, :, s] = sample.carried[cells], sample.throughput[cells], sample.power[cells]
        carried, throughput, power = measured
        energy = energy_wh(self._watt_per_unit * power.astype(np.float64), self.radio.clock.sample_us)
        return RadioReading(
            level=self.radio.level[cells],
            local_control=self.radio.faults.at(Fault.LOCAL_CONTROL)[cells],
            last_sample=self.radio.samples.last,
            end_unix_us=np.array([sample.end_unix_us for sample in samples], np.int64),
            interval_ms=self.radio.clock.sample_us // 1000,
            carried=carried,
            throughput=throughput,
            energy_wh=energy.astype(np.float32),
        )

    def describe_power(self, agent: str) -> PowerAbilities:
        """The sites of an agent; none where the plant has no site power."""
        self._cells_of(agent)
        if self.power is None:
            none = np.zeros(0)
            return PowerAbilities((), none, none, none, none, none, np.zeros(0, np.bool_))
        sites, truth = self._sites[agent], self.power.truth
        packs = truth.plant.sites[sites]
        return PowerAbilities(
            site_id=tuple(truth.site_id[i] for i in sites),
            charge_max_w=packs["charge_rate"] * packs["rated_wh"],
            discharge_max_w=packs["discharge_rate"] * packs["rated_wh"],
            capacity_wh=packs["rated_wh"] * truth.health[sites],
            reserve_wh=truth.reserve_wh[sites],
            import_cap_w=truth.import_cap_w[sites],
            has_dead_man=truth.has_dead_man[sites],
            is_simulated=True,
        )

    def apply_power(self, agent: str, setting: PowerSetting, number: int, now_us: int) -> Bools:
        """Set sites of an agent, as hw.ports.PowerPlant. Raises PlantError for places that do not exist."""
        sites, power = self._sites_with_power(agent)
        _check_places("site", setting.site, len(sites))
        self.advance(now_us)
        site = sites[setting.site]
        obeys = (number >= self._power_number[site]) & ~(setting.extends & power.is_safe[site])
        self._power_number[site[obeys]] = number
        given = {field.name: getattr(setting, field.name)[obeys] for field in fields(setting)}
        done = np.zeros(len(site), np.bool_)
        done[obeys] = power.apply(PowerSetting(**(given | {"site": site[obeys]})), now_us)
        return done

    def read_power(self, agent: str, after_sample: int, now_us: int) -> PowerReading:
        """State of an agent's sites and what was measured after a sample."""
        sites, power = self._sites_with_power(agent)
        self.advance(now_us)
        samples = power.samples.after(after_sample)
        measured: dict[str, Any] = {
            name: np.array([getattr(x, name)[sites] for x in samples]).reshape(len(samples), len(sites)).T
            for name in MEASURES
        }
        return PowerReading(
            is_safe=power.is_safe[sites],
            battery_w=power.battery_w[sites],
            local_control=power.faults.at(Fault.LOCAL_CONTROL)[sites],
            last_sample=power.samples.last,
            end_unix_us=np.array([sample.end_unix_us for sample in samples], np.int64),
            interval_ms=power.clock.sample_us // 1000,
            **(measured | {"mains": measured["mains"].astype(np.bool_)}),
        )

    def inject(
        self,
        agent: str,
        fault: Fault,
        now_us: int,
        *,
        heals: bool,
        cell_id: Collection[str] = (),
        share: float = 0.0,
    ) -> None:
        """Inject a fault at an agent, or at all with an empty name, or heal it.

        ``cell_id`` names single cells of it, for faults of radios; ``share`` is that of ``Fault.SLOW_USERS``.
        """
        self._check_fault(agent, fault, cell_id, share)
        self.advance(now_us)
        for name in [agent] if agent else self.agents:
            cells = self._known(name)
            if cell_id:
                at = cells[[self.names.cell_id[i] in cell_id for i in cells]]
                self.radio.inject(fault, at, now_us, heals=heals, share=share)
                continue
            if fault is Fault.SILENT:
                (self._silent.discard if heals else self._silent.add)(name)
                continue
            self.radio.inject(fault, cells, now_us, heals=heals, share=share)
            if self.power is not None:
                self.power.inject(fault, self._sites[name], now_us, heals=heals)

    def _check_fault(self, agent: str, fault: Fault, cell_id: Collection[str], share: float) -> None:
        """Raise PlantError for cells that the agent does not have, and for a share that cannot be."""
        here = self._known(agent).tolist() if agent else range(len(self.names.cell_id))
        missing = set(cell_id) - {self.names.cell_id[i] for i in here}
        if missing:
            raise PlantError(f"cell {min(missing)!r} is not known here")
        if cell_id and fault in (Fault.SILENT, Fault.OUTAGE):
            raise PlantError("this fault is that of a whole agent; name no cells")
        if not 0 <= share <= 1:
            raise PlantError(f"share must be within 0 and 1, not {share}")

    def _known(self, agent: str) -> Int64:
        if agent not in self._cells:
            raise PlantError(f"agent {agent!r} is not known; known: {', '.join(self.agents[:20])}")
        return self._cells[agent]

    def _cells_of(self, agent: str) -> Int64:
        cells = self._known(agent)
        if agent in self._silent:
            raise PlantSilentError(f"the plant of {agent} is silent")
        return cells

    def _sites_with_power(self, agent: str) -> tuple[Int64, PowerSim]:
        self._cells_of(agent)
        if self.power is None:
            raise PlantError("this plant has no site power; start it with a sites file")
        return self._sites[agent], self.power


def _check_places(what: str, place: Int64, n: int) -> None:
    """Raise PlantError for a place that does not exist or comes twice."""
    if len(place) and (place.min() < 0 or place.max() >= n):
        raise PlantError(f"{what} must be below {n}, not {int(place.max())}")
    if len(np.unique(place)) < len(place):
        raise PlantError(f"{what} must not come twice in a request")
