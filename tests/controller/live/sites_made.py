"""Sites with power as a watcher sees them, without a core."""

from __future__ import annotations

import numpy as np

from controller.live.ladder import Stage
from controller.live.looking import AgentState
from controller.live.power.looking import SitesState
from controller.live.power.why import Why
from policies.site.guard import GuardReason
from policies.site.soc_check import ChargeReason


def sites_state(m: int = 4, **other: object) -> SitesState:
    """Site 0 discharges, 1 charges by plan, 2 is not trusted, of 3 and all others nobody has said anything."""
    known = np.arange(m) < 3

    def given(*values: float) -> np.ndarray:
        return np.array([*values, *[np.nan] * m])[:m]

    reason = np.full(m, Why.NO_AGENT, np.uint8)
    reason[:3] = GuardReason.AS_WANTED, GuardReason.CHARGE_NOW, GuardReason.UNTRUSTED
    made = {
        "site_ids": tuple(f"s{i}" for i in range(m)),
        "agent_of": np.where(known, 0, -1),
        "agents": (AgentState("power-a", 3, 2, True, True, False, False),),
        "stage": np.full(m, Stage.ACT, np.uint8),
        "is_leased": np.arange(m) < 2,
        "reason": reason,
        "commanded_w": given(2000.0, -1500.0),
        "import_limit_w": given(5000.0, 9000.0),
        "connection_w": np.full(m, np.inf),
        "soc": given(0.8, 0.5, 0.9),
        "low_soc": given(0.77, 0.47, 0.6),
        "charge_reason": np.array([ChargeReason.GOOD] * 2 + [ChargeReason.JUMP] * (m - 2), np.uint8),
        "trusted": np.arange(m) < 2,
        "battery_w": given(2000.0, -1500.0, -300.0),
        "import_w": given(3000.0, 7000.0, 5000.0),
        "load_w": given(4500.0, 4500.0, 4500.0),
        "pv_w": given(0.0, 0.0, 0.0),
        "mains": np.ones(m, np.bool_),
        "stored_wh": given(8000.0, 4700.0, 6000.0),
        "floor_wh": np.full(m, 4000.0),
        "agent_reserve_wh": np.where(known, 4000.0, np.inf),
        "has_program": np.arange(m) < 2,
        "is_acknowledged": np.arange(m) < 1,
        "is_local": np.zeros(m, np.bool_),
        "measured_unix_us": np.where(known, 9_000_000, 0),
        "plan_age_s": 300.0,
    }
    return SitesState(**(made | other))  # type: ignore[arg-type]
