"""What agents of both kinds send, as events of the cores, and what stands for an answer that will not come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from controller.live.events import Answered, Connected, Disconnected, Event, Renewed, Reported
from controller.live.power.events import PowerAnswered, PowerConnected, PowerReported
from hw.adapters.link import Lost
from hw.adapters.power import PowerAnswers, PowerInventory, PowerReport, SetpointBatch
from hw.adapters.radio import Answers, CommandBatch, Inventory, Outcome, RejectCause, RenewalAnswer, Report

OF_ITSELF: dict[type, Callable[[Any], Event]] = {
    Inventory: Connected,
    Report: Reported,
    PowerInventory: PowerConnected,
    PowerReport: PowerReported,
}
OF_AGENT: dict[type, Callable[[str, Any], Event]] = {
    Answers: Answered,
    PowerAnswers: PowerAnswered,
    RenewalAnswer: Renewed,
}


def event_of(agent_id: str, message: Any) -> Event:
    """The event of what a link hands on: a message of its agent, or Lost."""
    if isinstance(message, Lost):
        return Disconnected(agent_id)
    if type(message) in OF_ITSELF:
        return OF_ITSELF[type(message)](message)
    return OF_AGENT[type(message)](agent_id, message)


def expired(agent_id: str, batch: CommandBatch | SetpointBatch) -> Event:
    """The answer to a batch that is not sent: a lease that was over on arrival."""
    k = len(batch.revision)
    outcome, cause = np.full(k, Outcome.EXPIRED, np.uint8), np.full(k, RejectCause.NONE, np.uint8)
    if isinstance(batch, SetpointBatch):
        return PowerAnswered(agent_id, PowerAnswers(batch.site, batch.revision, outcome, cause))
    return Answered(agent_id, Answers(batch.cell, batch.revision, outcome, cause, batch.expected_level))
