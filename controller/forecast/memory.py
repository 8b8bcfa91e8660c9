"""All that is remembered of a network: the state of every cell, and what its sites and the whole network do.

Time comes in as slots, so that live running, backtest and training feed the same code; ``runtime`` knows the clock.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from controller.forecast.features import Moment, fill_features, last_residual
from controller.forecast.layout import DAY_S, N_DAYS, OFFSET, n_features
from controller.forecast.state import new_state, observe

UNKNOWN_U = float(np.log(0.1 + OFFSET))  # of a network in which nothing was ever measured


class Ahead(NamedTuple):
    """The coming steps on the calendar. (H,) each"""

    slot: NDArray[np.int64]  # of the local day
    week_slot: NDArray[np.int64]  # of the local week
    rest_day: NDArray[np.float32]
    holiday: NDArray[np.float32]


class Memory:
    """State of n cells at ``site`` (n,), fed step by step."""

    def __init__(self, site: NDArray[np.int32], per_day: int) -> None:
        n = len(site)
        self.state = new_state(n, per_day)
        self._site = np.ascontiguousarray(site, np.int32)
        self._n_sites = int(site.max()) + 1 if n else 0
        self._site_profile = np.full((self._n_sites, per_day), np.nan, np.float32)
        self._network_profile = np.full(per_day, np.nan)
        self._last_slot = 0
        self.n_steps = 0

    @property
    def per_day(self) -> int:
        """Steps of a day."""
        return int(self.state.profile.shape[1])

    def observe(self, load: NDArray[np.float32], slot: int, week_slot: int) -> None:
        """Take in one step: loads (n,), NaN missing. [ratio]"""
        at = self.n_steps % (N_DAYS * self.per_day)
        observe(self.state, load, at, slot, week_slot)
        self._last_slot = slot
        self.n_steps += 1
        u = self.state.history[:, at]
        measured = ~np.isnan(u)
        if not measured.any():
            return
        self._network_profile[slot] = np.nanmean(self.state.profile[:, slot], dtype=np.float64)
        total, count = self._site_sums(u, measured)
        known = count > 0
        self._site_profile[known, slot] = total[known] / count[known]

    def moment(self, ahead: Ahead) -> Moment:
        """Where the network stands now, for the feature kernel."""
        at = (self.n_steps - 1) % (N_DAYS * self.per_day)
        residual = last_residual(self.state, at, self._last_slot)
        measured = np.isfinite(residual)
        network_lag = float(residual[measured].mean(dtype=np.float64)) if measured.any() else 0.0
        total, count = self._site_sums(residual, measured)
        others = count[self._site] - measured
        own = np.where(measured, residual, 0)
        site_lag = np.where(
            others > 0, (total[self._site] - own) / np.maximum(others, 1), network_lag
        ).astype(np.float32)
        profile = self._network_profile
        gaps = np.isnan(profile)
        filled = np.where(gaps, UNKNOWN_U if gaps.all() else np.nanmean(profile), profile)
        return Moment(
            at=at,
            slot=self._last_slot,
            ahead_slot=ahead.slot,
            ahead_week_slot=ahead.week_slot,
            rest_day=ahead.rest_day,
            holiday=ahead.holiday,
            network_shape=(filled - filled.mean()).astype(np.float32),
            network_lag=network_lag,
            site_lag=site_lag,
            network_profile=filled.astype(np.float32),
            site_profile=self._site_profile,
            site=self._site,
        )

    def features(self, moment: Moment, cells: NDArray[np.int64]) -> NDArray[np.float32]:
        """The columns of ``layout`` for ``cells`` (m,) at a ``moment`` of this memory. (m, F)"""
        width = n_features(DAY_S // self.per_day, len(moment.ahead_slot))
        out = np.empty((len(cells), width), np.float32)
        fill_features(self.state, moment, cells, out)
        return out

    def _site_sums(
        self, value: NDArray[np.float32], measured: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Sum and number of the measured values of each site. (G,)"""
        site = self._site[measured]
        total = np.asarray(np.bincount(site, value[measured], self._n_sites), np.float64)
        return total, np.asarray(np.bincount(site, minlength=self._n_sites), np.int64)
