"""One decision as a document, quietcell.explanation/1: what was decided, against what, and what came."""

from __future__ import annotations

from typing import Any

import numpy as np

from controller.explain.place import local_text
from controller.explain.rerun import Rerun
from controller.replay.stage import Task
from hw.world import SYMBOL, World
from policies.counterfactual import UPPER, Counterfactual
from policies.policy import REASON_WORDS, Reason

SCHEMA = "quietcell.explanation/1"
Document = dict[str, Any]


def explanation(policy: str, task: Task, found: Rerun) -> Document:
    """Everything about one decision. Null where nothing is known, forecast or limited."""
    world, clock, at = task.world.world, found.scene.clock, found.tick.index
    commands, i = found.tick.commands, found.cell
    weighed = commands.counterfactual
    assert weighed is not None
    names = world.level_names
    begin, until = clock.tick_time(at), _end(found)
    before = SYMBOL if found.before is None else int(found.before.commands.level[i])
    guard = int(weighed.guard[i])
    return {
        "schema": SCHEMA,
        "trace": task.trace.source,
        "world": world.name,
        "profile": task.profile.name,
        "policy": policy,
        "seed": task.seed,
        "guard_loop": task.guard,
        "cells_replayed": found.n_replayed,
        "cell": _cell(task, found),
        "tick": {
            "begin": f"{begin}Z",
            "local": local_text(begin, clock.time_zone),
            "time_zone": clock.time_zone,
            "length_s": clock.tick_s,
        },
        "decision": {
            "level": names[commands.level[i]],
            "before": names[before],
            "wanted": names[weighed.wanted[i]],
            "reason": REASON_WORDS[Reason(commands.reason[i])],
            "reason_code": int(commands.reason[i]),
            "guard": REASON_WORDS[Reason(guard)] if guard else None,
            "since": f"{clock.tick_time(_since(found))}Z",
            "since_local": local_text(clock.tick_time(_since(found)), clock.time_zone),
            "until": None if until is None else f"{clock.tick_time(until)}Z",
            "until_local": None if until is None else local_text(clock.tick_time(until), clock.time_zone),
            "then": None if until is None else names[found.level[until]],
            "wake_s": float(weighed.wake_s[i]),
        },
        "counterfactual": _counterfactual(weighed, i, world),
        "levels": _levels(task, found),
        "forecast": _forecast(found),
        "came": _came(found),
        "group": _group(found, world),
    }


def _cell(task: Task, found: Rerun) -> Document:
    cells, i = found.scene, found.cell
    name = str(cells.cell_id[i])
    of_trace = task.trace.cells
    here = int(np.flatnonzero(of_trace.cell_id == name)[0])
    return {
        "cell_id": name,
        "site_id": str(of_trace.site_id[here]),
        "role": "capacity" if cells.network.is_capacity[i] else "coverage",
        "candidates": [str(of_trace.cell_id[c]) for c in of_trace.candidates_of(here)],
    }


def _since(found: Rerun) -> int:
    """First tick at the present level without a break."""
    past = found.level[: found.tick.index + 1]
    other = np.flatnonzero(past != past[-1])
    return int(other[-1]) + 1 if len(other) else 0


def _end(found: Rerun) -> int | None:
    """First tick at another level, None where it was not seen."""
    at = found.tick.index
    other = np.flatnonzero(found.level[at:] != found.level[at])
    return at + int(other[0]) if len(other) else None


def _counterfactual(weighed: Counterfactual, i: int, world: World) -> Document:
    unit, watt = world.energy_unit, world.watt_per_unit
    deeper = weighed.deeper[i] != weighed.level[i]

    def savings(value: float) -> Document:
        wh = None if watt is None else number(value * watt)
        return {"saving": number(value), "saving_wh": wh}

    found: Document = {
        "upper_probability": UPPER,
        "upper": number(weighed.upper[i]),
        "limit": number(weighed.limit[i]),
        "off_air": bool(world.asleep[weighed.level[i]]),
        "energy_unit": unit,
        **savings(weighed.saving[i]),
        "deeper": None,
    }
    if deeper:
        found["deeper"] = {
            "level": world.level_names[weighed.deeper[i]],
            "limit": number(weighed.deeper_limit[i]),
            "off_air": bool(world.asleep[weighed.deeper[i]]),
            **savings(weighed.deeper_saving[i]),
        }
    return found


def _levels(task: Task, found: Rerun) -> list[Document]:
    """Every level but ``full``: what it bears, draws and risks, and what became of it."""
    world, i, commands, weighed = task.world.world, found.cell, found.tick.commands, found.weighed
    allowed = found.scene.network.allowed[i]
    price = np.nan if commands.risk is None else float(commands.risk[i])
    # the guard loop leaves a level in such minutes, so that the plan may have it
    epsilon = 1.0 if task.guard else task.profile.predictive.epsilon
    rows = []
    for level in range(SYMBOL, world.n_levels):
        rows.append(
            {
                "level": world.level_names[level],
                "allowed": bool(allowed[level]),
                "limit": number(weighed.limit[level]) if allowed[level] else None,
                "over": number(weighed.over[level]) if allowed[level] else None,
                "power": number(weighed.power[level]) if allowed[level] else None,
                "risk": number(price * weighed.beyond[level]) if allowed[level] else None,
                "wake_s": float(world.wake_s[level]),
                "verdict": _verdict(found, level, price, epsilon),
            }
        )
    return rows


def _verdict(found: Rerun, level: int, price: float, epsilon: float) -> str:
    """What became of a level, in words. ``epsilon``: largest probability of being over its limit in a minute."""
    i, commands, weighed = found.cell, found.tick.commands, found.weighed
    assert commands.counterfactual is not None
    chosen, wanted = int(commands.level[i]), int(commands.counterfactual.wanted[i])
    if level == chosen:
        return "chosen"
    if not found.scene.network.allowed[i, level]:
        return "not for this cell"
    if level == wanted:
        return f"wanted; {REASON_WORDS[Reason(commands.reason[i])]}"
    if level > wanted and weighed.over[level] > epsilon:
        return f"likelier over its limit than epsilon, {epsilon:g}"
    return _compared(found, level, wanted, price)


def _compared(found: Rerun, level: int, wanted: int, price: float) -> str:
    """How a level compares with the wanted one in this tick; nothing where one of them has no price."""
    weighed = found.weighed
    dearer = weighed.power[level] + price * weighed.beyond[level]
    paid = weighed.power[wanted] + price * weighed.beyond[wanted]
    if not np.isfinite(dearer) or not np.isfinite(paid):
        return ""
    if dearer < paid:
        return "cheaper in this tick, not in the whole plan"
    return "draws more" if level < wanted else "its risk costs more than it saves"


def _forecast(found: Rerun) -> Document | None:
    """Quantiles of the coming ticks."""
    forecast, i = found.tick.commands.forecast, found.cell
    if forecast is None or not forecast.known[i]:
        return None
    return {
        "probabilities": [0.5, UPPER],
        "load": [[number(value) for value in forecast.quantile(p)[i]] for p in (0.5, UPPER)],
    }


def _came(found: Rerun) -> Document:
    """Offered load in the tick as recorded, and when the guard loop had woken the cell."""
    clock, i, tick = found.scene.clock, found.cell, found.tick
    first = tick.index * clock.per_tick
    load = found.scene.path[i, first : first + clock.per_tick]
    recorded = np.isfinite(load)
    limit = found.weighed.limit[tick.commands.level[i]]
    woken = np.zeros(len(load), np.bool_)
    if tick.served is not None:
        woken = tick.served[i] < tick.commands.level[i]
    return {
        "recorded_s": int(recorded.sum()) * clock.sample_s,
        "mean": number(load[recorded].mean()) if recorded.any() else None,
        "highest": number(load[recorded].max()) if recorded.any() else None,
        "over_limit_s": int((load[recorded] > limit).sum()) * clock.sample_s,
        "guard_loop_woken_s": int(woken.sum()) * clock.sample_s,
        "guard_loop_wakes": [
            local_text(
                clock.tick_time(tick.index) + np.timedelta64(int(t) * clock.sample_s, "s"), clock.time_zone
            )[-5:]
            for t in np.flatnonzero(np.diff(woken.astype(np.int8), prepend=0) > 0)
        ],
    }


def _group(found: Rerun, world: World) -> list[Document]:
    """What was decided for the cells that this one is planned with."""
    groups, commands = found.scene.network.groups, found.tick.commands
    where = int(np.flatnonzero(groups.member == found.cell)[0])
    g = int(np.searchsorted(groups.group_start, where, side="right")) - 1
    return [
        {
            "cell_id": str(found.scene.cell_id[k]),
            "level": world.level_names[commands.level[k]],
            "reason": REASON_WORDS[Reason(commands.reason[k])],
        }
        for k in groups.member[groups.group_start[g] : groups.group_start[g + 1]]
        if k != found.cell
    ]


def number(value: Any) -> float | None:
    """A finite number, else None."""
    return float(value) if np.isfinite(value) else None
