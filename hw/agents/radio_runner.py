"""Runs a radio agent's core behind its plant."""

from __future__ import annotations

import numpy as np
from quietcell.ran.v1 import ran_pb2

from hw.adapters import radio_codec
from hw.adapters.radio import CommandBatch, Outcome, RejectCause, Renewal, RenewalAnswer, Report, WakeBatch
from hw.adapters.radio_report_codec import report_to
from hw.agents.core import Row, Step
from hw.agents.durable import Disk
from hw.agents.radio_core import RadioAgentCore, Samples
from hw.agents.running import AgentRunner, Pace
from hw.agents.samples import SampleBuffer
from hw.agents.slot import Order, rejected
from hw.ports import Clock, RadioPlant, RadioReading, RadioSetting

Message = WakeBatch | CommandBatch | Renewal


def check_reading(reading: RadioReading, n_cells: int, n_levels: int) -> None:
    """Raise OSError where a plant's reading cannot be one of its cells."""
    n_samples = len(reading.end_unix_us)
    fits = reading.level.shape == reading.local_control.shape == (n_cells,)
    fits &= reading.carried.shape == (n_cells, n_samples) and reading.interval_ms >= 0
    fits &= all(
        not x.size or x.shape == reading.carried.shape for x in (reading.throughput, reading.energy_wh)
    )
    if not fits:
        raise OSError(f"the plant's reading is not one of {n_cells} cells and {n_samples} samples")
    if (reading.level >= n_levels).any():
        raise OSError(f"the plant's reading has level {int(reading.level.max())} of {n_levels} levels")


class RadioRunner(AgentRunner[int, Message, ran_pb2.ControlResponse]):
    """The moving part of a radio agent."""

    core: RadioAgentCore

    def __init__(self, core: RadioAgentCore, plant: RadioPlant, disk: Disk, clock: Clock, pace: Pace) -> None:
        missing = np.full(core.abilities.n_cells, np.nan, np.float32)
        super().__init__(core, SampleBuffer((missing,) * 3), disk, clock, pace)
        self._plant = plant
        self._last_sample = 0

    async def apply(self, order: Order[int]) -> list[bool]:
        """Have the plant set levels and timers."""
        done: list[bool] = (
            await self._plant.apply(
                RadioSetting(
                    np.array(order.place, np.int64),
                    np.array(order.value, np.uint8),
                    np.array(order.until_us, np.int64),
                    np.array(order.extends, np.bool_),
                ),
                order.number,
            )
        ).tolist()
        return done

    async def read(self, began_us: int) -> Step[int]:
        """Read levels and samples."""
        reading = await self._plant.read(self._last_sample)
        check_reading(reading, self.core.abilities.n_cells, len(self.core.abilities.level_names))
        self.take_samples(reading)
        step = self.core.observe(reading, began_us, self.clock.monotonic_us())
        step.is_changed |= len(reading.end_unix_us) > 0
        return step

    def take_samples(self, reading: RadioReading) -> None:
        """Keep what was measured."""
        self._last_sample = reading.last_sample
        optional = (
            x if x.size else np.full_like(reading.carried, np.nan)
            for x in (reading.throughput, reading.energy_wh)
        )
        columns = zip(reading.carried.T, *(x.T for x in optional), strict=True)
        for end_unix_us, column in zip(reading.end_unix_us.tolist(), columns, strict=True):
            self.samples.add(end_unix_us, reading.interval_ms, column)

    def feed(self, message: Message) -> Step[int]:
        """Feed a wake, a command batch or a renewal to the core."""
        now_us = self.clock.monotonic_us()
        match message:
            case WakeBatch():
                return self.core.wake_batch(message, now_us)
            case CommandBatch():
                return self.core.command(message, now_us)
            case Renewal():
                return self.core.renew(message, now_us)

    def answers(self, step: Step[int]) -> list[ran_pb2.ControlResponse]:
        """The messages with a step's answers."""
        messages = [] if not step.rows else [radio_codec.to_response(self.core.answers(step.rows))]
        return messages if step.renewal is None else [*messages, radio_codec.to_response(step.renewal)]

    def too_many(self, message: Message) -> list[ran_pb2.ControlResponse]:
        """The answers to a message for which there is no room."""
        if isinstance(message, Renewal):
            refused = RenewalAnswer(
                message.origin.monotonic_us, Outcome.REJECTED, RejectCause.TOO_MANY, self.core.digest()
            )
            return [radio_codec.to_response(refused)]
        named = zip(message.cell.tolist(), message.revision.tolist(), strict=True)
        rows = [Row(place, revision, rejected(RejectCause.TOO_MANY)) for place, revision in named]
        return self.answers(Step(rows=rows))

    def inventory(self) -> ran_pb2.ControlResponse:
        """First on each stream."""
        return radio_codec.to_response(self.core.inventory())

    def report(self, after_sample: int) -> tuple[int, ran_pb2.ControlResponse]:
        """A new report."""
        last, column = self.samples.after(after_sample)
        samples = Samples(self.samples.last_end_us, self.samples.interval_ms, *column)
        report = self.core.report(samples, self.clock.monotonic_us())
        return last, ran_pb2.ControlResponse(report=report_to(report, self.stop_message()))

    def state(self) -> Report:
        """The state now, under the number of the last report."""
        _, none = self.samples.after(2**63)
        samples = Samples(self.samples.last_end_us, self.samples.interval_ms, *none)
        return self.core.report(samples, self.clock.monotonic_us(), is_new=False)
