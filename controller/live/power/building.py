"""From a configuration to the core of site power."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from controller.errors import ConfigError
from controller.live.batches import Leader
from controller.live.building import make_core, past_ticks
from controller.live.config import LiveConfig
from controller.live.core import LiveCore, Resumed
from controller.live.cores import Cores
from controller.live.known import Known, known_of
from controller.live.power.core import PowerCore, PowerResumed, PowerTiming, resumed_sites
from controller.live.power.fleet import Float64, PowerFleet, Sites
from controller.live.power.inputs import Inputs, read_inputs
from controller.live.power.planner import LivePlanner
from controller.live.savings import full_service_wh
from controller.replay.scene import Clock
from controller.site.radio import rated_power_w, watt_per_unit
from controller.site.sites_file import SitesFile
from traces import Cells


def make_cores(config: LiveConfig, resumed: Resumed, site_revision: Mapping[int, int]) -> Cores:
    """The core of the radios of a configuration, with that of its site power beside it, if any.

    ``resumed`` and ``site_revision``, the highest of each site, are what a journal says. Raises what ``make_core``
    does, and ConfigError for what the sites file names.
    """
    known = known_of(config)
    radio = make_core(config, resumed, known=known)
    if config.sites is None:
        return Cores(radio, None)
    return Cores(radio, _power(config, known, radio, resumed.is_stopped, resumed_sites(site_revision)))


def _power(
    config: LiveConfig, known: Known, radio: LiveCore, is_stopped: bool, resumed: PowerResumed
) -> PowerCore:
    assert config.sites is not None
    path, timing, cells, world = Path(config.sites), radio.timing, known.cells, known.world
    unit_w = watt_per_unit(world, SitesFile(path).spec.radio_w_per_unit)
    rated_w = rated_power_w(cells, world, unit_w)
    site_ids = np.unique(cells.site_id).tolist()
    inputs = read_inputs(path, site_ids, rated_w, timing.tick_s, config.seed)
    site_of = _site_of(cells, inputs)
    inputs = _with_past(inputs, known, radio, site_of, unit_w, config.seed)
    planner = LivePlanner(inputs)
    planner.warm_up()
    return PowerCore(
        PowerFleet(
            [agent.id for agent in config.agents if agent.kind == "power"],
            inputs.site_ids,
            radio.fleet.electorate,
        ),
        planner,
        ladder=radio.ladder,
        site_of=site_of,
        leader=Leader(config.controller, radio.epoch, config.lease_s * 1000),
        timing=PowerTiming(timing.tick_s, config.guard_every_s, config.lease_s, timing.wait_ticks),
        resumed=_checked(resumed, inputs.n_sites),
        is_stopped=is_stopped,
    )


def _site_of(cells: Cells, inputs: Inputs) -> Sites:
    """Number of the site with power of each cell, -1 where there is none. (cells,)"""
    number = {name: i for i, name in enumerate(inputs.site_ids)}
    return np.array([number.get(str(name), -1) for name in cells.site_id], np.int64)


def _checked(resumed: PowerResumed, n_sites: int) -> PowerResumed:
    """Raise ConfigError where a journal names a site that the network does not have."""
    if len(resumed.site) and not 0 <= int(resumed.site.min()) <= int(resumed.site.max()) < n_sites:
        raise ConfigError(
            f"the journal names site number {int(resumed.site.max())} of {n_sites} sites with power: it is of another "
            "sites file; give the one it was written with, or begin a new journal"
        )
    return resumed


def _with_past(
    inputs: Inputs, known: Known, radio: LiveCore, site_of: Sites, unit_w: float, seed: int
) -> Inputs:
    """The inputs with the load of each step of the history, its radios at full service."""
    if known.history is None:
        return inputs
    timing = radio.timing
    clock = Clock(
        timing.sample_s,
        1,
        timing.tick_s // timing.sample_s,
        0,
        np.datetime64(0, "s"),
        "UTC",
    )
    energy_wh = full_service_wh(radio.canaries.facts)
    served = site_of >= 0
    steps: dict[int, Float64] = {}
    for end, carried in past_ticks(known.history, known.cells, clock, known.world, seed):
        mean = np.nan_to_num(carried).mean(1, dtype=np.float64)
        drawn_w = energy_wh(mean, None) * unit_w * 3600 / timing.tick_s
        step = int(end.astype("datetime64[s]").astype(np.int64)) // timing.tick_s - 1
        steps[step] = np.bincount(site_of[served], drawn_w[served], inputs.n_sites) + inputs.transport_w
    if not steps:
        return inputs
    first = min(steps)
    nothing = np.full(inputs.n_sites, np.nan)
    past_w = np.stack([steps.get(step, nothing) for step in range(first, max(steps) + 1)], 1)
    return replace(inputs, past_w=past_w, past_step=first)
