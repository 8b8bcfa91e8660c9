"""Synthetic clusters of three layers and beliefs about their load, for benchmarks of joint plans."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.config import load_profile
from controller.worlds import load_world
from hw.tables import Tables, pack
from policies import network as networks
from policies.forecast import Forecast
from policies.network import Network, build_network
from policies.policy import Allowance, View
from policies.predictive import PredictivePlanner

LAYERS = ("coverage-700", "capacity-2600-32t", "capacity-3500-64t")
SPT, TICK_S = 15, 900
WORLD = load_world("three-layer")
PROFILE = load_profile(None)


@dataclass(frozen=True, slots=True)
class Clusters:
    """Sectors of three layers and a planner of them."""

    network: Network
    tables: Tables
    planner: PredictivePlanner

    def view(self, forecast: Forecast, level: NDArray[np.uint8]) -> View:
        """What the planner sees at ``level`` (n,)."""
        n = self.network.n_cells
        return View(
            local_hour=0,
            tick_s=TICK_S,
            level=level,
            held_s=np.zeros(n, np.int64),
            offered=np.full((n, SPT), np.nan, np.float32),
            forecast=forecast,
            allowance=Allowance(np.inf, 0.01),
        )


def make_clusters(n_sectors: int, *, overlap_next: float = 0.0, most_states: int | None = None) -> Clusters:
    """Sectors in a row; with ``overlap_next`` each capacity cell overlaps the next coverage cell by that share."""
    candidates, overlap = [], []
    for sector in range(n_sectors):
        first = 3 * sector
        onward = first + 3 if overlap_next > 0 and sector + 1 < n_sectors else None
        for own in ([], [first, first + 2], [first, first + 1]):
            beyond = [onward] if own and onward is not None else []
            candidates.append(own + beyond)
            overlap.append([1.0] * len(own) + [overlap_next] * len(beyond))
    start = np.cumsum([0, *map(len, candidates)]).astype(np.int32)
    n = 3 * n_sectors
    usual = networks.MAX_JOINT_STATES
    networks.MAX_JOINT_STATES = most_states or usual
    network = build_network(
        WORLD.world,
        WORLD.world.models_of(np.tile(LAYERS, n_sectors), np.array([f"c{i}" for i in range(n)])),
        np.tile([False, True, True], n_sectors),
        start,
        np.array([c for own in candidates for c in own], np.int32),
        overlap=np.array([share for own in overlap for share in own], np.float32),
    )
    networks.MAX_JOINT_STATES = usual
    service = WORLD.evaluation.service
    tables = pack(
        WORLD.world,
        sample_s=60,
        target_mbit_s=service.target_mbit_s,
        target_share=service.target_share_of_none,
    )
    settings = PROFILE.predictive.model_copy(update={"off_air_after_h": 0.0})
    return Clusters(network, tables, PredictivePlanner(network, tables, settings, samples_per_tick=SPT))


def belief(n_sectors: int, seed: int, horizon: int) -> Forecast:
    """Loads from idle to busy, alike within a sector and moving over the horizon."""
    rng = np.random.default_rng(seed)
    sector = rng.normal(np.log(0.05), 1.2, (n_sectors, 1, 1))
    log_median = sector + rng.normal(0, 0.4, (n_sectors, 3, 1)) + rng.normal(0, 0.15, (n_sectors, 3, horizon))
    log_median = np.clip(log_median, np.log(1e-4), np.log(0.95)).reshape(3 * n_sectors, horizon)
    return Forecast(log_median, rng.uniform(0.2, 0.5, log_median.shape), np.ones(len(log_median), np.bool_))
