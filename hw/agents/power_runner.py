"""Runs a power agent's core behind its plant."""

from __future__ import annotations

import numpy as np
from quietcell.power.v1 import power_pb2

from hw.adapters import power_codec
from hw.adapters.power import PowerReport, SafeBatch, SetpointBatch
from hw.adapters.power_report_codec import report_to
from hw.adapters.radio import Outcome, RejectCause, Renewal, RenewalAnswer
from hw.agents.core import Row, Step
from hw.agents.durable import Disk
from hw.agents.power_core import PowerAgentCore, Setpoint
from hw.agents.running import AgentRunner, Pace
from hw.agents.samples import Column, SampleBuffer
from hw.agents.slot import Order, rejected
from hw.ports import Clock, PowerAbilities, PowerPlant, PowerReading, PowerSetting

Message = SafeBatch | SetpointBatch | Renewal
MEASURED = ("soc", "cell_v", "battery_a", "import_w", "load_w", "pv_w", "stored_wh", "mains")


def check_reading(reading: PowerReading, n_sites: int) -> None:
    """Raise OSError where a plant's reading cannot be one of its sites."""
    shape = (n_sites, len(reading.end_unix_us))
    states = (reading.is_safe, reading.battery_w, reading.local_control)
    fits = all(array.shape == (n_sites,) for array in states) and reading.interval_ms >= 0
    if not fits or any(getattr(reading, name).shape != shape for name in MEASURED):
        raise OSError(f"the plant's reading is not one of {n_sites} sites and {shape[1]} samples")


def safe_setting(abilities: PowerAbilities, sites: list[int]) -> PowerSetting:
    """Safe charging for some sites, with no timer and no program."""
    k = len(sites)
    site = np.array(sites, np.int64)
    return PowerSetting(
        site,
        np.zeros(k),
        abilities.import_cap_w[site],
        np.zeros(k, np.int64),
        np.ones(k, np.bool_),
        np.zeros(k, np.bool_),
        np.ones(k),
        np.ones(k, np.bool_),
    )


class PowerRunner(AgentRunner[Setpoint | None, Message, power_pb2.ControlResponse]):
    """The moving part of a power agent."""

    core: PowerAgentCore

    def __init__(self, core: PowerAgentCore, plant: PowerPlant, disk: Disk, clock: Clock, pace: Pace) -> None:
        m = core.abilities.n_sites
        nothing = np.full(m, np.nan)
        super().__init__(core, SampleBuffer((nothing,) * 7 + (np.ones(m, np.bool_),)), disk, clock, pace)
        self._plant = plant
        self._last_sample = 0

    async def apply(self, order: Order[Setpoint | None]) -> list[bool]:
        """Have the plant set setpoints and timers."""
        has = self.core.abilities
        site = np.array(order.place, np.int64)
        wanted = [value or Setpoint(0.0, np.inf) for value in order.value]
        ratio, keeps_transport = self.core.stage_orders(order.place)
        setting = PowerSetting(
            site,
            np.array([w.battery_w for w in wanted]),
            np.minimum([w.import_limit_w for w in wanted], has.import_cap_w[site]),
            np.array(order.until_us, np.int64),
            np.array([value is None for value in order.value], np.bool_),
            np.array(order.extends, np.bool_),
            ratio,
            keeps_transport,
        )
        done: list[bool] = (await self._plant.apply(setting, order.number)).tolist()
        return done

    async def read(self, began_us: int) -> Step[Setpoint | None]:
        """Read state and samples."""
        reading = await self._plant.read(self._last_sample)
        check_reading(reading, self.core.abilities.n_sites)
        return self.take(reading, began_us)

    def take(self, reading: PowerReading, began_us: int) -> Step[Setpoint | None]:
        """Keep what was measured and feed the core."""
        self._last_sample = reading.last_sample
        for s, end_unix_us in enumerate(reading.end_unix_us.tolist()):
            column: Column = tuple(getattr(reading, name)[:, s] for name in MEASURED)
            self.samples.add(end_unix_us, reading.interval_ms, column)
            self.samples.missing = (*self.samples.missing[:-1], column[-1])  # mains as it was last seen
        step = self.core.observe(reading, began_us, self.clock.monotonic_us(), self.clock.unix_us())
        step.is_changed |= len(reading.end_unix_us) > 0
        return step

    def feed(self, message: Message) -> Step[Setpoint | None]:
        """Feed safe charging, a command batch or a renewal to the core."""
        now_us = self.clock.monotonic_us()
        match message:
            case SafeBatch():
                return self.core.safe_batch(message, now_us)
            case SetpointBatch():
                return self.core.command(message, now_us)
            case Renewal():
                return self.core.renew(message, now_us)

    def answers(self, step: Step[Setpoint | None]) -> list[power_pb2.ControlResponse]:
        """The messages with a step's answers."""
        messages = [] if not step.rows else [power_codec.to_response(self.core.answers(step.rows))]
        return messages if step.renewal is None else [*messages, power_codec.to_response(step.renewal)]

    def too_many(self, message: Message) -> list[power_pb2.ControlResponse]:
        """The answers to a message for which there is no room."""
        if isinstance(message, Renewal):
            refused = RenewalAnswer(
                message.origin.monotonic_us, Outcome.REJECTED, RejectCause.TOO_MANY, self.core.digest()
            )
            return [power_codec.to_response(refused)]
        named = zip(message.site.tolist(), message.revision.tolist(), strict=True)
        rows = [Row(place, revision, rejected(RejectCause.TOO_MANY)) for place, revision in named]
        return self.answers(Step(rows=rows))

    def inventory(self) -> power_pb2.ControlResponse:
        """First on each stream."""
        return power_codec.to_response(self.core.inventory())

    def report(self, after_sample: int) -> tuple[int, power_pb2.ControlResponse]:
        """A new report."""
        last, measured = self.samples.after(after_sample)
        report = self._report(measured, is_new=True)
        return last, power_pb2.ControlResponse(report=report_to(report, self.stop_message()))

    def state(self) -> PowerReport:
        """The state now, under the number of the last report."""
        return self._report(self.samples.after(2**63)[1], is_new=False)

    def _report(self, measured: Column, *, is_new: bool) -> PowerReport:
        samples = self.samples
        now_us = self.clock.monotonic_us()
        return self.core.report(samples.last_end_us, samples.interval_ms, measured, now_us, is_new=is_new)
