"""Status, cells and alarms as messages, and back."""

from __future__ import annotations

from quietcell.control.v1 import control_pb2

from hw.adapters.control import AgentStatus, AlarmStatus, CellStatus, LevelCount, Status
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
        agents=[
            control_pb2.AgentStatus(
                agent_id=one.agent_id,
                cells=one.cells,
                leases=one.leases,
                is_connected=one.is_connected,
                is_reconciled=one.is_reconciled,
                is_silent=one.is_silent,
                is_stopped=one.is_stopped,
                cause=one.cause,
            )
            for one in status.agents
        ],
        cells_without_agent=status.cells_without_agent,
        cells_stuck=status.cells_stuck,
        alarms=status.alarms,
        alarms_unacknowledged=status.alarms_unacknowledged,
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
        agents=tuple(
            AgentStatus(
                one.agent_id,
                one.cells,
                one.leases,
                one.is_connected,
                one.is_reconciled,
                one.is_silent,
                one.is_stopped,
                one.cause,
            )
            for one in message.agents
        ),
        cells_without_agent=message.cells_without_agent,
        cells_stuck=message.cells_stuck,
        alarms=message.alarms,
        alarms_unacknowledged=message.alarms_unacknowledged,
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
