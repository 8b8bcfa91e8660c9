"""A small scene of sites for the tests: made-up loads of a few days, a sites file beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from controller.site.building import RadioLoad, SitesScene, build_scene, prepare
from controller.site.inputs import Grid
from controller.site.sites_file import SitesFile

STEP_S, PER_DAY = 3600, 24
START = np.datetime64("2025-03-02T16:00:00", "s")  # midnight in Shanghai
HEAD = """schema: quietcell.sites/1
source: made up
tariff: cn-five-period-demand
exchange_rate: 7.7
"""
DEFAULTS = """defaults:
  plant: macro-lfp-200ah
  packs: 2
  backup_class: urban
  mains_grade: urban
  transport_w: 300.0
  indoor_c: 25.0
"""


def write(folder: Path, text: str) -> SitesFile:
    """A sites file of this text."""
    path = folder / "sites.yaml"
    path.write_text(text)
    return SitesFile(path)


def grid(days: int, sites: tuple[str, ...] = ("east", "west")) -> Grid:
    """Whole hours from a local midnight on."""
    return Grid(list(sites), START, days * PER_DAY, STEP_S)


def radio(own: Grid, level_w: float = 2000.0, seed: int = 3) -> RadioLoad:
    """A daily course with noise of its own in each hour; sleep takes a fifth off at night."""
    rng = np.random.default_rng(seed)
    n, hour = len(own.site_id), np.arange(own.n_steps) % PER_DAY
    course = 1 + 0.4 * np.sin((hour - 9) * np.pi / 12)
    full_w = level_w * course * np.exp(0.05 * rng.standard_normal((n, own.n_steps)))
    asleep_w = np.where(hour < 6, 0.8, 1.0) * full_w
    return RadioLoad(own, np.ascontiguousarray(asleep_w), full_w, np.full(n, 2.0 * level_w), "predictive")


def made_scene(folder: Path, text: str = HEAD + DEFAULTS, days: int = 6) -> SitesScene:
    """The scene of two sites."""
    own = grid(days)
    return build_scene(prepare(write(folder, text), own), radio(own))
