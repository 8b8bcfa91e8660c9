"""Site power as part of a replay: reads the sites file before it, takes the radio's power out of it, compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from controller.replay.scene import make_clock
from controller.replay.stage import Progress, Task, quiet
from controller.report.sitedata import SitePage
from controller.site.building import Prepared, RadioLoad, build_scene, prepare
from controller.site.comparison import IDLE, Comparison
from controller.site.document import site_section
from controller.site.inputs import Grid
from controller.site.page import KeptCourses
from controller.site.radio import by_site, rated_power_w, watt_per_unit
from controller.site.sites_file import SitesFile
from controller.site.sleep_price import sleep_prices

AWAKE, FEEDS = "none", ("predictive", "symbol")  # the first of these that is replayed loads the sites


class PowerRun(Protocol):
    """A radio policy that was replayed."""

    power: NDArray[np.float64] | None
    unknown_ticks: int


def prepare_for(file: SitesFile, task: Task) -> Prepared:
    """What a sites file names, for the steps of a task. Raises ConfigError or TraceError for what does not fit."""
    clock = make_clock(task.trace, task.world)
    site_id = np.unique(task.trace.cells.site_id).tolist()
    return prepare(file, Grid(site_id, clock.start, clock.n_ticks, clock.tick_s))


def with_prices(task: Task, given: Prepared) -> Task:
    """The task with what its sleep is weighed by. Raises ConfigError for what nobody states."""
    site = np.unique(task.trace.cells.site_id, return_inverse=True)[1]
    return replace(task, energy_price=sleep_prices(given, site))


class SiteReplay:
    """Site power in the making, and the ``task`` with what its sleep is weighed by.

    Raises ConfigError or TraceError at once for a sites file that does not fit.
    """

    def __init__(self, path: Path, task: Task, policies: tuple[str, ...]) -> None:
        file = SitesFile(path)
        self._unit_w = watt_per_unit(task.world, file.spec.radio_w_per_unit)
        self._given = prepare_for(file, task)
        self.task = with_prices(task, self._given)
        self.feed = next(name for name in FEEDS if name in policies)
        self.comparison: Comparison | None = None
        self._kept: KeptCourses | None = None

    def wants(self, policy: str) -> bool:
        """Whether the power of a radio policy is needed."""
        return policy in (AWAKE, self.feed)

    def run(self, runs: Mapping[str, PowerRun], progress: Progress = quiet, *, with_page: bool) -> None:
        """Compare the site policies. Interrupted, it keeps those that are done."""
        cells, world = self.task.trace.cells, self.task.world
        asleep, awake = (self._site_power(runs[name]) for name in (self.feed, AWAKE))
        rated_w = rated_power_w(cells, world, self._unit_w)
        load = RadioLoad(self._given.grid, asleep, awake, np.maximum(rated_w, awake.max(1)), self.feed)
        self.comparison = Comparison(build_scene(self._given, load), self.task.seed)
        self._kept = KeptCourses(self.comparison) if with_page else None
        self.comparison.run(progress, None if self._kept is None else self._kept.keep)

    def _site_power(self, run: PowerRun) -> NDArray[np.float64]:
        assert run.power is not None  # of policies that are wanted
        return by_site(self.task.trace.cells, run.power * self._unit_w, run.unknown_ticks).power_w

    @property
    def begun(self) -> bool:
        """Whether there is anything to report."""
        return self.comparison is not None and IDLE in self.comparison.tallies

    def section(self) -> dict[str, Any]:
        """The section ``site`` of report.json. Only once begun."""
        assert self.comparison is not None
        return site_section(self.comparison)

    def page(self) -> SitePage | None:
        """What the page draws; None where nothing was kept."""
        return self._kept.page() if self._kept is not None and self.begun else None
