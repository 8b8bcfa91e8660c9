"""The core of the radios and that of site power as one: each event goes to whom it concerns, into one output."""

from __future__ import annotations

from controller.live.core import LiveCore
from controller.live.events import (
    Disconnected,
    Event,
    FromAgents,
    GuardTick,
    Output,
    PlanTick,
    Renewed,
    Taken,
)
from controller.live.power.core import PowerCore
from controller.live.power.events import PowerAnswered, PowerConnected, PowerReported

OF_POWER = (PowerConnected, PowerReported, PowerAnswered)


class Cores:
    """What decides, as controller/live/run.py feeds it."""

    def __init__(self, radio: LiveCore, power: PowerCore | None) -> None:
        """``power``: None where no sites file is configured."""
        self.radio, self.power = radio, power
        self._now_us = 0  # of the last tick

    def feed(self, event: Event) -> Output:
        """Take in one event. Never raises for what an agent says."""
        if isinstance(event, GuardTick | PlanTick):
            self._now_us = event.unix_us
        if isinstance(event, OF_POWER) or self._is_of_power_agent(event):
            out, is_of_sites = Output(), True
            out.durable.append(Taken(self._now_us, event))
        else:
            out, is_of_sites = self.radio.feed(event), not isinstance(event, FromAgents)
        if self.power is not None:
            self.power.follow(self.radio.wanted.leads, out, self._now_us)
            if is_of_sites:
                self.power.take(event, out, self._now_us)
        return out

    def _is_of_power_agent(self, event: Event) -> bool:
        if not isinstance(event, Renewed | Disconnected) or self.power is None:
            return False
        return self.power.fleet.get(event.agent_id) is not None

    def has_all(self, unix_us: int) -> bool:
        """Whether every radio agent that speaks has reported the last sample that is complete at ``unix_us``."""
        return self.radio.has_all(unix_us)

    def leaves_alone(self, agent_id: str) -> bool:
        """Whether nothing at an agent is any of ours, so that nobody is to wake it as this controller stops."""
        if self.power is not None and self.power.fleet.get(agent_id) is not None:
            return self.power.leaves_alone(agent_id)
        return self.radio.leaves_alone(agent_id)
