"""The radio agent without clock, socket and disk: which level each cell may hold, and until when.

The rules of leases are those of hw/agents/lease.py; steps are carried out as hw/agents/core.py says. Here is what is
particular to cells: levels deeper than full service need a lease, a command toward less service must expect the level
in force, one toward full service is bound by epoch, boot and revision alone, and a plant without a timer of its own is
only put to sleep where that is allowed by name.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from hw.active_set import CELL, active_digest
from hw.adapters.radio import Answers, CommandBatch, Inventory, Origin, RejectCause, Report, WakeBatch
from hw.agents.core import LeasedCore, Row, Step
from hw.agents.durable import Durable
from hw.agents.lease import LeaseBook
from hw.agents.slot import ACCEPTED, Asked, Verdict, rejected
from hw.ports import Float32, RadioAbilities, RadioReading, not_measured


@dataclass(frozen=True, slots=True)
class Samples:
    """What was measured since the last report: s intervals, oldest first."""

    end_unix_us: int
    interval_ms: int
    carried: Float32  # (n, s) [ratio]
    throughput: Float32 = field(default_factory=not_measured)  # (n, s), of a user [Mbit/s]
    energy_wh: Float32 = field(default_factory=not_measured)  # (n, s)


@dataclass(frozen=True, slots=True)
class RadioLimits:
    """What an agent grants at most."""

    longest_term_ms: int = 60_000
    longest_plan_ms: int = 1_800_000  # two plan intervals
    without_dead_man: frozenset[str] = frozenset()  # cells that may sleep although their plant has no timer


class RadioAgentCore(LeasedCore[int]):
    """Cells of one boot of an agent. Its caller has brought all of them to full service."""

    def __init__(
        self,
        agent_id: str,
        boot_id: bytes,
        abilities: RadioAbilities,
        limits: RadioLimits,
        durable: Durable,
        reading: RadioReading,
    ) -> None:
        """``reading``: the plant as it is now; cells that are not at full service yet will be ordered there."""
        unknown = limits.without_dead_man - set(abilities.cell_id)
        if unknown:
            raise ValueError(
                f"cells allowed without a dead-man timer are not there: {', '.join(sorted(unknown))}"
            )
        self.agent_id = agent_id
        self.abilities = abilities
        self.limits = limits
        self.full = abilities.full_service_level
        timers: list[bool] = abilities.has_dead_man.tolist()
        super().__init__(
            LeaseBook(self.full, timers, boot_id, limits.longest_term_ms, limits.longest_plan_ms, durable)
        )
        self._may_sleep = [
            timer or name in limits.without_dead_man
            for timer, name in zip(timers, abilities.cell_id, strict=True)
        ]
        self._allowed: list[list[bool]] = abilities.allowed.tolist()
        self._reported = reading.level
        self._sequence = 0
        self._look(reading, 0, 0)

    def inventory(self) -> Inventory:
        """What this boot has."""
        return Inventory(
            self.agent_id,
            self.book.boot_id,
            self.abilities,
            self.limits.longest_term_ms,
            self.limits.longest_plan_ms,
            self.highest_epoch,
        )

    def command(self, batch: CommandBatch, now_us: int) -> Step[int]:
        """New levels for some cells."""
        book, origin = self.book, batch.origin
        book.expire(now_us)
        book.adopt_epoch(origin.leader_epoch, origin.controller_id, now_us)
        refusal = book.judge_origin(origin, now_us)
        end_us = book.end_us(origin, batch.term_ms)
        step: Step[int] = Step()
        pending = []
        rows = zip(
            *(x.tolist() for x in (batch.cell, batch.revision, batch.level, batch.expected_level)),
            strict=True,
        )
        for place, revision, level, expected in rows:
            verdict = refusal or book.judge_revision(place, revision, level)
            if verdict is None:
                verdict = self._take(place, level, expected, origin, end_us, now_us)
                if verdict == ACCEPTED:
                    pending.append(Asked(place, revision, book.slots[place].version))
                    continue
            step.rows.append(Row(place, revision, verdict))
        return self._finish(step, now_us, pending)

    def _take(
        self, place: int, level: int, expected: int, origin: Origin, end_us: int, now_us: int
    ) -> Verdict:
        """Take or refuse a command of a new revision."""
        book, slot = self.book, self.book.slots[place]
        if level >= len(self.abilities.level_names) or not self._allowed[place][level]:
            return book.refuse(place, rejected(RejectCause.INVALID))
        if level <= self.full:
            if slot.is_local:
                return book.refuse(place, rejected(RejectCause.LOCAL_CONTROL))
            book.ask_rest(place, level, now_us)
            return ACCEPTED
        verdict = book.judge_slot(place, origin, end_us, now_us)
        if verdict is None and level > slot.value and expected != slot.value:
            verdict = rejected(RejectCause.UNEXPECTED_STATE)
        if verdict is None and not self._may_sleep[place]:
            verdict = rejected(RejectCause.NO_DEAD_MAN)
        if verdict is not None:
            return book.refuse(place, verdict)
        book.grant(place, level, origin, end_us)
        return ACCEPTED

    def wake_batch(self, batch: WakeBatch, now_us: int) -> Step[int]:
        """Cells to full service."""
        return self.wake(zip(batch.cell.tolist(), batch.revision.tolist(), strict=True), now_us)

    def wake_ms(self, places: Collection[int]) -> int:
        """Longest time until the last of some cells serves at full, from the level it has or is to have. [ms]"""
        wake_ms, slots = self.abilities.wake_ms, self.book.slots
        return max((int(max(wake_ms[self._reported[i]], wake_ms[slots[i].value])) for i in places), default=0)

    def asleep(self) -> list[int]:
        """Places of the cells below full service, by lease or as the plant shows them."""
        return [
            i for i, slot in enumerate(self.book.slots) if slot.is_leased or self._reported[i] > self.full
        ]

    def observe(self, reading: RadioReading, began_us: int, now_us: int) -> Step[int]:
        """The plant as read from ``began_us`` on: local control, cells that woke by themselves or did not."""
        self.book.expire(now_us)
        is_changed = self._look(reading, began_us, now_us)
        return self._finish(Step(is_changed=is_changed), now_us)

    def _look(self, reading: RadioReading, began_us: int, now_us: int) -> bool:
        is_changed = not np.array_equal(self._reported, reading.level)
        self._reported = reading.level
        rows = zip(self.book.slots, reading.level.tolist(), reading.local_control.tolist(), strict=True)
        for place, (slot, level, is_local) in enumerate(rows):
            is_changed |= slot.is_local != is_local
            self.book.set_local(place, is_local, now_us)
            if is_local or not slot.is_confirmed or slot.changed_us >= began_us > 0:
                continue
            if slot.is_leased and level <= self.full:
                self.book.drop(place, rejected(RejectCause.PLANT_FAILED))
                is_changed = True
            elif level > max(slot.value, self.full):
                self.book.order_again(place, now_us)
        return is_changed

    def digest(self) -> bytes:
        """Digest of the active set."""
        leased = [(i, s.revision, s.value) for i, s in enumerate(self.book.slots) if s.is_leased]
        return active_digest(np.array(leased, CELL))

    def answers(self, rows: list[Row]) -> Answers:
        """The message of some answers."""
        slots = self.book.slots
        return Answers(
            np.array([row.place for row in rows], np.int64),
            np.array([row.revision for row in rows], np.uint64),
            np.array([row.verdict.outcome for row in rows], np.uint8),
            np.array([row.verdict.cause for row in rows], np.uint8),
            np.array([slots[row.place].value for row in rows], np.uint8),
        )

    def report(self, samples: Samples, now_us: int, *, is_new: bool = True) -> Report:
        """The state now; ``is_new`` False repeats the number of the last report, for those who only watch."""
        self._sequence += is_new
        slots = self.book.slots
        return Report(
            self.agent_id,
            self.book.boot_id,
            now_us,
            self._sequence,
            samples.end_unix_us,
            samples.interval_ms,
            samples.carried,
            self._reported,
            np.array([s.value for s in slots], np.uint8),
            np.array([s.revision for s in slots], np.uint64),
            self.left_ms(now_us),
            self.local(),
            self.digest(),
            self.latch.is_set,
            self.highest_epoch,
            samples.throughput,
            samples.energy_wh,
        )
