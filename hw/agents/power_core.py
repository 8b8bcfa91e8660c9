"""The power agent without clock, socket and disk: which setpoint each site may hold, and until when.

The rules of leases are those of hw/agents/lease.py; steps are carried out as hw/agents/core.py says. At rest a site
charges safely. What is particular here is the reserve: with mains, no setpoint may take the stored energy below it
before its lease ends, however late the plant is heard again; below it only charging at full power is taken. That is
looked at with each command, each renewal and each reading. In a mains failure the plant discharges by itself and the
site's program says what it keeps; the program is on disk and needs no lease.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.active_set import SITE, active_digest
from hw.adapters.power import PowerAnswers, PowerInventory, PowerReport, SafeBatch, SetpointBatch
from hw.adapters.radio import Origin, RejectCause
from hw.agents.core import LeasedCore, Row, Step
from hw.agents.durable import Durable
from hw.agents.lease import LeaseBook
from hw.agents.program import ProgramRules, Programs
from hw.agents.samples import Column
from hw.agents.slot import ACCEPTED, Asked, Verdict, rejected
from hw.ports import Floats, PowerAbilities, PowerReading

LEAST_EFFICIENCY = 0.8  # energy at the bus over energy taken from the pack, at the worst


class Setpoint(NamedTuple):
    """What a site is to do; None in its place is safe charging."""

    battery_w: float  # at the bus, above 0 while it discharges
    import_limit_w: float


@dataclass(frozen=True, slots=True)
class PowerLimits:
    """What an agent grants at most."""

    longest_term_ms: int = 60_000
    longest_plan_ms: int = 1_800_000  # two plan intervals
    without_dead_man: frozenset[str] = frozenset()  # sites that may be commanded although they have no timer


class PowerAgentCore(LeasedCore[Setpoint | None]):
    """Sites of one boot of an agent. Its caller has put all of them on safe charging."""

    def __init__(
        self,
        agent_id: str,
        boot_id: bytes,
        abilities: PowerAbilities,
        limits: PowerLimits,
        durable: Durable,
        rules: ProgramRules,
    ) -> None:
        unknown = limits.without_dead_man - set(abilities.site_id)
        if unknown:
            raise ValueError(
                f"sites allowed without a dead-man timer are not there: {', '.join(sorted(unknown))}"
            )
        timers: list[bool] = abilities.has_dead_man.tolist()
        super().__init__(
            LeaseBook(None, timers, boot_id, limits.longest_term_ms, limits.longest_plan_ms, durable)
        )
        self.agent_id = agent_id
        self.abilities = abilities
        self.limits = limits
        self._may_act = [
            timer or name in limits.without_dead_man
            for timer, name in zip(timers, abilities.site_id, strict=True)
        ]
        self._programs = Programs(abilities.site_id, rules, durable)
        self._stored_wh = np.full(abilities.n_sites, np.nan)
        self._mains = np.ones(abilities.n_sites, np.bool_)
        self._soc = np.full(abilities.n_sites, np.nan)
        self._measured_us = 0  # the stored energy is at least as old as this
        self._sequence = 0

    def inventory(self) -> PowerInventory:
        """What this boot has."""
        limits = self.limits
        return PowerInventory(
            self.agent_id,
            self.book.boot_id,
            self.abilities,
            limits.longest_term_ms,
            limits.longest_plan_ms,
            self.highest_epoch,
        )

    def command(self, batch: SetpointBatch, now_us: int) -> Step[Setpoint | None]:
        """New setpoints for some sites, and programs."""
        book, origin = self.book, batch.origin
        book.expire(now_us)
        book.adopt_epoch(origin.leader_epoch, origin.controller_id, now_us)
        refusal = book.judge_origin(origin, now_us)
        end_us = book.end_us(origin, batch.term_ms)
        step: Step[Setpoint | None] = Step()
        pending = []
        columns = (batch.site, batch.revision, batch.battery_w, batch.import_limit_w)
        for place, revision, battery_w, import_w in zip(*(c.tolist() for c in columns), strict=True):
            asked = Setpoint(battery_w, import_w)
            verdict = refusal or book.judge_revision(place, revision, asked)
            if verdict is None:
                verdict = self._take(place, asked, origin, end_us, now_us)
                if verdict == ACCEPTED:
                    pending.append(Asked(place, revision, book.slots[place].version))
                    continue
            step.rows.append(Row(place, revision, verdict))
        if refusal is None and not self.latch.is_set:
            self._take_programs(batch)
        return self._finish(step, now_us, pending)

    def _take_programs(self, batch: SetpointBatch) -> None:
        for program in batch.programs:
            durable = self._programs.take(program, self.book.durable)
            if durable is not self.book.durable:
                self.book.change(durable)

    def _take(self, place: int, asked: Setpoint, origin: Origin, end_us: int, now_us: int) -> Verdict:
        """Take or refuse a command of a new revision."""
        book, has = self.book, self.abilities
        verdict = None
        if not -has.charge_max_w[place] <= asked.battery_w <= has.discharge_max_w[place]:
            verdict = rejected(RejectCause.INVALID)
        verdict = verdict or book.judge_slot(place, origin, end_us, now_us)
        if verdict is None and not self._may_act[place]:
            verdict = rejected(RejectCause.NO_DEAD_MAN)
        if verdict is None and self._drains(place, asked, end_us):
            verdict = rejected(RejectCause.SITE_LIMIT)
        if verdict is not None:
            return book.refuse(place, verdict)
        book.grant(place, asked, origin, end_us)
        return ACCEPTED

    def _drains(self, place: int, asked: Setpoint | None, until_us: int) -> bool:
        """Whether a setpoint held until then could take the stored energy below the reserve, or keep it there."""
        has, stored_wh = self.abilities, self._stored_wh[place]
        if asked is None or not self._mains[place]:
            return False
        if not stored_wh >= has.reserve_wh[place]:  # unknown counts as below
            charges = asked.battery_w <= -has.charge_max_w[place]
            return not (charges and asked.import_limit_w >= has.import_cap_w[place])
        held_h = (until_us - self._measured_us) / 3.6e9
        drained_wh = max(asked.battery_w, 0.0) / LEAST_EFFICIENCY * held_h
        return bool(stored_wh - drained_wh < has.reserve_wh[place])

    def _extend(self, origin: Origin, end_us: int, plan_us: int, now_us: int) -> Step[Setpoint | None]:
        for place, slot in enumerate(self.book.slots):
            if slot.is_leased and self._drains(place, slot.value, end_us):
                self.book.release(place, rejected(RejectCause.SITE_LIMIT), now_us)
        return super()._extend(origin, end_us, plan_us, now_us)

    def safe_batch(self, batch: SafeBatch, now_us: int) -> Step[Setpoint | None]:
        """Sites to safe charging."""
        return self.wake(zip(batch.site.tolist(), batch.revision.tolist(), strict=True), now_us)

    def observe(
        self, reading: PowerReading, began_us: int, now_us: int, unix_us: int
    ) -> Step[Setpoint | None]:
        """The plant as read from ``began_us`` on."""
        book = self.book
        book.expire(now_us)
        if reading.stored_wh.shape[1]:
            self._stored_wh, self._soc = reading.stored_wh[:, -1], reading.soc[:, -1]
            self._mains = reading.mains[:, -1]
            self._measured_us = began_us - reading.interval_ms * 1000
        is_changed = self._run_programs(now_us, unix_us)
        rows = zip(book.slots, reading.is_safe.tolist(), reading.local_control.tolist(), strict=True)
        for place, (slot, is_safe, is_local) in enumerate(rows):
            is_changed |= slot.is_local != is_local
            book.set_local(place, is_local, now_us)
            if slot.is_leased and self._drains(place, slot.value, slot.until_us):
                book.release(place, rejected(RejectCause.SITE_LIMIT), now_us)
            elif is_local or not slot.is_confirmed or slot.changed_us >= began_us > 0:
                continue
            elif slot.is_leased and is_safe:
                book.drop(place, rejected(RejectCause.PLANT_FAILED))
                is_changed = True
            elif not slot.is_leased and not is_safe:
                book.order_again(place, now_us)
        return self._finish(Step(is_changed=is_changed), now_us)

    def _run_programs(self, now_us: int, unix_us: int) -> bool:
        """Move the programs on; stages are kept on disk. Returns whether a stage has changed."""
        elapsed_s = self._programs.elapsed_s(now_us, unix_us)
        is_changed = False
        for place in range(self.abilities.n_sites):
            moved, is_new = self._programs.run(
                place, bool(self._mains[place]), float(self._soc[place]), elapsed_s, self.book.durable
            )
            is_changed |= moved
            if is_new and not self.book.slots[place].is_local:
                self.book.order_again(place, now_us)
        if is_changed:
            self.book.change(self._programs.saved(self.book.durable, unix_us))
        return is_changed

    def stage_orders(self, places: list[int]) -> tuple[Floats, NDArray[np.bool_]]:
        """Radio power kept and whether transport is, for some sites in a mains failure. Both (k,)."""
        orders = [self._programs.orders[i] for i in places]
        ratio = np.array([order.radio_ratio for order in orders], np.float64)
        return ratio, np.array([order.keeps_transport for order in orders], np.bool_)

    def digest(self) -> bytes:
        """Digest of the active set."""
        leased = [(i, s.revision, *s.value) for i, s in enumerate(self.book.slots) if s.value is not None]
        return active_digest(np.array(leased, SITE))

    def answers(self, rows: list[Row]) -> PowerAnswers:
        """The message of some answers."""
        return PowerAnswers(
            np.array([row.place for row in rows], np.int64),
            np.array([row.revision for row in rows], np.uint64),
            np.array([row.verdict.outcome for row in rows], np.uint8),
            np.array([row.verdict.cause for row in rows], np.uint8),
        )

    def report(
        self, end_unix_us: int, interval_ms: int, measured: Column, now_us: int, *, is_new: bool = True
    ) -> PowerReport:
        """The state now.

        ``measured``: soc, cell_v, battery_a, import_w, load_w, pv_w, stored_wh and mains, each (m, s).
        """
        self._sequence += is_new
        slots, has = self.book.slots, self.abilities
        soc, cell_v, battery_a, import_w, load_w, pv_w, stored_wh, mains = measured
        at_rest = [Setpoint(0.0, float(cap_w)) for cap_w in has.import_cap_w]
        value = [slot.value or rest for slot, rest in zip(slots, at_rest, strict=True)]
        return PowerReport(
            self.agent_id,
            self.book.boot_id,
            now_us,
            self._sequence,
            end_unix_us,
            interval_ms,
            soc,
            cell_v,
            battery_a,
            import_w,
            load_w,
            pv_w,
            stored_wh,
            mains,
            np.array([slot.is_leased for slot in slots], np.bool_),
            np.array([v.battery_w for v in value]),
            np.array([v.import_limit_w for v in value]),
            np.array([slot.revision for slot in slots], np.uint64),
            self.left_ms(now_us),
            self.local(),
            np.array([self._programs.revision(i, self.on_disk) for i in range(has.n_sites)], np.uint64),
            np.array([self._programs.stage(i) for i in range(has.n_sites)], np.int64),
            self.digest(),
            self.latch.is_set,
            self.highest_epoch,
        )
