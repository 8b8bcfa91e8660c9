"""What the core of site power knows, copied between two feeds, for metrics and for whoever asks over the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.live.ladder import Ladder
from controller.live.looking import AgentState
from controller.live.power.core import PowerCore
from controller.live.power.events import UInt8
from controller.live.power.fleet import Float64, Mask, PowerAgent, Sites
from controller.live.power.why import Why
from policies.site.soc_check import ChargeReason


@dataclass(frozen=True, slots=True)
class SitesState:
    """Sites with power at a tick. Arrays (m,), NaN where nothing was measured."""

    site_ids: tuple[str, ...]
    agent_of: Sites  # -1: none
    agents: tuple[AgentState, ...]
    stage: UInt8  # controller.live.ladder.Stage
    is_leased: Mask
    reason: UInt8  # of the setpoint, or why it charges safely: policies.site.guard.GuardReason or Why
    commanded_w: Float64
    import_limit_w: Float64
    connection_w: Float64
    soc: Float64
    low_soc: Float64
    charge_reason: UInt8  # policies.site.soc_check.ChargeReason
    trusted: Mask
    battery_w: Float64
    import_w: Float64
    load_w: Float64
    pv_w: Float64
    mains: Mask
    stored_wh: Float64  # that counts against the floor
    floor_wh: Float64
    agent_reserve_wh: Float64
    has_program: Mask
    is_acknowledged: Mask  # the agent has stored the program of this controller
    is_local: Mask
    measured_unix_us: Sites  # 0: never
    plan_age_s: float

    @property
    def is_measured(self) -> Mask:
        """Whether an agent has a site and has measured it. (m,)"""
        return (self.agent_of >= 0) & (self.measured_unix_us > 0)

    @property
    def is_wrong(self) -> Mask:
        """Whether a charge was found wrong, which is more than not proven yet. (m,)"""
        return self.is_measured & ~self.trusted & (self.charge_reason > ChargeReason.PROVING)

    @property
    def is_below_floor(self) -> Mask:
        """Whether less than the reserve is stored, by a charge that is believed. (m,)"""
        return self.is_measured & self.trusted & (self.stored_wh < self.floor_wh)


class SitesLook:
    """Copies the state of a core of site power."""

    def __init__(self, power: PowerCore, ladder: Ladder) -> None:
        self._power, self._ladder = power, ladder
        names = ladder.places.site_id
        self._first = np.array([np.flatnonzero(names == site)[0] for site in power.fleet.site_ids], np.int64)

    def look(self) -> SitesState:
        """The state of a core that is not being fed."""
        power = self._power
        fleet, telemetry, leases, standing = power.fleet, power.telemetry, power.leases, power.standing
        leased, held = leases.is_leased.copy(), power.held()
        capacity_wh = power.planner.inputs.plant.rated_wh * power.planner.inputs.health
        return SitesState(
            site_ids=fleet.site_ids,
            agent_of=fleet.agent_of.copy(),
            agents=tuple(map(self._agent, fleet.agents)),
            stage=self._ladder.stage[self._first].astype(np.uint8),
            is_leased=leased,
            reason=self._reason(leased),
            commanded_w=np.where(leased, leases.battery_w, np.nan),
            import_limit_w=np.where(leased, leases.import_limit_w, np.nan),
            connection_w=held.import_cap_w,
            soc=telemetry.soc.copy(),
            low_soc=np.where(telemetry.end_us > 0, telemetry.low_soc, np.nan),
            charge_reason=telemetry.reason.copy(),
            trusted=telemetry.trusted.copy(),
            battery_w=telemetry.battery_w.copy(),
            import_w=telemetry.import_w.copy(),
            load_w=telemetry.load_w.copy(),
            pv_w=np.where(telemetry.end_us > 0, telemetry.pv_w, np.nan),
            mains=telemetry.mains.copy(),
            stored_wh=np.fmin(telemetry.low_soc * capacity_wh, telemetry.stored_wh),
            floor_wh=np.minimum(held.floor_wh, capacity_wh),
            agent_reserve_wh=fleet.reserve_wh.copy(),
            has_program=power.has_program.copy(),
            is_acknowledged=power.acknowledged(),
            is_local=standing.local.copy(),
            measured_unix_us=telemetry.end_us.copy(),
            plan_age_s=power.plan_age_s,
        )

    def _reason(self, leased: Mask) -> UInt8:
        """Why each site is where it is; one that is not barred and not leased waits. (m,)"""
        power = self._power
        bars = power.wanted.bars()
        waits = Why.NO_PLAN if power.is_without_plan else Why.WAITS
        below = np.nan_to_num(power.telemetry.stored_wh) < power.fleet.reserve_wh
        safe = np.where(bars > 0, bars, np.where(below, Why.RESERVE, waits))
        safe = np.where((power.fleet.agent_of < 0) & (bars != Why.STOPPED), Why.NO_AGENT, safe)
        return np.where(leased, power.leases.reason, safe).astype(np.uint8)

    def _agent(self, agent: PowerAgent) -> AgentState:
        power = self._power
        return AgentState(
            agent_id=agent.agent_id,
            n_cells=len(agent.cells),
            n_leases=int(power.leases.is_leased[agent.cells].sum()),
            is_connected=agent.is_connected,
            is_reconciled=agent.is_reconciled,
            is_silent=bool(power.wanted.silent[agent.number]),
            is_stopped=agent.is_stopped,
        )
