"""A real mains failure: the program that a site agent runs on battery.

The program is a list of stages, each deeper than the one before::

    mains present:  stage -1, full service
    mains absent:   stage 0, 1, 2 ...   a stage begins after its time on battery, or below its stored energy,
                                        whichever comes first; within an outage no stage is ever left upwards
    mains back:     stage -1 once mains has stayed for ``back_s``

It needs neither the controller nor its own uptime: its state is three numbers per site that are written down as plain
lists, and the time that an agent was down counts as time on battery, unless mains was present when it came back.

Recovery afterwards: ``policies.site.recovery``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
STATE_SCHEMA = "quietcell.on-battery/1"


class Program(NamedTuple):
    """On-battery program of n sites in K stages. All (n, K) but ``back_s``."""

    after_s: Floats  # time on battery at which the stage begins at the latest; never falls
    below_ratio: Floats  # state of charge below which it begins anyway; never rises
    radio_ratio: Floats  # radio power kept, over that of full service; 0: shed
    transport: Bools  # whether transport is kept
    back_s: Floats  # (n,) time for which mains must stay before the program ends


class ProgramState(NamedTuple):
    """Where each site is in its program. All (n,)."""

    stage: NDArray[np.int64]  # -1: with mains
    on_battery_s: Floats
    mains_s: Floats  # time for which mains has been back


class Orders(NamedTuple):
    """What the agent does. All (n,)."""

    radio_ratio: Floats
    transport: Bools


def check_program(program: Program) -> None:
    """Raise ValueError where a program's shapes do not fit, or a later stage would do more than an earlier one."""
    shape = program.after_s.shape
    if len(shape) != 2 or shape[1] < 1:
        raise ValueError(f"after_s must be of shape (sites, stages), not {shape}")
    for name, array in program._asdict().items():
        needed = shape[:1] if name == "back_s" else shape
        if array.shape != needed:
            raise ValueError(f"{name} must be of shape {needed}, not {array.shape}")
    for name, rises in (
        ("after_s", True),
        ("below_ratio", False),
        ("radio_ratio", False),
        ("transport", False),
    ):
        values = getattr(program, name).astype(np.float64)
        change = np.diff(values, axis=1)
        if np.isnan(values).any() or (change < 0 if rises else change > 0).any():
            raise ValueError(f"{name} must not {'fall' if rises else 'rise'} from stage to stage")
    if not ((program.radio_ratio >= 0) & (program.radio_ratio <= 1)).all():
        raise ValueError("radio_ratio must lie in 0..1")
    if (program.radio_ratio[~program.transport] > 0).any():
        raise ValueError("radio_ratio must be 0 where transport is shed: radio sheds first")


def with_mains(n: int) -> ProgramState:
    """n sites with mains."""
    return ProgramState(np.full(n, -1, np.int64), np.zeros(n), np.zeros(n))


@njit(cache=True)
def _next_stage(program, state, i, mains, soc, elapsed_s):  # type: ignore[no-untyped-def]
    """The stage of site i after a tick; its times are moved on."""
    stage, last = state.stage[i], program.after_s.shape[1] - 1
    if mains:
        state.mains_s[i] += elapsed_s
        if stage >= 0 and state.mains_s[i] >= program.back_s[i]:
            stage = -1
        if stage < 0:
            state.on_battery_s[i] = 0.0
        return stage
    state.mains_s[i] = 0.0
    state.on_battery_s[i] += elapsed_s
    stage = max(stage, 0)
    while stage < last and (
        state.on_battery_s[i] >= program.after_s[i, stage + 1]
        or not soc >= program.below_ratio[i, stage + 1]  # NaN is empty
    ):
        stage += 1
    return stage


@njit(cache=True)
def _advance(program, state, i, mains, soc, elapsed_s):  # type: ignore[no-untyped-def]
    """Move site i on by a tick; returns its stage."""
    # numba drops writes to an array of a tuple that stand in the body of a prange itself, hence this function
    state.stage[i] = _next_stage(program, state, i, mains, soc, elapsed_s)
    return state.stage[i]


@njit(parallel=True, cache=True)
def _run(program, state, mains, soc, elapsed_s, radio_ratio, transport):  # type: ignore[no-untyped-def]
    for i in prange(len(mains)):
        stage = _advance(program, state, i, mains[i], soc[i], elapsed_s)
        radio_ratio[i] = program.radio_ratio[i, stage] if stage >= 0 else 1.0
        transport[i] = program.transport[i, stage] if stage >= 0 else True


def run_program(program: Program, state: ProgramState, mains: Bools, soc: Floats, elapsed_s: float) -> Orders:
    """One tick of the agents of n sites; ``state`` is changed in place.

    Parameters
    ----------
    mains : mains present. Shape (n,).
    soc : state of charge; NaN, unknown, counts as empty. Shape (n,). [ratio]
    elapsed_s : since the last tick, the agent's own restart included.

    Raises ValueError where shapes do not fit or time runs backwards.
    """
    n = len(state.stage)
    if mains.shape != (n,) or soc.shape != (n,) or program.back_s.shape != (n,):
        raise ValueError(f"mains, soc and program must be of {n} sites")
    if not elapsed_s >= 0:
        raise ValueError(f"elapsed_s must not be negative, not {elapsed_s}")
    orders = Orders(np.empty(n), np.empty(n, np.bool_))
    _run(program, state, mains, soc, float(elapsed_s), *orders)
    return orders


def write_down(state: ProgramState) -> dict[str, object]:
    """The state as a document of plain lists, for the agent's disk."""
    return {"schema": STATE_SCHEMA} | {name: array.tolist() for name, array in state._asdict().items()}


def read_back(document: Mapping[str, object], stages: int) -> ProgramState:
    """The state from its document. Raises ValueError where it cannot be one of a program with so many stages."""
    if document.get("schema") != STATE_SCHEMA:
        raise ValueError(f"schema must be {STATE_SCHEMA}, not {document.get('schema')!r}")
    if set(document) != {"schema", *ProgramState._fields}:
        raise ValueError(f"a state has the fields {', '.join(ProgramState._fields)}")
    try:
        state = ProgramState(
            np.asarray(document["stage"], np.int64),
            np.asarray(document["on_battery_s"], np.float64),
            np.asarray(document["mains_s"], np.float64),
        )
    except (TypeError, OverflowError) as error:
        raise ValueError(f"a state holds lists of numbers: {error}") from error
    if any(array.shape != state.stage.shape or array.ndim != 1 for array in state):
        raise ValueError("the lists of a state must be of one length")
    if not ((state.stage >= -1) & (state.stage < stages)).all():
        raise ValueError(f"stage must lie in -1..{stages - 1}")
    if not all((times >= 0).all() for times in state[1:]):
        raise ValueError("times must not be negative")
    return state


@njit(parallel=True, cache=True)
def _stretch(bus_wh, radio_w, transport_w, least_ratio, radio_s, transport_s, ratio):  # type: ignore[no-untyped-def]
    for i in prange(len(ratio)):
        left_wh = bus_wh[i] - transport_w[i] * transport_s[i] / 3600
        full_wh = radio_w[i] * radio_s[i] / 3600
        ratio[i] = 1.0
        if not left_wh >= full_wh:  # NaN is no energy
            kept = left_wh / full_wh if left_wh > 0 else 0.0
            ratio[i] = max(kept, least_ratio[i])


def stretch(
    bus_wh: Floats,
    radio_w: Floats,
    transport_w: Floats,
    least_ratio: Floats,
    radio_s: Floats,
    transport_s: Floats,
) -> Floats:
    """Radio power to keep, over that of full service, so that the energy lasts for the time left. All (n,).

    What a controller that is still there adds to the program: sleep as deep as the time asks for, and no deeper.

    Parameters
    ----------
    bus_wh : energy that the pack still gives at the bus before it disconnects. [Wh]
    radio_w, transport_w : loads at full service. [W]
    least_ratio : radio power of the deepest sleep that keeps coverage. [ratio]
    radio_s, transport_s : time for which each is still to be carried. [s]
    """
    ratio = np.empty(len(bus_wh))
    _stretch(bus_wh, radio_w, transport_w, least_ratio, radio_s, transport_s, ratio)
    return ratio
