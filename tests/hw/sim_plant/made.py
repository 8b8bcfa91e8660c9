"""Small plants of random cells and of three sites of the catalogue."""

from __future__ import annotations

from typing import Any

import numpy as np

from hw.power.plant import make_plant
from hw.sim_plant.plant import NetworkNames, PlantSim
from hw.sim_plant.power import PowerSim, PowerTruth
from hw.sim_plant.radio import RadioSim, RadioTruth
from hw.sim_plant.timing import SampleClock
from tests.hw.power.plants import catalogue
from tests.hw.random_cells import N_LEVELS, Case, random_case

SAMPLE_US = 60_000_000
ORIGIN_US = 7_000_000_123
M = 3
RADIO_W = 3000.0


def at(samples: float) -> int:
    return ORIGIN_US + round(samples * SAMPLE_US)


def radios(case: Case) -> RadioSim:
    n = len(case.path)
    truth = RadioTruth(
        case.tables,
        case.groups,
        case.path,
        case.ul_per_dl,
        np.ones((n, N_LEVELS), np.bool_),
        np.ones(n, np.bool_),
    )
    return RadioSim(truth, SampleClock(ORIGIN_US, 0, SAMPLE_US), ORIGIN_US)


def sites(soc: float = 0.5, cap_w: float = np.inf, mains: Any = True) -> PowerSim:
    """Three sites of the catalogue, each with 3 kW of radio; ``mains`` (T,) by steps of ten samples."""
    present = np.atleast_1d(np.asarray(mains, np.bool_))

    def same(value: float) -> Any:
        return np.full((M, len(present)), value)

    truth = PowerTruth(
        site_id=("a", "b", "c"),
        plant=make_plant([catalogue()] * M),
        soc=np.full(M, soc),
        health=np.ones(M),
        step_us=10 * SAMPLE_US,
        transport_w=same(300.0),
        ac_load_w=same(500.0),
        pv_w=same(0.0),
        battery_c=same(25.0),
        mains=np.tile(present, (M, 1)),
        reserve_wh=np.full(M, 4000.0),
        import_cap_w=np.full(M, cap_w),
        export_cap_w=np.zeros(M),
        has_dead_man=np.ones(M, np.bool_),
    )
    sim = PowerSim(truth, SampleClock(ORIGIN_US, 0, SAMPLE_US), ORIGIN_US)
    sim.set_radio(np.full(M, RADIO_W), np.full(M, RADIO_W))
    return sim


def plant(*, with_power: bool = True) -> PlantSim:
    """Five cells: two each at sites a and b of agent one, one at site c of agent two. Traffic is always recorded.

    Agent none has nothing.
    """
    radio = radios(random_case(4, [1, 3, 1], ticks=3, per_tick=5, unrecorded=0.0))
    names = NetworkNames(
        cell_id=tuple(f"cell-{i}" for i in range(5)),
        site_id=("a", "b", "a", "b", "c"),
        product=("",) * 5,
        is_capacity=np.ones(5, np.bool_),
        level_names=tuple(f"level-{k}" for k in range(N_LEVELS)),
    )
    power = sites() if with_power else None
    return PlantSim(
        names, ("one", "two", "none"), np.array([0, 0, 0, 0, 1]), radio, power, watt_per_unit=10.0
    )
