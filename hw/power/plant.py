"""The power plant of n sites: rectifiers, pack, PV and the -48 V bus, step by step.

Loads and weather come in, and what the controller wants of the pack; what cannot be is clipped. With mains the loads
are always served as far as rectifiers, PV and pack carry them. Without, PV and pack do, until the two stages of the
disconnect open: radio first, transport last. Sites are independent. docs/site-power.md tells the physics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.power.ageing import MAX_TURNS, ageing_row, losses_of_health
from hw.power.flows import N_FLOWS
from hw.power.kernel import step_sites
from hw.power.site import NOW, RECTIFIER, SITE, Floats, Plant, State
from hw.power.spec import MAX_MODULES, PlantSpec, PvSpec
from hw.power.tables import pack_tables

__all__ = ["Command", "Inputs", "Plant", "State", "make_plant", "start_state", "step"]

HOURS_PER_MONTH = 720.0
NO_PV = PvSpec(converter_w=1.0, converter_efficiency=1.0, inverter_w=0.0, inverter_efficiency=1.0)


class Inputs(NamedTuple):
    """What the sites meet in one step; each array (n,)."""

    radio_w: Floats  # DC load that stage 1 of the disconnect sheds, baseband units included
    transport_w: Floats  # DC load that stage 2 sheds
    ac_load_w: Floats  # cooling and whatever else hangs on the AC side
    pv_w: Floats  # DC power that the panels could give
    battery_c: Floats  # of the cells [degC]
    mains: NDArray[np.bool_]  # the grid is there


class Command(NamedTuple):
    """What the controller wants in one step; each array (n,)."""

    battery_w: Floats  # at the DC bus, > 0 discharges; NaN: nothing
    import_cap_w: Floats  # at the meter; charging yields to it (inf: none)
    export_cap_w: Floats  # feed-in allowed at the meter, of PV alone; 0: none


def make_plant(specs: Sequence[PlantSpec]) -> Plant:
    """The parameters of n sites from their specifications."""
    sites = np.zeros(len(specs), SITE).view(np.recarray)
    for i, spec in enumerate(specs):
        pack, site = spec.battery, sites[i]
        for part in (spec.rectifier, pack, spec.pv or NO_PV, spec.bus):
            for name in set(SITE.names or ()) & set(type(part).model_fields):
                site[name] = getattr(part, name)
        if spec.pv is None:
            site["converter_w"] = 0.0
        saved_share = spec.rectifier.standby_share - spec.rectifier.resting_w / spec.rectifier.module_w
        site["hibernates"] &= saved_share > 0
        site["even_loss_w2"] = (
            saved_share * spec.rectifier.module_w**2 / max(spec.rectifier.quadratic_share, 1e-12)
        )
        site["self_discharge_per_h"] = -np.log1p(-pack.self_discharge_per_month) / HOURS_PER_MONTH
        life = pack.ageing.cycles * pack.ageing.cycle_depth * pack.discharge_efficiency  # in rated capacities
        site["price_per_wh"] = pack.price_per_kwh / 1000 / life
    tables = [
        (
            spec.battery.charge_share_by_c,
            spec.battery.discharge_share_by_c,
            spec.battery.usable_share_by_c,
            spec.battery.charge_share_by_soc,
            spec.battery.discharge_share_by_soc,
        )
        for spec in specs
    ]
    return Plant(sites, np.array([ageing_row(spec.battery.ageing) for spec in specs]), pack_tables(tables))


def start_state(plant: Plant, soc: Floats, health: Floats) -> State:
    """The state of packs at a state of charge of their capacity now, all loads connected, all modules at work.

    Of a pack that is aged, half of the loss is taken to be of cycles and half of the calendar.

    Parameters
    ----------
    soc : stored energy over capacity. Shape (n,). [ratio]
    health : capacity now over rated capacity. Shape (n,). [ratio, above 0]

    Raises
    ------
    ValueError
        If a ratio is out of its range.
    """
    n = len(plant.sites)
    soc, health = _floats("soc", soc, n), _floats("health", health, n)
    if not ((soc >= 0) & (soc <= 1)).all():
        raise ValueError("soc must lie in 0..1")
    if not ((health > 0) & (health <= 1)).all():
        raise ValueError("health must lie above 0 and at most at 1")
    cycle_damage, calendar_square = losses_of_health(plant.ageing, health)
    rectifier = np.zeros(n, RECTIFIER).view(np.recarray)
    rectifier["working"] = plant.sites["modules"]
    rectifier["at_work"] = np.arange(MAX_MODULES) < plant.sites["modules"][:, None]
    rectifier["changed_s"] = -np.inf
    return State(
        stored_wh=plant.rated_wh * health * soc,
        health=health.copy(),
        lvd_stage=np.zeros(n, np.int8),
        back_s=np.zeros(n),
        clock_s=np.zeros(n),
        rectifier=rectifier,
        cycle_damage=cycle_damage,
        mean_stress=np.ones(n),
        calendar_square=calendar_square,
        cycles=np.zeros(n),
        turns=np.zeros((n, MAX_TURNS)),
        n_turns=np.zeros(n, np.int64),
    )


def step(plant: Plant, state: State, inputs: Inputs, command: Command, step_s: float) -> Floats:
    """Carry n sites through one step; ``state`` is changed in place.

    Returns the flows, (n, N_FLOWS), with the columns of ``hw.power.flows``. [W, means over the step; stored energy Wh]

    Raises
    ------
    ValueError
        If an array has not the shape (n,), an input is negative or not finite, or a cap is negative or NaN.
    """
    n = len(plant.sites)
    if not 0 < step_s < np.inf:
        raise ValueError(f"step_s must be above 0, not {step_s}")
    given: dict[str, Any] = {name: _floats(name, getattr(inputs, name), n) for name in Inputs._fields[:-1]}
    if inputs.mains.shape != (n,) or inputs.mains.dtype != np.bool_:
        raise ValueError(f"mains must be bool of shape {(n,)}")
    met = Inputs(**given, mains=np.ascontiguousarray(inputs.mains))
    wanted = Command(*(_floats(name, getattr(command, name), n) for name in Command._fields))
    for name in Inputs._fields[:4]:
        values = given[name]
        if not ((values >= 0) & (values < np.inf)).all():
            raise ValueError(f"{name} must be finite and not negative")
    if not np.isfinite(met.battery_c).all():
        raise ValueError("battery_c must be finite")
    for name in ("import_cap_w", "export_cap_w"):
        if not (getattr(wanted, name) >= 0).all():
            raise ValueError(f"{name} must not be negative or NaN")
    flows = np.empty((n, N_FLOWS))
    step_sites(plant, state, met, wanted, float(step_s), np.empty(n, NOW).view(np.recarray), flows)
    return flows


def _floats(name: str, values: Floats, n: int) -> Floats:
    """As contiguous float64, so that one compiled kernel meets all callers."""
    if np.shape(values) != (n,):
        raise ValueError(f"{name} must have shape {(n,)}, not {np.shape(values)}")
    return np.ascontiguousarray(values, np.float64)
