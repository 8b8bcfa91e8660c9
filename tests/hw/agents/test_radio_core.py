"""The radio core against a twin, and against a plant that loses, delays and reorders what it is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.adapters.radio import CommandBatch, Origin, Outcome, RejectCause, Renewal
from hw.agents.core import Row, Step
from hw.agents.durable import Durable
from hw.agents.radio_core import RadioAgentCore, RadioLimits
from hw.agents.slot import Order, Verdict
from hw.ports import RadioReading
from tests.hw.agents.naive_agent import LONGEST_PLAN_US, LONGEST_TERM_US, NaiveAgent, NaiveCell
from tests.hw.agents.peer import commands, wakes
from tests.hw.agents.plants import FULL, abilities

N = 3
BOOT = b"b" * 16
START_US = 1_000_000_000
LIMITS = RadioLimits(LONGEST_TERM_US // 1000, LONGEST_PLAN_US // 1000)

cells = st.integers(0, N - 1)
ages_us = st.sampled_from([-1, 0, 1, 20_000_000, 59_999_999, 60_000_000, 80_000_000])
terms_ms = st.sampled_from([0, 30_000, 60_000, 90_000])
rows = st.tuples(cells, st.sampled_from([-1, 0, 1, 1, 1, 2]), st.integers(0, 4), st.integers(0, 3))
origins = st.tuples(ages_us, st.sampled_from([-1, 0, 0, 0, 0, 1]), st.sampled_from([BOOT, BOOT, BOOT, b"x"]))
NOW = (0, 0, BOOT)
GOOD = st.tuples(cells, st.just(1), st.integers(2, 3), st.none())  # expects the level that is in force
operations = st.one_of(
    st.tuples(st.just("command"), origins, terms_ms, st.lists(rows, min_size=1, max_size=4)),
    st.tuples(st.just("command"), st.just(NOW), terms_ms, st.lists(rows, min_size=1, max_size=4)),
    st.tuples(st.just("command"), st.just(NOW), st.just(90_000), st.lists(GOOD, min_size=1, max_size=2)),
    st.tuples(st.just("again"), st.integers(0, 5)),
    st.tuples(st.just("renew"), origins, terms_ms, st.booleans()),
    st.tuples(st.just("renew"), st.just(NOW), st.just(90_000), st.just(True)),
    st.tuples(st.just("wake"), cells, st.integers(-1, 2)),
    st.tuples(st.just("wake_up"), cells),
    st.tuples(st.just("time"), st.sampled_from([1, 1_000_000, 30_000_000, 59_999_999, 60_000_000])),
    st.tuples(st.just("time"), st.just(50_000_000)),
    st.tuples(st.sampled_from(["stop", "clear"])),
    st.tuples(st.just("local"), cells, st.booleans()),
)
runs = st.lists(operations, min_size=6, max_size=25)
deliveries = st.tuples(
    st.just("deliver"), st.integers(0, 9), st.sampled_from(["done", "done", "lost", "unheard"])
)
troubles = st.tuples(st.sampled_from(["read", "reboot"]))
troubled_runs = st.lists(st.one_of(operations, deliveries, deliveries, troubles), min_size=6, max_size=30)


def word(verdict: Verdict) -> str:
    return verdict.cause.name if verdict.outcome == Outcome.REJECTED else verdict.outcome.name


def no_samples(level: Any, local: Any) -> RadioReading:
    return RadioReading(
        np.array(level, np.uint8),
        np.array(local, np.bool_),
        0,
        np.zeros(0, np.int64),
        0,
        np.zeros((N, 0), np.float32),
    )


class Bench:
    """A core at a bench: its time, its disk and its plant are moved by hand."""

    def __init__(self) -> None:
        self.now_us = START_US
        self.level, self.until_us = [FULL] * N, [0] * N
        self.local = [False] * N
        has = abilities(N, without_timer=(2,))
        self.core = RadioAgentCore("a", BOOT, has, LIMITS, Durable(), no_samples(self.level, self.local))
        self.sent: list[CommandBatch] = []
        self.flying: list[Order[int]] = []
        self.disk = Durable()
        self.rows: list[Row] = []
        self.renewals: list[str] = []

    def origin(self, age_us: int, epoch: int, boot: bytes) -> Origin:
        return Origin(max(0, self.core.highest_epoch + epoch), boot, self.now_us - age_us, "c")

    def carry(self, step: Step[int]) -> None:
        """As hw/agents/core.py says."""
        self.rows += step.rows
        if step.renewal is not None:
            outcome, cause = Outcome(step.renewal.outcome), RejectCause(step.renewal.cause)
            self.renewals.append(word(Verdict(outcome, cause)))
        if step.wake is not None:
            assert max(step.wake.value) <= FULL
            assert set(step.wake.until_us) == {0}
            self.flying.append(step.wake)
        if step.persist is not None:
            self.disk = step.persist
            self.core.persisted(step.persist)
        if step.sleep is not None:
            assert self.disk.highest_epoch == self.core.highest_epoch
            assert not self.disk.latch.is_set
            self.flying.append(step.sleep)

    def fire(self) -> None:
        for i in range(N):
            if 0 < self.until_us[i] <= self.now_us:
                self.level[i], self.until_us[i] = FULL, 0

    def deliver(self, number: int, fate: str = "done") -> None:
        """One order under way reaches the plant, or not; ``unheard``: it does, but its answer is lost."""
        if not self.flying:
            return
        order = self.flying.pop(number % len(self.flying))
        done = [fate != "lost" and not self.local[i] for i in order.place]
        for i, level, until_us, is_done in zip(order.place, order.value, order.until_us, done, strict=True):
            if is_done:
                self.level[i], self.until_us[i] = level, until_us
        self.fire()
        heard = done if fate == "done" else [False] * len(done)
        self.carry(self.core.confirm(order, heard, self.now_us))

    def settle(self) -> None:
        while self.flying:
            self.deliver(0)

    def run(self, operation: Any) -> Any:
        """Feed the core; returns what it was fed."""
        core, kind = self.core, operation[0]
        match operation:
            case "command", origin, term_ms, asked:
                batch = commands(self.origin(*origin), *self.absolute(asked), term_ms=term_ms)
                self.sent.append(batch)
                self.carry(core.command(batch, self.now_us))
                return batch
            case "again", number:
                batch = (
                    self.sent[number % len(self.sent)]
                    if self.sent
                    else commands(self.origin(*NOW), (0, 0, 0, 0))
                )
                self.carry(core.command(batch, self.now_us))
                return batch
            case "renew", origin, term_ms, is_ours:
                digest = core.digest() if is_ours else b"else"
                renewal = Renewal(self.origin(*origin), digest, term_ms)
                self.carry(core.renew(renewal, self.now_us))
                return renewal
            case "wake", cell, delta:
                revision = max(0, core.book.slots[cell].revision + delta)
                self.carry(core.wake_batch(wakes(self.origin(0, -1, b""), (cell, revision)), self.now_us))
                return revision
            case "wake_up", cell:
                self.carry(core.wake_places([cell], self.now_us))
            case "time", elapsed_us:
                self.now_us += elapsed_us
                self.fire()
                self.carry(core.tick(self.now_us))
            case ("stop",):
                self.carry(core.stop("op", "why", 0, self.now_us))
            case ("clear",):
                core.persisted(core.cleared("op", "why", 0))
                self.disk = core.book.durable
            case "local", cell, is_local:
                self.local[cell] = is_local
                self.read()
            case ("read",):
                self.read()
            case ("reboot",):
                self.level, self.until_us = [FULL] * N, [0] * N
            case _:
                raise AssertionError(kind)
        return None

    def absolute(self, asked: Any) -> list[tuple[int, int, int, int]]:
        slots = self.core.book.slots
        return [
            (c, max(0, slots[c].revision + d), level, slots[c].value if expected is None else expected)
            for c, d, level, expected in asked
        ]

    def read(self) -> None:
        self.fire()
        reading = no_samples(self.level, self.local)
        self.carry(self.core.observe(reading, self.now_us + 1, self.now_us))


def twin_of(bench: Bench) -> NaiveAgent:
    has = bench.core.abilities
    return NaiveAgent(BOOT, [NaiveCell() for _ in range(N)], [2, 3, 3], has.has_dead_man.tolist())


def tell_twin(twin: NaiveAgent, bench: Bench, operation: Any, fed: Any) -> list[tuple[int, int, str]]:
    now_us = bench.now_us
    twin.pass_time(now_us)
    match operation[0]:
        case "command" | "again":
            asked = zip(
                *(x.tolist() for x in (fed.cell, fed.revision, fed.level, fed.expected_level)), strict=True
            )
            return twin.command(fed.origin, fed.term_ms * 1000, asked, now_us)
        case "renew":
            return [(0, 0, twin.renew(fed.origin, fed.term_ms * 1000, fed.active_digest, now_us))]
        case "wake":
            return [(operation[1], fed, twin.wake(operation[1], fed, now_us))]
        case "wake_up":
            revision = twin.cells[operation[1]].seen + 1
            return [(operation[1], revision, twin.wake(operation[1], revision, now_us))]
        case "stop":
            twin.stop(now_us)
        case "clear":
            twin.stopped = False
        case "local":
            cell = twin.cells[operation[1]]
            if operation[2] and not cell.locked:
                cell.end("LOCAL_CONTROL")
            cell.locked = operation[2]
    return []


@settings(max_examples=250, deadline=None)
@given(runs)
def test_as_the_twin(run: list[Any]) -> None:
    bench = Bench()
    twin = twin_of(bench)
    for operation in run:
        bench.rows.clear()
        bench.renewals.clear()
        digest_before = bench.core.digest()
        fed = bench.run(operation)
        bench.settle()
        expected = tell_twin(twin, bench, operation, fed)
        if operation[0] == "renew":
            assert bench.renewals == [expected[0][2]], digest_before
        elif operation[0] != "stop":
            last = {(c, r): answer for c, r, answer in expected}
            heard = {(row.place, row.revision): word(row.verdict) for row in bench.rows}
            assert {k: heard[k] for k in heard if _counts(expected, k)} == {
                k: last[k] for k in last if _counts(expected, k)
            }
            assert len(bench.rows) == len(expected)
        slots = bench.core.book.slots
        assert [s.value for s in slots] == [c.level for c in twin.cells]
        assert [s.until_us for s in slots] == [c.until_us for c in twin.cells]
        assert bench.core.digest() == twin.digest()
        assert (bench.core.latch.is_set, bench.core.highest_epoch) == (twin.stopped, twin.epoch)
        assert all(bench.local[i] or bench.level[i] == slots[i].value for i in range(N))


def _counts(expected: list[tuple[int, int, str]], key: tuple[int, int]) -> bool:
    """Cells named once in the batch: of several commands for a cell only the last is in force."""
    return [c for c, _, _ in expected].count(key[0]) == 1


@settings(max_examples=250, deadline=None)
@given(troubled_runs)
def test_no_cell_is_below_full_service_beyond_what_was_lawfully_asked(run: list[Any]) -> None:
    bench = Bench()
    granted: list[tuple[int, int]] = []
    lawful_us = [0] * N
    for operation in run:
        slots = bench.core.book.slots
        before = [(s.is_leased, s.until_us) for s in slots]
        if operation[0] == "deliver":
            bench.deliver(operation[1], operation[2])
            fed = None
        else:
            fed = bench.run(operation)
        for i, slot in enumerate(slots):
            if slot.is_leased and (slot.until_us > before[i][1] or not before[i][0]):
                assert operation[0] in ("command", "again", "renew")
                assert fed.origin.boot_id == BOOT
                assert fed.origin.leader_epoch == bench.core.highest_epoch
                assert fed.origin.monotonic_us <= bench.now_us
                lawful_us[i] = fed.origin.monotonic_us + min(fed.term_ms * 1000, LONGEST_TERM_US)
                assert slot.until_us <= lawful_us[i]
                assert slot.until_us <= slot.plan_end_us
            if slot.is_leased and operation[0] in ("command", "again") and not before[i][0]:
                granted.append((i, slot.revision))
        assert len(set(granted)) == len(granted), "a command took effect twice"
        assert not (bench.core.latch.is_set and any(s.is_leased for s in slots))
        assert not any(s.is_leased and s.until_us <= bench.now_us for s in slots)
        for i in range(N):
            if bench.level[i] > FULL:
                assert bench.now_us < bench.until_us[i] <= lawful_us[i]
    # once the network is well again, the plant is as the agent wants it
    for _ in range(3):
        bench.settle()
        bench.run(("time", 2_000_000))
        bench.read()
    bench.settle()
    for i, slot in enumerate(bench.core.book.slots):
        assert (
            bench.local[i] or bench.level[i] == slot.value or (bench.level[i] <= FULL and slot.value <= FULL)
        )


def test_an_order_that_a_wake_overtook_is_superseded_and_the_wake_said_again() -> None:
    bench = Bench()
    bench.run(("command", NOW, 60_000, [(1, 1, 3, FULL)]))
    bench.run(("wake", 1, 1))
    assert len(bench.flying) == 2
    bench.deliver(1)
    assert word(bench.rows.pop().verdict) == "APPLIED"
    bench.deliver(0)  # the sleep comes last
    assert word(bench.rows.pop().verdict) == "SUPERSEDED"
    assert bench.level[1] == 3
    bench.settle()
    assert bench.level[1] == FULL


def test_a_repeated_command_has_no_effect_a_second_time() -> None:
    bench = Bench()
    bench.run(("command", NOW, 60_000, [(1, 1, 3, FULL)]))
    bench.settle()
    bench.run(("time", 30_000_000))
    bench.run(("renew", NOW, 60_000, True))
    bench.settle()
    until_us = bench.core.book.slots[1].until_us
    bench.run(("again", 0))
    assert not bench.flying
    assert bench.core.book.slots[1].until_us == until_us
    bench.run(("stop",))
    bench.settle()
    bench.run(("time", 1))
    bench.run(("command", NOW, 60_000, [(1, 1, 3, FULL)]))
    bench.run(("clear",))
    bench.rows.clear()
    bench.run(("again", 1))
    assert word(bench.rows[0].verdict) == "STOPPED"
    assert bench.level[1] == FULL


def test_renewals_do_not_outlast_the_longest_plan() -> None:
    bench = Bench()
    bench.run(("command", NOW, 60_000, [(1, 1, 3, FULL)]))
    bench.settle()
    for _ in range(4):
        bench.run(("time", LONGEST_PLAN_US // 4 - 1))
        bench.run(("renew", NOW, 60_000, True))
        bench.settle()
    assert bench.core.book.slots[1].until_us == START_US + LONGEST_PLAN_US
    bench.run(("time", 4))
    bench.settle()
    assert bench.level[1] == FULL


def test_a_renewal_that_names_a_later_plan_lasts_as_long_after_that() -> None:
    bench = Bench()
    bench.run(("command", NOW, 60_000, [(1, 1, 3, FULL)]))
    bench.settle()
    for _ in range(3):
        bench.run(("time", LONGEST_PLAN_US // 4))
        bench.run(("renew", NOW, 60_000, True))
        bench.settle()
    slot = bench.core.book.slots[1]
    planned_us, future_us = bench.now_us, bench.now_us + 10 * LONGEST_PLAN_US
    renewal = Renewal(bench.origin(*NOW), bench.core.digest(), 60_000, future_us)
    bench.carry(bench.core.renew(renewal, bench.now_us))
    assert slot.plan_end_us == planned_us + LONGEST_PLAN_US  # no plan is later than the report


def test_a_mere_extension_is_not_worth_a_report() -> None:
    bench = Bench()
    bench.run(("command", NOW, 60_000, [(1, 1, 3, FULL)]))
    bench.settle()
    bench.run(("time", 1_000_000))
    step = bench.core.renew(Renewal(bench.origin(*NOW), bench.core.digest(), 60_000), bench.now_us)
    assert step.sleep is not None
    assert not step.is_changed
    assert not bench.core.confirm(step.sleep, [True], bench.now_us).is_changed
    assert bench.core.confirm(step.sleep, [False], bench.now_us).is_changed


def test_a_cell_without_a_timer_sleeps_only_where_that_is_allowed_by_name() -> None:
    bench = Bench()
    bench.run(("command", NOW, 60_000, [(2, 1, 3, FULL)]))
    assert word(bench.rows[0].verdict) == "NO_DEAD_MAN"
    limits = RadioLimits(without_dead_man=frozenset({"c2"}))
    has, reading = bench.core.abilities, no_samples(bench.level, bench.local)
    core = RadioAgentCore("a", BOOT, has, limits, Durable(), reading)
    step = core.command(commands(Origin(1, BOOT, bench.now_us, "c"), (2, 1, 3, FULL)), bench.now_us)
    assert step.sleep is not None
    assert (step.sleep.place, step.sleep.until_us) == ([2], [0])
    with pytest.raises(ValueError, match="c9"):
        RadioAgentCore("a", BOOT, has, RadioLimits(without_dead_man=frozenset({"c9"})), Durable(), reading)
