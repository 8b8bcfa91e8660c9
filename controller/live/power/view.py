"""Answers operators about sites with power, from what was copied of the core."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable

import numpy as np

from controller.live.ladder import Stage
from controller.live.looking import AgentState, of_agent, page_of
from controller.live.power.looking import SitesState
from controller.live.power.why import word_of, words_of
from hw.adapters.control import AgentStatus, PowerStatus, SiteQuery, SiteStatus
from policies.site.soc_check import CHARGE_WORDS, ChargeReason

MEASURED = ("soc", "low_soc", "battery_w", "import_w", "load_w", "pv_w", "stored_wh")


def power_status(state: SitesState, agent: Callable[[AgentState], AgentStatus]) -> PowerStatus:
    """Site power as a whole; ``agent`` says where a power agent stands."""
    measured = state.is_measured
    safe = Tally(state.reason[~state.is_leased].tolist())

    def total(values: np.ndarray) -> float:
        return float(np.nansum(values[measured]))

    return PowerStatus(
        agents=tuple(map(agent, state.agents)),
        sites=len(state.site_ids),
        leased=int(state.is_leased.sum()),
        safe=tuple((word_of(reason), count) for reason, count in sorted(safe.items())),
        untrusted=int(state.is_wrong.sum()),
        without_mains=int((measured & ~state.mains).sum()),
        below_floor=int(state.is_below_floor.sum()),
        unmeasured=int((~measured).sum()),
        battery_w=total(state.battery_w),
        import_w=total(state.import_w),
        stored_wh=total(state.stored_wh),
        floor_wh=total(state.floor_wh),
        plan_age_s=state.plan_age_s,
    )


def page_of_sites(state: SitesState | None, query: SiteQuery) -> tuple[list[SiteStatus], int]:
    """A page of sites, and where the next one begins; 0: this is the last."""
    if state is None:
        return [], 0
    chosen = np.ones(len(state.site_ids), np.bool_)
    if query.names:
        chosen &= np.isin(state.site_ids, list(query.names))
    if query.agent_id:
        chosen &= of_agent(query.agent_id, state.agents, state.agent_of)
    if query.only_safe:
        chosen &= ~state.is_leased
    page, following = page_of(chosen, query.first, query.page_size)
    return [_site(state, number) for number in page], following


def _site(state: SitesState, number: int) -> SiteStatus:
    agent, reason = int(state.agent_of[number]), int(state.reason[number])
    measured = bool(state.is_measured[number])
    doubt = "" if state.trusted[number] else CHARGE_WORDS[ChargeReason(state.charge_reason[number])]
    if not measured:
        doubt = "nothing was measured yet"
    program = "not stored" if state.has_program[number] else "none"
    if program != "none" and state.is_acknowledged[number]:
        program = "stored"
    return SiteStatus(
        site_id=state.site_ids[number],
        agent_id="" if agent < 0 else state.agents[agent].agent_id,
        stage=Stage(int(state.stage[number])).word,
        is_leased=bool(state.is_leased[number]),
        reason=word_of(reason),
        reason_words=words_of(reason),
        commanded_w=float(state.commanded_w[number]),
        import_limit_w=float(state.import_limit_w[number]),
        connection_w=float(state.connection_w[number]),
        untrusted_words=doubt,
        has_mains=bool(state.mains[number]),
        floor_wh=float(state.floor_wh[number]),
        agent_reserve_wh=float(state.agent_reserve_wh[number]),
        program=program,
        is_local=bool(state.is_local[number]),
        measured_unix_us=int(state.measured_unix_us[number]),
        **{name: float(getattr(state, name)[number]) if measured else np.nan for name in MEASURED},
    )
