"""What the counters of a site's cells show: loads, volumes and users, from what its users ask for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from traces.synth.clock import Clock
from traces.synth.demand import correlated_noise
from traces.synth.layout import carriers_of
from traces.synth.saving import Night, has_saving, no_saving, plan_night
from traces.synth.spec import SynthSpec, site_random

Float64 = NDArray[np.float64]
SPLIT_STREAM, COUNTER_STREAM = 10, 11

COVERAGE_ONLY = (
    2.0,
    8.0,
)  # beta distribution of the traffic whose user equipment knows only the coverage layer
SPLIT_SIGMA, SPLIT_NOISE_SIGMA, SPLIT_TAU_S = 0.25, 0.12, 1800.0  # log of the layers' weights
SATURATION = 6  # how sharply a load bends below 1
UL_PER_DL, UL_SIGMA, UL_NOISE_SIGMA, UL_TAU_S = 0.25, 0.3, 0.25, 900.0
UL_RATE_RATIO = 0.1  # uplink rate of a full cell over its downlink rate
RATE_SIGMA, RATE_NOISE_SIGMA, RATE_TAU_S = 0.15, 0.08, 1800.0
RATE_LOSS_RATIO = 0.2  # less rate at full load, through interference
USERS_PER_ODDS = 4.0  # active users over load / (1 - load), as in processor sharing


@dataclass(frozen=True, slots=True)
class Counters:
    """Everything recorded of one site's cells. All arrays have shape (sectors * layers, n_steps)."""

    dl_prb_ratio: Float64
    ul_prb_ratio: Float64
    dl_volume_bit: Float64
    ul_volume_bit: Float64
    active_users: Float64
    night: Night


def rates_mbit_s(spec: SynthSpec) -> Float64:
    """Rate of a full cell of each layer. (layers,) [Mbit/s]"""
    return np.array([c.rate_mbit_s for c in carriers_of(spec)])


def split_over_layers(spec: SynthSpec, site: int, demand: Float64) -> Float64:
    """Traffic offered to each cell over its own rate. (sectors, layers, n_steps) [ratio]

    Load sharing aims at equal loads. Some user equipment knows only the coverage layer, and what the rest can
    do varies, so that the loads differ by cell and over time. The sector's traffic is conserved.
    """
    if spec.layers == 1:
        return demand[:, None, :]
    random = site_random(spec, site, SPLIT_STREAM)
    shape = (spec.sectors, spec.layers, spec.n_steps)
    rates = rates_mbit_s(spec)
    stuck = random.beta(*COVERAGE_ONLY, (spec.sectors, 1))
    if spec.low_band:  # a share of what the small layer carries, not of the whole sector
        stuck *= rates[0] / rates.sum()
    weight = np.log(rates)[:, None] + SPLIT_SIGMA * random.standard_normal((spec.sectors, spec.layers, 1))
    rows = (spec.sectors * spec.layers, spec.n_steps)
    noise = correlated_noise(random, rows, SPLIT_NOISE_SIGMA, SPLIT_TAU_S, spec.step_s)
    share = np.exp(weight + noise.reshape(shape))
    share *= (1 - stuck[:, None]) / share.sum(axis=1, keepdims=True)
    share[:, 0] += stuck
    offered: Float64 = share * demand[:, None, :] * (rates.sum() / rates)[:, None]
    return offered


def hand_over(spec: SynthSpec, offered: Float64, night: Night) -> Float64:
    """Offered traffic after the sleeping cells' share went to their coverage cell. Same shape [ratio]"""
    shed = offered * night.carrier_shutdown
    rates = rates_mbit_s(spec)
    kept = offered - shed
    kept[:, 0] += (shed * (rates / rates[0])[:, None]).sum(axis=1)
    return kept


def record(spec: SynthSpec, clock: Clock, site: int, demand: Float64, silent: NDArray[np.bool_]) -> Counters:
    """Counters of one site from its demand; in ``silent`` steps the cells carry nothing."""
    offered = split_over_layers(spec, site, demand)
    night = no_saving(spec)
    if spec.layers > 1 and has_saving(spec, site):
        night = plan_night(clock, offered)
        offered = hand_over(spec, offered, night)
    offered[:, :, silent] = 0
    shape = (spec.sectors * spec.layers, spec.n_steps)
    load = saturated(offered).reshape(shape)
    random = site_random(spec, site, COUNTER_STREAM)
    own_ul = UL_PER_DL * np.exp(UL_SIGMA * random.standard_normal((shape[0], 1)))
    ul_noise = correlated_noise(random, shape, UL_NOISE_SIGMA, UL_TAU_S, spec.step_s)
    ul_load = saturated(load * own_ul * np.exp(ul_noise))
    own_rate = np.exp(RATE_SIGMA * random.standard_normal((shape[0], 1)))
    rate_noise = np.exp(correlated_noise(random, shape, RATE_NOISE_SIGMA, RATE_TAU_S, spec.step_s))
    full_bit = np.tile(rates_mbit_s(spec), spec.sectors)[:, None] * 1e6 * spec.step_s * own_rate * rate_noise
    dl_bit = load * full_bit * (1 - RATE_LOSS_RATIO * load)
    ul_bit = ul_load * full_bit * UL_RATE_RATIO
    users = USERS_PER_ODDS * load / (1 - load)
    return Counters(
        dl_prb_ratio=np.round(load, 3),  # counters give percent with one decimal
        ul_prb_ratio=np.round(ul_load, 3),
        dl_volume_bit=significant(dl_bit),
        ul_volume_bit=significant(ul_bit),
        active_users=np.round(users, 1),
        night=night,
    )


def saturated(offered: Float64) -> Float64:
    """Load that a cell shows for what it is offered: equal at low load, below 1 always. [ratio]"""
    return np.asarray(offered / (1 + offered**SATURATION) ** (1 / SATURATION) * 0.999)


def significant(value: Float64) -> Float64:
    """Rounded to three significant digits: more would be false precision, and the files would be larger."""
    unit = 10.0 ** (np.floor(np.log10(np.maximum(value, 1.0))) - 2)
    return np.asarray(np.round(value / unit) * unit)
