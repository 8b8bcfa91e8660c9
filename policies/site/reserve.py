"""The reserve: stored energy that carries a site through a mains failure in which the controller is lost, too.

At each boundary of the plan the floor answers one question. If mains and controller fail together at this moment, how
much must be stored to carry radio for its backup time and transport for its own?::

    mains fails          lease ends                    radio sheds              transport sheds
        |  planned radio     |  0.99 quantile, full service  |                         |
        |  transport ------- transport --------------------- transport --------------- |

Both times count from the failure, so transport's is the longer one. A site agent that has stored and acknowledged an
on-battery program (``policies.site.outage``) sleeps by it once it has reacted: full service until then, the program's
radio afterwards. The two disconnect stages bound the same energy twice: radio ends at or above the first, transport at
or above the second. Efficiency, temperature and age come in with the pack. A pack that cannot carry its class even when
full declares fewer hours, radio's first, since radio sheds first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from policies.site.backup import Backup, BackupClass, backup_of

__all__ = ["Agents", "Backup", "BackupClass", "Loads", "Pack", "Reserve", "backup_of", "floor_wh"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
BISECTIONS = 40  # of declared hours: finer than a microsecond in a week
UNMET_S = 1.0  # a declaration this much below its class raises the alarm [s]


class Loads(NamedTuple):
    """Loads at the DC bus from the first boundary on, losses on the way included. All (n, S) [W].

    ``S`` covers the T steps of the plan and the longest backup time behind its last boundary.
    """

    planned_radio_w: Floats  # by the plan, until the leases end
    full_radio_w: Floats  # 0.99 quantile at full service, traffic of failed neighbours included
    program_radio_w: Floats  # 0.99 quantile under the on-battery program
    transport_w: Floats  # 0.99 quantile


class Agents(NamedTuple):
    """Site agents. All (n,)."""

    acknowledged: Bools  # has stored the on-battery program and said so
    reaction_s: Floats  # from the failure to the program's sleep, one restart of the agent included


class Pack(NamedTuple):
    """Batteries at the expected temperature and the declared age: what each boundary may count on."""

    capacity_wh: Floats  # (n, T+1) stored energy that charging surely reaches
    radio_cutoff_wh: Floats  # (n, T+1) stored energy at which radio is disconnected
    transport_cutoff_wh: Floats  # (n, T+1) stored energy at which transport is disconnected
    discharge_efficiency: Floats  # (n,) Wh at the bus per Wh stored
    self_discharge_w: Floats  # (n,)


class Reserve(NamedTuple):
    """Floors, and what they stand for."""

    floor_wh: Floats  # (n, T+1) stored energy at or above which each boundary is to be met
    radio_s: Floats  # (n,) declared time of radio on battery
    transport_s: Floats  # (n,) declared time of transport on battery
    alarm: Bools  # (n,) the declaration is below the class


def floor_wh(backup: Backup, loads: Loads, agents: Agents, pack: Pack, step_s: float) -> Reserve:
    """Stored energy that each of n sites must hold at each of T+1 boundaries. See the module.

    Temperature is the worst of a failure's whole length. Raises ValueError where shapes do not fit, a number is not
    finite or negative, transport is to end before radio, or the loads end before the last boundary's failure does.
    """
    n, boundaries = pack.capacity_wh.shape
    _check(backup, loads, agents, pack, step_s)
    reserve = Reserve(np.empty((n, boundaries)), np.empty(n), np.empty(n), np.empty(n, np.bool_))
    _floors(backup, loads, agents, pack, float(step_s), *reserve)
    return reserve


def _check(backup: Backup, loads: Loads, agents: Agents, pack: Pack, step_s: float) -> None:
    n, boundaries = pack.capacity_wh.shape
    shape = loads.full_radio_w.shape
    wanted: list[tuple[str, NDArray[Any], tuple[int, ...]]]
    wanted = [(name, a, (n,)) for t in (backup, agents) for name, a in t._asdict().items()]
    wanted += [(name, a, shape) for name, a in loads._asdict().items()]
    wanted += [
        (name, a, (n, boundaries) if name.endswith("_wh") else (n,)) for name, a in pack._asdict().items()
    ]
    for name, array, needed in wanted:
        if array.shape != needed:
            raise ValueError(f"{name} must be of shape {needed}, not {array.shape}")
        if array.dtype != np.bool_ and not ((array >= 0) & np.isfinite(array)).all():
            raise ValueError(f"{name} must be finite and not negative")
    if not step_s > 0:
        raise ValueError(f"step_s must be positive, not {step_s}")
    if (backup.transport_s < backup.radio_s).any():
        raise ValueError("transport_s must not be below radio_s: radio sheds first")
    if not ((pack.discharge_efficiency > 0) & (pack.discharge_efficiency <= 1)).all():
        raise ValueError("discharge_efficiency must be above 0 and at most 1")
    ends_s = (boundaries - 1) * step_s + (float(backup.transport_s.max()) if n else 0.0)
    if shape[0] != n or shape[1] * step_s < ends_s:
        raise ValueError(f"loads of shape {shape} must cover {n} sites for {ends_s} s")


@njit(cache=True)
def _sums(power_w, step_h, total_wh):  # type: ignore[no-untyped-def]
    """Energy from the first boundary to each one. ``total_wh`` (S+1,)."""
    total_wh[0] = 0.0
    for k in range(len(power_w)):
        total_wh[k + 1] = total_wh[k] + power_w[k] * step_h


@njit(inline="always")
def _until(total_wh, at):  # type: ignore[no-untyped-def]
    """Energy from the first boundary to ``at`` [steps], which may lie within a step."""
    k = min(int(at), len(total_wh) - 2)
    return total_wh[k] + (at - k) * (total_wh[k + 1] - total_wh[k])


@njit(inline="always")
def _radio_wh(early_wh, late_wh, begin, change, end):  # type: ignore[no-untyped-def]
    """Energy of the radio in [begin, end] steps: one course for ``change`` steps, then the other."""
    turn = min(begin + change, end)
    early = _until(early_wh, turn) - _until(early_wh, begin)
    return early + _until(late_wh, end) - _until(late_wh, turn)


@njit(cache=True)
def _radio_on(transport_wh, begin, transport, cutoff, efficiency, loss_wh):  # type: ignore[no-untyped-def]
    """Time [steps] that radio is on if only the first stage sheds it and transport lasts for ``transport``."""
    between_wh = (cutoff[0] - cutoff[1] - loss_wh * transport) * efficiency
    reached_wh = _until(transport_wh, begin + transport) - max(between_wh, 0.0)
    if reached_wh <= _until(transport_wh, begin):
        return 0.0
    k = min(np.searchsorted(transport_wh, reached_wh), len(transport_wh) - 1)  # reached between k - 1 and k
    share = (reached_wh - transport_wh[k - 1]) / (transport_wh[k] - transport_wh[k - 1])
    return k - 1 + share - begin


@njit(cache=True)
def _needed_wh(sums_wh, begin, change, radio, transport, cutoff, pack):  # type: ignore[no-untyped-def]
    """Stored energy that carries radio for ``radio`` and transport for ``transport`` [steps] from ``begin`` on.

    ``sums_wh`` holds early radio, late radio and transport, ``cutoff`` that of radio and that of transport [Wh], and
    ``pack`` its efficiency, its self-discharge [Wh per step] and whether only the first stage sheds radio.
    """
    early_wh, late_wh, transport_wh = sums_wh
    efficiency, loss_w, drains = pack
    if drains:
        radio = max(radio, _radio_on(transport_wh, begin, transport, cutoff, efficiency, loss_w))
    radio_wh = _radio_wh(early_wh, late_wh, begin, change, begin + radio)
    start_wh = _until(transport_wh, begin)
    needed = cutoff[1] + (radio_wh + _until(transport_wh, begin + transport) - start_wh) / efficiency
    needed += loss_w * transport
    if radio > 0:
        served_wh = radio_wh + _until(transport_wh, begin + radio) - start_wh
        needed = max(needed, cutoff[0] + served_wh / efficiency + loss_w * radio)
    return needed


@njit(inline="always")
def _worst(pack_row, begin, length, lowest):  # type: ignore[no-untyped-def]
    """The lowest or the highest of a row over a failure from boundary ``begin`` on, as far as it is known."""
    worst = pack_row[begin]
    for k in range(begin + 1, min(len(pack_row), begin + int(np.ceil(length)) + 1)):
        worst = min(worst, pack_row[k]) if lowest else max(worst, pack_row[k])
    return worst


@njit(cache=True)
def _lowered(sums_wh, begin, change, radio, transport, cut, full_wh, pack):  # type: ignore[no-untyped-def]
    """The times [steps] that a full pack carries at one boundary; radio yields first."""
    if _needed_wh(sums_wh, begin, change, radio, transport, cut, pack) <= full_wh:
        return radio, transport
    radio_yields = _needed_wh(sums_wh, begin, change, 0.0, transport, cut, pack) <= full_wh
    low, high = 0.0, radio if radio_yields else transport
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        r, s = (middle, transport) if radio_yields else (0.0, middle)
        fits = _needed_wh(sums_wh, begin, change, r, s, cut, pack) <= full_wh
        low, high = (middle, high) if fits else (low, middle)
    if radio_yields:
        return low, transport
    on = _radio_on(sums_wh[2], begin, low, cut, pack[0], pack[1]) if pack[2] else 0.0
    return min(on, radio, low), low


@njit(cache=True)
def _site(times_s, early_w, late_w, change, transport_w, full, cutoffs, pack, step_s, floor):  # type: ignore[no-untyped-def]
    """Floors (T+1,) of one site; returns the times that it declares [s]."""
    step_h = step_s / 3600
    sums_wh = (np.empty(len(early_w) + 1), np.empty(len(early_w) + 1), np.empty(len(early_w) + 1))
    _sums(early_w, step_h, sums_wh[0])
    _sums(late_w, step_h, sums_wh[1])
    _sums(transport_w, step_h, sums_wh[2])
    radio, transport = times_s[0] / step_s, times_s[1] / step_s
    asked = (radio, transport)
    worst = np.empty((len(floor), 3))
    for t in range(len(floor)):  # first what can be declared: the least over all boundaries
        worst[t, 0] = _worst(cutoffs[0], t, asked[1], False)
        worst[t, 1] = _worst(cutoffs[1], t, asked[1], False)
        worst[t, 2] = _worst(full, t, asked[1], True)
        cut = (worst[t, 0], worst[t, 1])
        radio, transport = _lowered(sums_wh, t, change, radio, transport, cut, worst[t, 2], pack)
    for t in range(len(floor)):
        needed = _needed_wh(sums_wh, t, change, radio, transport, (worst[t, 0], worst[t, 1]), pack)
        floor[t] = min(needed, worst[t, 2])  # above it only where the pack does not reach its own cut-off
    # what was not lowered is the class's own, to the bit
    radio_s = times_s[0] if radio == asked[0] else radio * step_s
    return radio_s, times_s[1] if transport == asked[1] else transport * step_s


@njit(parallel=True, cache=True)
def _floors(backup, loads, agents, pack, step_s, floor, radio_s, transport_s, alarm):  # type: ignore[no-untyped-def]
    for i in prange(len(floor)):
        if agents.acknowledged[i]:
            early_w = np.maximum(loads.planned_radio_w[i], loads.full_radio_w[i])
            late_w = np.minimum(loads.program_radio_w[i], loads.full_radio_w[i])
            change_s = agents.reaction_s[i]
        else:
            early_w, late_w, change_s = loads.planned_radio_w[i], loads.full_radio_w[i], backup.lease_s[i]
        times = (backup.radio_s[i], backup.transport_s[i])
        cutoffs = (pack.radio_cutoff_wh[i], pack.transport_cutoff_wh[i])
        radio_s[i], transport_s[i] = _site(
            times,
            early_w,
            late_w,
            change_s / step_s,
            loads.transport_w[i],
            pack.capacity_wh[i],
            cutoffs,
            (
                pack.discharge_efficiency[i],
                pack.self_discharge_w[i] * step_s / 3600,
                not agents.acknowledged[i],
            ),
            step_s,
            floor[i],
        )
        alarm[i] = radio_s[i] < times[0] - UNMET_S or transport_s[i] < times[1] - UNMET_S
