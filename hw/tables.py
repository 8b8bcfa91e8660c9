"""A world and its service targets packed for kernels, and the scalar kernels that read them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hw.compiling import whole_samples
from hw.world import LOAD_BINS, World

LATENCY_BINS = 128
LATENCY_CAP_MS = 100.0


class Tables(NamedTuple):
    """What a kernel needs of a world. M models, L levels, B load points."""

    asleep: NDArray[np.bool_]  # (L,)
    rate: NDArray[np.float32]  # (M, L) relative rate [ratio]
    capacity: NDArray[np.float32]  # (M, L) largest offered traffic carried [ratio of full rate]
    power: NDArray[np.float32]  # (M, L, B) [power_unit]
    ul_power: NDArray[np.float32]  # (M, L) [power_unit]
    idle_power: NDArray[
        np.float32
    ]  # (M,) at ``symbol`` without traffic and levers: the unit of prices [power_unit]
    wake_samples: NDArray[np.int32]  # (L,)
    wake_energy: NDArray[np.float32]  # (M, L) [power_unit x samples]
    full_rate: float  # of a cell of size 1 [Mbit/s]
    target: float  # [Mbit/s]
    target_share: float  # of the throughput under none [ratio]
    object_mbit: float  # size behind the latency figure [Mbit]
    size: NDArray[np.float64]  # (M,) full rate of a model over ``full_rate`` [ratio]


def pack(
    world: World, *, sample_s: int, target_mbit_s: float, target_share: float, object_mbit: float = 1.0
) -> Tables:
    """Tables of ``world`` for samples of ``sample_s`` and one throughput target."""
    return Tables(
        asleep=world.asleep,
        rate=world.rate_ratio,
        capacity=world.capacity_ratio,
        power=world.power,
        ul_power=world.ul_power,
        idle_power=world.idle_power,
        wake_samples=np.array([whole_samples(float(s), sample_s) for s in world.wake_s], np.int32),
        wake_energy=(world.wake_energy / np.float32(sample_s)).astype(np.float32),
        full_rate=float(world.full_rate_mbit_s),
        target=float(target_mbit_s),
        target_share=float(target_share),
        object_mbit=float(object_mbit),
        size=world.sizes(),
    )


@njit(inline="always")
def draw(tables: Tables, model: int, level: int, offered: float, ul_per_dl: float) -> Any:
    """Power of one cell on air at ``level`` with this offered traffic. [power_unit]"""
    rate = tables.rate[model, level]
    load = min(offered / rate, np.float32(1)) if rate > 0 else np.float32(0)
    at = load * np.float32(LOAD_BINS)
    # unsigned, so that numba need not look for an index from the end
    below = np.uint32(min(np.int32(at), np.int32(LOAD_BINS - 1)))
    low = tables.power[model, level, below]
    dl = low + (tables.power[model, level, below + np.uint32(1)] - low) * (at - np.float32(below))
    return dl + tables.ul_power[model, level] * min(ul_per_dl * load, np.float32(1))


@njit(inline="always")
def user_throughput(tables: Tables, model: int, level: int, carried: float, offered: float) -> Any:
    """Throughput of a user by processor sharing, 0 where the level is overloaded. [Mbit/s]"""
    if offered > tables.capacity[model, level]:
        return 0.0
    return tables.full_rate * tables.size[model] * (tables.rate[model, level] - carried)


@njit(inline="always")
def limit_throughput(tables: Tables, model: int, own_offered: float) -> Any:
    """Throughput below which traffic of a cell counts as below target. [Mbit/s]"""
    return min(tables.target, tables.target_share * tables.full_rate * tables.size[model] * (1 - own_offered))


@njit(inline="always")
def slowdown(tables: Tables, throughput: float, throughput_none: float) -> tuple[float, int]:
    """Share of the throughput lost, and histogram bin of the added latency of one object.

    The bins are square-root spaced up to ``LATENCY_CAP_MS``; the last one holds that and more.
    """
    if throughput >= throughput_none:
        return 0.0, 0
    if throughput <= 0:
        return 1.0, LATENCY_BINS - 1
    lost_per_rate = (throughput_none - throughput) / (throughput * throughput_none)
    added_share = (1000 * tables.object_mbit / LATENCY_CAP_MS) * lost_per_rate
    at = int(min((LATENCY_BINS - 1) * np.sqrt(added_share), LATENCY_BINS - 1))
    return throughput * lost_per_rate, at


def latency_quantile_ms(histogram: NDArray[np.float64], quantile: float) -> float:
    """Quantile of the added latency from its traffic-weighted histogram. Shape (LATENCY_BINS,). [ms]

    The upper edge of the bin is given; the last bin means ``LATENCY_CAP_MS`` or more.
    """
    total = histogram.sum()
    if total <= 0:
        return 0.0
    at = int(np.searchsorted(np.cumsum(histogram), quantile * total))
    if at == 0:
        return 0.0
    return float(LATENCY_CAP_MS * (min(at + 1, LATENCY_BINS - 1) / (LATENCY_BINS - 1)) ** 2)
