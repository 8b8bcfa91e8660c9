"""Our code with one safeguard taken out, so that something must break at the sites; see benchmarks/chaos_mutants.py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np

from benchmarks.chaos_mutants import MUTANTS as OF_RADIOS
from benchmarks.chaos_mutants import Mutant
from controller.live.power import planner
from controller.live.power.planner import LivePlanner
from hw.agents.power_core import PowerAgentCore
from policies.site.guard import GuardReason, Verdict


@contextmanager
def no_guard() -> Iterator[None]:
    """The controller lets pass whatever is wanted; what agents keep, it still knows."""

    def passing(self, battery_w, limit_w, telemetry, held):  # type: ignore[no-untyped-def]  # noqa: ARG001
        wanted_w = np.nan_to_num(battery_w)
        return Verdict(wanted_w, limit_w.copy(), np.full(len(wanted_w), GuardReason.AS_WANTED, np.uint8))

    with patch.object(LivePlanner, "guarded", passing):
        yield


@contextmanager
def no_agent_reserve() -> Iterator[None]:
    """Agents hold any setpoint, however little is stored."""
    with patch.object(PowerAgentCore, "_drains", lambda *_: False):
        yield


@contextmanager
def import_limits_stay() -> Iterator[None]:
    """A site holds its import limit with what is its reserve."""
    with patch.object(planner, "binds", lambda verdict: np.zeros(len(verdict.reason), np.bool_)):
        yield


SHARED = ("lease_timer", "epoch_check", "boot_check", "wake_priority", "journal_before_send")
MUTANTS: dict[str, Mutant] = {
    "site_guard": no_guard,
    "agent_reserve": no_agent_reserve,
    "import_limit": import_limits_stay,
} | {f"sites_{name}": OF_RADIOS[name] for name in SHARED}
