"""What the operator of a synthetic network did at night, and the energy that its sites then measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from traces.synth.clock import Clock
from traces.synth.spec import SynthSpec, site_random

Float64 = NDArray[np.float64]
OPERATOR_STREAM, ENERGY_STREAM = 6, 7

SYMBOL_NIGHT_H = (22.0, 8.0)  # symbol shutdown is allowed from .. to, local
SHUTDOWN_NIGHT_H = (1.0, 5.0)  # carrier shutdown likewise
SHUTDOWN_BELOW_LOAD = 0.08  # of the capacity cell in the hour before
CANDIDATE_BELOW_LOAD = 0.35  # of the coverage cell with the traffic it would take over

# EARTH, remote radio head with 6 transceivers (doi:10.1109/MWC.2011.6056691): 84 W each at rest, 2.8 x 20
# W more at full power, 56 W asleep. What symbol shutdown saves, the baseband's power and the noise are
# assumptions.
RADIO_IDLE_W, RADIO_LOAD_W, RADIO_ASLEEP_W = 504.0, 336.0, 336.0
SYMBOL_SAVES_RATIO = 0.2  # of the power at rest, in empty symbols
BASEBAND_W = 300.0
METER_SIGMA = 0.01


@dataclass(frozen=True, slots=True)
class Night:
    """Share of each step that a level was active. Both have shape (sectors, layers, n_steps) [ratio]."""

    symbol: Float64
    carrier_shutdown: Float64


def no_saving(spec: SynthSpec) -> Night:
    """An operator who logs no saving."""
    shape = (spec.sectors, spec.layers, spec.n_steps)
    return Night(np.zeros(shape), np.zeros(shape))


def has_saving(spec: SynthSpec, site: int) -> bool:
    """Whether the operator runs night shutdown at this site."""
    return bool(site_random(spec, site, OPERATOR_STREAM).random() < spec.logged_share)


def plan_night(clock: Clock, offered: Float64) -> Night:
    """The operator's rule: a quiet capacity cell sleeps a whole night if its coverage cell has room for it.

    ``offered`` is the traffic of each cell over its own rate, shape (sectors, layers, n_steps) [ratio].
    """
    shutdown = np.zeros(offered.shape)
    start_h, end_h = SHUTDOWN_NIGHT_H
    night = (clock.local_hour >= start_h) & (clock.local_hour < end_h)
    before = (clock.local_hour >= start_h - 1) & (clock.local_hour < start_h)
    for day in range(clock.n_days):
        seen, asleep = before & (clock.day == day), night & (clock.day == day)
        if not seen.any():
            continue
        load = offered[:, :, seen].mean(axis=2)
        quiet = load < SHUTDOWN_BELOW_LOAD
        quiet[:, 0] = False
        room = load[:, 0] + np.where(quiet, load, 0).sum(axis=1) < CANDIDATE_BELOW_LOAD
        shutdown[:, :, asleep] = (quiet & room[:, None])[:, :, None]
    start_h, end_h = SYMBOL_NIGHT_H
    symbol = (clock.local_hour >= start_h) | (clock.local_hour < end_h)
    return Night(symbol * (1 - shutdown), shutdown)


def site_energy_wh(spec: SynthSpec, site: int, load: Float64, night: Night) -> Float64:
    """Energy of one site per step: its radios and its baseband. (n_steps,) [Wh]

    ``load`` is the recorded downlink load, shape (sectors, layers, n_steps) [ratio].
    """
    saved = SYMBOL_SAVES_RATIO * RADIO_IDLE_W * night.symbol * (1 - load)
    awake_w = RADIO_IDLE_W + RADIO_LOAD_W * load - saved
    radio_w = awake_w + night.carrier_shutdown * (RADIO_ASLEEP_W - awake_w)
    total_w = BASEBAND_W + radio_w.sum(axis=(0, 1))
    noise = site_random(spec, site, ENERGY_STREAM).normal(1, METER_SIGMA, spec.n_steps)
    return np.asarray(total_w * noise * spec.step_s / 3600, np.float64)
