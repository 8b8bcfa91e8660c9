"""What a live planner is told of its sites: the sites file, compiled."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from controller.errors import ConfigError
from controller.live.power.fleet import Float64, Mask
from controller.site.building import COLDER_K, class_of, plant_of, read_tariff
from controller.site.floors import site_floors
from controller.site.reaction import FULL_SERVICE
from controller.site.sites_file import ProgramSpec, Site, SitesFile
from controller.site.tariff import Tariff
from hw.adapters.power import OnBattery
from hw.power.plant import Plant, make_plant
from policies.site.backup import BackupClass


@dataclass(frozen=True, slots=True)
class Inputs:
    """n sites, all arrays (n,)."""

    site_ids: tuple[str, ...]
    sites: list[Site]
    classes: list[BackupClass]
    plant: Plant
    tariff: Tariff
    step_s: int
    rated_w: Float64  # radio with all cells awake at full load
    seed: int = 0
    past_w: Float64 = field(default_factory=lambda: np.zeros((0, 0)))  # (n, T) DC load of earlier steps
    past_step: int = 0  # number of the first of them

    @property
    def n_sites(self) -> int:
        """Number of sites."""
        return len(self.site_ids)

    @property
    def steps_per_day(self) -> int:
        """Steps in 24 h."""
        return 86_400 // self.step_s

    @property
    def health(self) -> Float64:
        """Capacity now over rated."""
        return np.array([site.health for site in self.sites])

    @property
    def transport_w(self) -> Float64:
        """DC load beside the radio."""
        return np.array([site.transport_w for site in self.sites])

    @property
    def ac_load_w(self) -> Float64:
        """Loads at the meter beside the rectifiers."""
        return np.array([site.ac_load_w for site in self.sites])

    @property
    def upper_dc_w(self) -> Float64:
        """Most that radio and transport draw."""
        return self.rated_w + self.transport_w

    @property
    def battery_c(self) -> Float64:
        """Temperature of the cells, which no report tells. [degC]"""
        return np.array([25.0 if site.indoor_c is None else site.indoor_c for site in self.sites])

    @property
    def import_cap_w(self) -> Float64:
        """Import that the connection allows; inf: no limit."""
        return np.array([np.inf if s.import_cap_w is None else s.import_cap_w for s in self.sites])

    @property
    def export_cap_w(self) -> Float64:
        """Feed-in of PV."""
        feeds = self.tariff.spec.feed_in is not None
        return np.array([site.export_cap_w if feeds else 0.0 for site in self.sites])

    def floor_wh(self, acknowledged: Mask) -> Float64:
        """Stored energy that carries each site through its class at its rated load.

        Only where the agent has ``acknowledged`` (n,) that the on-battery program is on its disk does that release
        reserve.
        """
        sites = [
            site.model_copy(update={"on_battery_program": _said(site.on_battery_program, bool(known))})
            for site, known in zip(self.sites, acknowledged, strict=True)
        ]
        radio_w, transport_w = self.rated_w[:, None], self.transport_w[:, None]
        coldest_c = self.battery_c[:, None] - COLDER_K
        reserve = site_floors(
            self.plant, sites, self.classes, radio_w, radio_w, transport_w, coldest_c, self.step_s
        )
        return np.asarray(reserve.floor_wh.max(1))

    def program(self, site: int, place: int, revision: int) -> OnBattery | None:
        """The on-battery program of a site as its agent takes it; None where it has none."""
        spec = self.sites[site].on_battery_program
        if spec is None:
            return None
        stages = spec.stages
        return OnBattery(
            place,
            revision,
            np.array([s.after_s for s in stages]),
            np.array([1.0, *(s.below_soc for s in stages[1:])]),
            np.array([s.radio_ratio for s in stages]),
            np.array([s.transport for s in stages], np.bool_),
            spec.back_s,
        )


def _said(program: ProgramSpec | None, acknowledged: bool) -> ProgramSpec:
    return (program or FULL_SERVICE).model_copy(update={"acknowledged": acknowledged and program is not None})


def read_inputs(path: Path, known: list[str], rated_w: Float64, step_s: int, seed: int = 0) -> Inputs:
    """The sites of a sites file among those ``known``, whose radios draw ``rated_w`` at most.

    Raises ConfigError for a file that does not fit, and for a tariff whose prices are a series.
    """
    file = SitesFile(path)
    names = file.with_power(known)
    sites, tariff = file.resolve(names), read_tariff(file)
    if tariff.market is not None:
        raise ConfigError(
            f"{path}: tariff {tariff.name} takes its prices from a series, which ends; a running controller needs a "
            "tariff with prices of its own"
        )
    row = {name: i for i, name in enumerate(known)}
    return Inputs(
        tuple(names),
        sites,
        [class_of(file, site) for site in sites],
        make_plant([plant_of(file, site, tariff.currency) for site in sites]),
        tariff,
        step_s,
        rated_w[[row[name] for name in names]],
        seed,
    )
