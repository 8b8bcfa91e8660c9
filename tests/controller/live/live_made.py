"""Events of a made-up fleet, as agents would send them; for tests and benchmarks."""

from __future__ import annotations

import struct
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from benchmarks.live_fleet import BEGAN_US, MadeAgent, fleet_seconds, inventory
from controller.live.events import (
    Alarm,
    Approved,
    CallRefused,
    Cleared,
    Connected,
    Disconnected,
    Event,
    GuardTick,
    Latched,
    Lifted,
    Matched,
    Overridden,
    PlanTick,
    Record,
    RolledBack,
    Ruling,
    Scope,
    StageChanged,
    Stopped,
    Taken,
    Withheld,
)
from controller.live.identity import Identity

__all__ = ["BEGAN_US", "WHO", "MadeAgent", "fleet_seconds", "inventory", "one_of_each", "same"]

WORDS = (Approved, Overridden, Lifted, StageChanged, CallRefused)
WHO = Identity("{}", {}, 0, "0", "code", "numpy", "numba", "cpu")


def one_of_each() -> list[Record]:
    """A record of each kind, with an event of each kind."""
    agent = MadeAgent(0, 6)
    decided, answered = agent.change(BEGAN_US, 0.9)
    woken, _ = agent.change(BEGAN_US, 0.9)
    assert decided is not None
    assert woken is not None
    assert answered is not None
    events: list[Event] = [
        Connected(inventory("agent-000", 6)),
        agent.report(BEGAN_US, 2),
        GuardTick(BEGAN_US),
        agent.report(BEGAN_US + 5, 0),
        PlanTick(BEGAN_US + 6),
        answered,
        agent.renewed(BEGAN_US + 7),
        Stopped("ann", "smoke"),
        Cleared("ann", "out"),
        Disconnected("agent-000"),
        Approved("1-5", Scope("site", "s0"), "operator/ann"),
        Overridden(Scope("network"), "max level", "symbol", BEGAN_US, "operator/ann", "fair"),
        Lifted(3, "admin/bob", "over"),
        StageChanged(Scope("region", "north"), "act", "admin/bob", "sure"),
        CallRefused("operator/eve", "/quietcell.control.v1.LadderService/ChangeStage", "may not"),
    ]
    words = [event for event in events if isinstance(event, WORDS)]
    others: list[Record] = [
        *(Ruling(BEGAN_US, "waits", word, 7, "why") for word in words),
        Withheld(BEGAN_US, "1-5", woken.cell, woken.reason, woken.reason),
        decided,
        woken,
        Latched(BEGAN_US, True, "ann", "smoke"),
        Alarm(BEGAN_US, "major", "x", "y"),
        Matched(BEGAN_US, ("a", "b"), (("c", "d"), ("e",)), ("f",)),
        RolledBack(BEGAN_US, "s0", BEGAN_US + 9, 2),
    ]
    taken: list[Record] = [Taken(BEGAN_US + i, event) for i, event in enumerate(events)]
    return [*taken[:3], *others[:8], *taken[3:7], *others[8:], *taken[7:]]


def same(a: Any, b: Any) -> bool:
    """Whether two values are alike to the last bit, in types, shapes and dtypes too."""
    if isinstance(a, np.ndarray):
        return (
            isinstance(b, np.ndarray)
            and a.dtype == b.dtype
            and a.shape == b.shape
            and a.tobytes() == b.tobytes()
        )
    if isinstance(a, int):
        return type(a) is bool and a is b if isinstance(b, bool) else a == b
    if is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return isinstance(b, float) and struct.pack("<d", a) == struct.pack("<d", b)
    return type(a) is type(b) and bool(a == b)
