"""Codec and core of an agent fed with fuzzed messages in virtual time, beside the twin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from quietcell.power.v1 import power_pb2
from quietcell.ran.v1 import ran_pb2

from hw.adapters import power_codec, radio_codec
from hw.adapters.power import OnBattery, SetpointBatch
from hw.adapters.radio import CommandBatch, Renewal
from hw.adapters.wire import ContractError, Hello
from hw.agents.core import LeasedCore, Step
from hw.agents.durable import Durable, Position
from hw.agents.power_core import PowerAgentCore, PowerLimits
from hw.agents.program import StageOrder
from hw.agents.radio_core import RadioAgentCore, RadioLimits
from hw.ports import PowerReading, RadioReading
from tests.fuzzing import Fuzzer, View, power_message, radio_message
from tests.hw.agents import fuzz_twins
from tests.hw.agents.fuzz_twins import ALLOWED, FULL, PLAN_US, TERM_US, N, PowerTwin, RadioTwin, Twin

STEPS_US = (1000, 50_000, 1_000_000, 1_000_000, 20_000_000)  # between messages


def radio_reading(level: list[int]) -> RadioReading:
    """Levels of N cells, nothing measured."""
    none, no_time = np.zeros((N, 0), np.float32), np.zeros(0, np.int64)
    return RadioReading(np.array(level, np.uint8), np.zeros(N, np.bool_), 0, no_time, 60_000, none)


class Target(ABC):
    """An agent's codec and core over a plant that does what it is told."""

    core: LeasedCore[Any]
    value: list[Any]
    until_us: list[int]

    @abstractmethod
    def parse(self, data: bytes) -> Any:
        """The ControlRequest. Raises DecodeError."""

    @abstractmethod
    def decode(self, message: Any) -> Any:
        """As the agent reads it. Raises ContractError."""

    @abstractmethod
    def salvaged(self, message: Any) -> list[int]:
        """Slots that an unlawful message brings to rest all the same."""

    @abstractmethod
    def command(self, batch: Any, now_us: int) -> Step[Any]:
        """Feed a batch of commands."""

    @abstractmethod
    def rest(self, batch: Any, now_us: int) -> Step[Any]:
        """Feed a batch that brings slots to rest."""

    @abstractmethod
    def answers(self, step: Step[Any]) -> Any:
        """Make the answers of a step, which must not fail either."""

    def feed(self, message: Any, now_us: int) -> bool:
        """Let the agent have a message. Returns whether its form was lawful."""
        try:
            heard = self.decode(message)
        except ContractError:
            self.carry(self.core.wake_places(self.salvaged(message), now_us), now_us)
            return False
        match heard:
            case Hello():
                if heard.leader_epoch >= self.core.highest_epoch:
                    self.carry(self.core.hello(heard, now_us), now_us)
            case CommandBatch() | SetpointBatch():
                self.carry(self.command(heard, now_us), now_us)
            case Renewal():
                self.carry(self.core.renew(heard, now_us), now_us)
            case _:
                self.carry(self.rest(heard, now_us), now_us)
        return True

    def carry(self, step: Step[Any], now_us: int) -> None:
        """Carry a step out at once, as hw/agents/core.py orders it."""
        waiting = [step]
        while waiting:
            step = waiting.pop()
            if step.persist is not None:
                self.core.persisted(step.persist)
            for order in (step.wake, step.sleep):
                if order is not None:
                    for place, value, until_us in zip(order.place, order.value, order.until_us, strict=True):
                        self.value[place], self.until_us[place] = value, until_us
                    waiting.append(self.core.confirm(order, [True] * len(order.place), now_us))
            if step.rows:
                self.answers(step)


class RadioTarget(Target):
    """A radio agent."""

    def __init__(self, boot_id: bytes) -> None:
        self.value, self.until_us = [FULL] * N, [0] * N
        limits = RadioLimits(TERM_US // 1000, PLAN_US // 1000)
        reading = radio_reading(self.value)
        self.core: RadioAgentCore = RadioAgentCore(
            "site-001", boot_id, fuzz_twins.radio_abilities(), limits, Durable(), reading
        )

    def parse(self, data: bytes) -> ran_pb2.ControlRequest:
        return ran_pb2.ControlRequest.FromString(data)

    def decode(self, message: Any) -> Any:
        return radio_codec.from_request(message, N)

    def salvaged(self, message: Any) -> list[int]:
        return list(radio_codec.salvaged_wakes(message, N).tolist())

    def command(self, batch: Any, now_us: int) -> Step[Any]:
        return self.core.command(batch, now_us)

    def rest(self, batch: Any, now_us: int) -> Step[Any]:
        return self.core.wake_batch(batch, now_us)

    def answers(self, step: Step[Any]) -> Any:
        return radio_codec.to_response(self.core.answers(step.rows))


class AnyProgram:
    """Rules of on-battery programs that take whatever passes the codec; mains never fails here."""

    def check(self, program: OnBattery) -> None:
        if not len(program.after_s):
            raise ValueError("no stage")

    def run(
        self, program: OnBattery, position: Position, mains: bool, soc: float, elapsed_s: float
    ) -> tuple[Position, StageOrder]:
        return position, StageOrder()


class PowerTarget(Target):
    """A power agent."""

    def __init__(self, boot_id: bytes) -> None:
        self.value, self.until_us = [None] * N, [0] * N
        limits = PowerLimits(TERM_US // 1000, PLAN_US // 1000)
        self.core: PowerAgentCore = PowerAgentCore(
            "site-001", boot_id, fuzz_twins.power_abilities(), limits, Durable(), AnyProgram()
        )

    def parse(self, data: bytes) -> power_pb2.ControlRequest:
        return power_pb2.ControlRequest.FromString(data)

    def decode(self, message: Any) -> Any:
        return power_codec.from_request(message, N)

    def salvaged(self, message: Any) -> list[int]:
        return list(power_codec.salvaged_sites(message, N).tolist())

    def command(self, batch: Any, now_us: int) -> Step[Any]:
        return self.core.command(batch, now_us)

    def rest(self, batch: Any, now_us: int) -> Step[Any]:
        return self.core.safe_batch(batch, now_us)

    def answers(self, step: Step[Any]) -> Any:
        return power_codec.to_response(self.core.answers(step.rows))

    def measure(self, stored_wh: list[float], now_us: int) -> None:
        """The plant is read."""
        stored = np.array(stored_wh)[:, None]
        nothing, no_w = np.zeros((N, 1)), np.zeros(N)
        reading = PowerReading(
            np.array([value is None for value in self.value]),
            no_w,
            np.zeros(N, np.bool_),
            1,
            np.array([now_us]),
            1000,
            stored / fuzz_twins.CAPACITY_WH,
            *(nothing,) * 5,
            stored,
            np.ones((N, 1), np.bool_),
        )
        self.carry(self.core.observe(reading, now_us, now_us, now_us), now_us)


class Fuzz:
    """One run: a fuzzer, an agent and the twin, in virtual time."""

    def __init__(
        self,
        seed: int,
        real: Callable[..., Any],
        make_target: Callable[[bytes], Target],
        make_twin: Callable[[bytes], Twin],
    ) -> None:
        self.fuzzer = Fuzzer(seed, View(N, allowed=ALLOWED), real)
        self.counts: Counter[str] = Counter()
        self.violations: list[str] = []
        self._make = (make_target, make_twin)
        self._boot()

    def _boot(self) -> None:
        boot_id = self.fuzzer.rng.randbytes(16)
        self.target, self.twin = (make(boot_id) for make in self._make)

    def run(self, n_messages: int) -> None:
        """Feed so many messages; stops at the first violation."""
        for _ in range(n_messages):
            self.one()
            if self.violations:
                return

    def one(self) -> None:
        """Time passes, the plant and an operator may do something, then a message comes."""
        rng, view = self.fuzzer.rng, self.fuzzer.view
        if self.twin.is_worn_out and rng.random() < 0.05:
            self._boot()
        target, twin = self.target, self.twin
        view.now_us += rng.choice(STEPS_US)
        twin.pass_time(view.now_us)
        self._live()
        target.carry(target.core.tick(view.now_us), view.now_us)
        self._compare("time passed")
        twin.show(view)
        data = self.fuzzer.next()
        self.counts["messages"] += 1
        try:
            message = target.parse(data)
        except DecodeError:
            self.counts["not protobuf"] += 1
            return
        if target.feed(message, view.now_us):
            self.counts["judged"] += 1
            twin.take(message, view.now_us)
        else:
            self.counts["form refused"] += 1
            twin.salvage(message, view.now_us)
        self._compare(data[:200].hex())

    def _live(self) -> None:
        """What happens between messages."""
        rng, now_us, core = self.fuzzer.rng, self.fuzzer.view.now_us, self.target.core
        if rng.random() < 0.002:
            self.target.carry(core.stop("anna", "test", now_us, now_us), now_us)
            self.twin.stop(now_us)
        elif self.twin.is_stopped and rng.random() < 0.02:
            core.persisted(core.cleared("chief", "test", now_us))
            self.twin.is_stopped = False

    def _compare(self, after: str) -> None:
        unsafe, refused = self.twin.compare(self.target.value, self.target.until_us)
        self.counts["not as commanded"] += refused
        self.violations += [f"message {self.counts['messages']}, {after}: {what}" for what in unsafe]


class PowerFuzz(Fuzz):
    """Sites whose stored energy is known, and must not be driven below the reserve."""

    stored_wh: list[float]

    def _boot(self) -> None:
        super()._boot()
        self.stored_wh = [float("nan")] * N

    def _live(self) -> None:
        rng, now_us = self.fuzzer.rng, self.fuzzer.view.now_us
        super()._live()
        if rng.random() < 0.1:
            edge = fuzz_twins.RESERVE_WH
            levels_wh = (edge - 1, edge, edge + 30, *(edge + 3000,) * 4, float("nan"))
            self.stored_wh = rng.choices(levels_wh, k=N)
            target = self.target
            if isinstance(target, PowerTarget):
                target.measure(self.stored_wh, now_us)

    def _compare(self, after: str) -> None:
        super()._compare(after)
        for i, (value, until_us) in enumerate(zip(self.target.value, self.target.until_us, strict=True)):
            discharged_w = max(value[0], 0.0) if value else 0.0
            held_h = max(0, until_us - self.fuzzer.view.now_us) / 3.6e9
            left_wh = self.stored_wh[i] - discharged_w * held_h
            if discharged_w > 0 and not left_wh >= fuzz_twins.RESERVE_WH:
                self.violations.append(f"{after}: site {i} holds {value} with {self.stored_wh[i]} Wh stored")


def radio_fuzz(seed: int) -> Fuzz:
    """A run against a radio agent."""
    return Fuzz(seed, radio_message, RadioTarget, RadioTwin)


def power_fuzz(seed: int) -> Fuzz:
    """A run against a power agent."""
    return PowerFuzz(seed, power_message, PowerTarget, PowerTwin)
