"""Outages of sites and gaps in what was collected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from traces.synth.spec import SynthSpec, site_random

Mask = NDArray[np.bool_]
OUTAGE_STREAM, GAP_STREAM = 8, 9

OUTAGE_MEDIAN_H, OUTAGE_SIGMA = 2.0, 0.6
GAP_MEAN_STEPS = 4


@dataclass(frozen=True, slots=True)
class Faults:
    """What went wrong at one site."""

    silent: Mask  # (n_steps,) backhaul lost: on air, but carries nothing
    lost: Mask  # (n_cells, n_steps) nothing was recorded
    site_lost: Mask  # (n_steps,) nothing was recorded of the whole site, energy included


def draw_faults(spec: SynthSpec, site: int, n_cells: int) -> Faults:
    """Outages and gaps of one site. Half of the outages are silent, half leave no record."""
    n_steps = spec.n_steps
    silent, site_lost = np.zeros(n_steps, np.bool_), np.zeros(n_steps, np.bool_)
    random = site_random(spec, site, OUTAGE_STREAM)
    for _ in range(random.poisson(spec.outages_per_site_week * spec.days / 7)):
        start = random.integers(n_steps)
        hours = random.lognormal(np.log(OUTAGE_MEDIAN_H), OUTAGE_SIGMA)
        length = max(1, round(hours * 3600 / spec.step_s))
        target = silent if random.random() < 0.5 else site_lost
        target[start : start + length] = True
    random = site_random(spec, site, GAP_STREAM)
    half = 1 - np.sqrt(1 - spec.missing_share)  # half is lost by whole sites, half by single cells
    site_lost |= _gaps(random, (1, n_steps), half)[0]
    lost = site_lost | _gaps(random, (n_cells, n_steps), half)
    return Faults(silent, lost, site_lost)


def _gaps(random: np.random.Generator, shape: tuple[int, int], share: float) -> Mask:
    """Runs of lost steps, their length geometric; ``share`` is their expected share. Shape ``shape``."""
    n_rows, n_steps = shape
    starts = -np.log1p(-share) / GAP_MEAN_STEPS  # overlapping runs count once
    count = random.poisson(starts * n_steps, n_rows)
    row = np.repeat(np.arange(n_rows), count)
    first = random.integers(0, n_steps, len(row))
    length = random.geometric(1 / GAP_MEAN_STEPS, len(row))
    edges = np.zeros((n_rows, n_steps + 1))
    np.add.at(edges, (row, first), 1)
    np.add.at(edges, (row, np.minimum(first + length, n_steps)), -1)
    return np.asarray(edges.cumsum(axis=1)[:, :n_steps] > 0)
