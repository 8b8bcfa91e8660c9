"""Status, cells and alarms as messages, and back."""

from __future__ import annotations

from quietcell.control.v1 import control_pb2

from hw.adapters.control import (
    AlarmStatus,
    CellExplanation,
    CellStatus,
    Estimate,
    LevelCount,
    LevelOutlook,
    OwnEnergy,
    SavingsStatus,
    SavingStatus,
    Status,
)
from hw.adapters.site_codec import agent_from, agent_to, power_from, power_to
from hw.adapters.wire import ContractError

SEVERITY = {
    "warning": control_pb2.SEVERITY_WARNING,
    "major": control_pb2.SEVERITY_MAJOR,
    "critical": control_pb2.SEVERITY_CRITICAL,
}
_NAME = {number: name for name, number in SEVERITY.items()}


def status_to(status: Status) -> control_pb2.Status:
    """A status as a message."""
    return control_pb2.Status(
        controller_id=status.controller_id,
        version=status.version,
        policy=status.policy,
        leader_epoch=status.leader_epoch,
        leads=status.leads,
        is_ready=status.is_ready,
        not_ready_cause=status.not_ready_cause,
        is_stopped=status.is_stopped,
        tick_unix_us=status.tick_unix_us,
        levels=[
            control_pb2.LevelCount(level=one.level, commanded=one.commanded, reported=one.reported)
            for one in status.levels
        ],
        agents=map(agent_to, status.agents),
        cells_without_agent=status.cells_without_agent,
        cells_stuck=status.cells_stuck,
        alarms=status.alarms,
        alarms_unacknowledged=status.alarms_unacknowledged,
        canaries=status.canaries,
        canaries_wait=status.canaries_wait,
        rolled_back=status.rolled_back,
        power=power_to(status.power),
    )


def status_from(message: control_pb2.Status) -> Status:
    """A status from its message."""
    return Status(
        controller_id=message.controller_id,
        version=message.version,
        policy=message.policy,
        leader_epoch=message.leader_epoch,
        leads=message.leads,
        is_ready=message.is_ready,
        not_ready_cause=message.not_ready_cause,
        is_stopped=message.is_stopped,
        tick_unix_us=message.tick_unix_us,
        levels=tuple(LevelCount(one.level, one.commanded, one.reported) for one in message.levels),
        agents=tuple(map(agent_from, message.agents)),
        cells_without_agent=message.cells_without_agent,
        cells_stuck=message.cells_stuck,
        alarms=message.alarms,
        alarms_unacknowledged=message.alarms_unacknowledged,
        canaries=message.canaries,
        canaries_wait=message.canaries_wait,
        rolled_back=tuple(message.rolled_back),
        power=power_from(message.power) if message.HasField("power") else None,
    )


def cell_to(cell: CellStatus) -> control_pb2.CellStatus:
    """A cell as a message."""
    return control_pb2.CellStatus(
        cell_id=cell.cell_id,
        agent_id=cell.agent_id,
        commanded=cell.commanded,
        reported=cell.reported,
        reason=cell.reason,
        is_local=cell.is_local,
        is_stuck=cell.is_stuck,
    )


def cell_from(message: control_pb2.CellStatus) -> CellStatus:
    """A cell from its message."""
    return CellStatus(
        message.cell_id,
        message.agent_id,
        message.commanded,
        message.reported,
        message.reason,
        message.is_local,
        message.is_stuck,
    )


def explanation_to(told: CellExplanation) -> control_pb2.ExplainCellResponse:
    """An explanation as a message."""
    return control_pb2.ExplainCellResponse(
        now=cell_to(told.now),
        begin_unix_us=told.begin_unix_us,
        length_s=told.length_s,
        before=told.before,
        wanted=told.wanted,
        planned=_outlook_to(told.planned),
        reason=told.reason,
        reason_words=told.reason_words,
        guard_words=told.guard_words,
        upper=told.upper,
        upper_probability=told.upper_probability,
        deeper=None if told.deeper is None else _outlook_to(told.deeper),
        wake_s=told.wake_s,
        energy_unit=told.energy_unit,
    )


def explanation_from(message: control_pb2.ExplainCellResponse) -> CellExplanation:
    """An explanation from its message."""
    return CellExplanation(
        now=cell_from(message.now),
        begin_unix_us=message.begin_unix_us,
        length_s=message.length_s,
        before=message.before,
        wanted=message.wanted,
        planned=_outlook_from(message.planned),
        reason=message.reason,
        reason_words=message.reason_words,
        guard_words=message.guard_words,
        upper=message.upper,
        upper_probability=message.upper_probability,
        deeper=_outlook_from(message.deeper) if message.HasField("deeper") else None,
        wake_s=message.wake_s,
        energy_unit=message.energy_unit,
    )


def _outlook_to(told: LevelOutlook) -> control_pb2.LevelOutlook:
    return control_pb2.LevelOutlook(
        level=told.level,
        is_off_air=told.is_off_air,
        limit=told.limit,
        saving=told.saving,
        saving_wh=told.saving_wh,
    )


def _outlook_from(message: control_pb2.LevelOutlook) -> LevelOutlook:
    return LevelOutlook(message.level, message.is_off_air, message.limit, message.saving, message.saving_wh)


def alarm_to(alarm: AlarmStatus) -> control_pb2.Alarm:
    """An alarm as a message."""
    return control_pb2.Alarm(
        number=alarm.number,
        severity=SEVERITY[alarm.severity],
        about=alarm.about,
        text=alarm.text,
        raised_unix_us=alarm.raised_unix_us,
        cleared_unix_us=alarm.cleared_unix_us,
        acknowledged_by=alarm.acknowledged_by,
        acknowledged_unix_us=alarm.acknowledged_unix_us,
    )


def alarm_from(message: control_pb2.Alarm) -> AlarmStatus:
    """An alarm from its message. Raises ContractError."""
    if message.severity not in _NAME:
        raise ContractError(f"severity: {message.severity} is none that is known; use the same version")
    return AlarmStatus(
        message.number,
        _NAME[message.severity],
        message.about,
        message.text,
        message.raised_unix_us,
        message.cleared_unix_us,
        message.acknowledged_by,
        message.acknowledged_unix_us,
    )


def savings_to(told: SavingsStatus) -> control_pb2.GetSavingsResponse:
    """Savings as a message."""
    return control_pb2.GetSavingsResponse(
        since_unix_us=told.since_unix_us,
        until_unix_us=told.until_unix_us,
        history_days=told.history_days,
        control_sites=told.control_sites,
        cause=told.cause,
        savings=[
            control_pb2.Saving(
                kind=row.kind,
                name=row.name,
                energy_wh=row.energy_wh,
                without_wh=row.without_wh,
                combined=_estimate_to(row.combined),
                by_controls=_estimate_to(row.by_controls),
                by_baseline=_estimate_to(row.by_baseline),
                users_ratio=row.users_ratio,
                efficiency_gain=row.efficiency_gain,
            )
            for row in told.rows
        ],
        own=None if told.own is None else _own_to(told.own),
    )


def savings_from(message: control_pb2.GetSavingsResponse) -> SavingsStatus:
    """Savings from their message."""
    rows = tuple(
        SavingStatus(
            row.kind,
            row.name,
            row.energy_wh,
            row.without_wh,
            _estimate_from(row.combined),
            _estimate_from(row.by_controls),
            _estimate_from(row.by_baseline),
            row.users_ratio,
            row.efficiency_gain,
        )
        for row in message.savings
    )
    span_us = (message.since_unix_us, message.until_unix_us)
    own = _own_from(message.own) if message.HasField("own") else None
    return SavingsStatus(*span_us, message.history_days, message.control_sites, message.cause, rows, own)


def _own_to(own: OwnEnergy) -> control_pb2.OwnEnergy:
    return control_pb2.OwnEnergy(
        energy_wh=own.energy_wh, since_unix_us=own.since_unix_us, net=_estimate_to(own.net)
    )


def _own_from(message: control_pb2.OwnEnergy) -> OwnEnergy:
    return OwnEnergy(message.energy_wh, message.since_unix_us, _estimate_from(message.net))


def _estimate_to(found: Estimate) -> control_pb2.Estimate:
    return control_pb2.Estimate(value=found.value, low=found.low, high=found.high)


def _estimate_from(message: control_pb2.Estimate) -> Estimate:
    return Estimate(message.value, message.low, message.high)
