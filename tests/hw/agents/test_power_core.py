"""Setpoints by lease and the reserve that a site keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.adapters.power import OnBattery, SafeBatch, SetpointBatch
from hw.adapters.radio import Origin, Outcome, RejectCause, Renewal
from hw.agents.core import Row, Step
from hw.agents.durable import Durable, Position
from hw.agents.power_core import LEAST_EFFICIENCY, PowerAgentCore, PowerLimits, Setpoint
from hw.agents.program import StageOrder
from hw.ports import PowerAbilities, PowerReading

M = 2
BOOT = b"b" * 16
MINUTE_US = 60_000_000
RESERVE_WH, POWER_W = 1000.0, 6000.0
Answer = tuple[Outcome, RejectCause]
APPLIED = (Outcome.APPLIED, RejectCause.NONE)


class OneStage:
    """A program of one stage as soon as mains is absent."""

    def check(self, program: OnBattery) -> None:
        if program.back_s < 0:
            raise ValueError("back_s")

    def run(
        self, program: OnBattery, position: Position, mains: bool, soc: float, elapsed_s: float
    ) -> tuple[Position, StageOrder]:
        on_battery_s = 0.0 if mains else position.on_battery_s + elapsed_s
        ratio = 1.0 if mains else float(program.radio_ratio[0])
        return Position(-1 if mains else 0, on_battery_s), StageOrder(ratio, True)


def has_sites() -> PowerAbilities:
    each = np.ones(M)
    return PowerAbilities(
        ("s0", "s1"),
        each * POWER_W,
        each * POWER_W,
        each * 5000.0,
        each * RESERVE_WH,
        each * 9000.0,
        np.ones(M, np.bool_),
    )


def reading(
    stored_wh: list[float],
    is_safe: list[bool],
    *,
    mains: bool = True,
    local: tuple[bool, bool] = (False, False),
) -> PowerReading:
    column = np.array(stored_wh)[:, None]
    nothing = np.zeros((M, 1))
    return PowerReading(
        np.array(is_safe),
        np.zeros(M),
        np.array(local),
        1,
        np.array([0]),
        10_000,
        column / 5000.0,
        nothing,
        nothing,
        nothing,
        nothing,
        nothing,
        column,
        np.full((M, 1), mains),
    )


class Bench:
    """A core over a plant that does all at once."""

    def __init__(self, durable: Durable | None = None) -> None:
        self.now_us = 1_000 * MINUTE_US
        self.core = PowerAgentCore("p", BOOT, has_sites(), PowerLimits(), durable or Durable(), OneStage())
        self.rows: list[Row] = []
        self.is_safe = [True] * M
        self.disk: Durable | None = None

    def carry(self, step: Step[Setpoint | None]) -> Step[Setpoint | None]:
        self.rows += step.rows
        if step.persist is not None:
            self.disk = step.persist
            self.core.persisted(step.persist)
        for order in (step.wake, step.sleep):
            if order is not None:
                for i, value in zip(order.place, order.value, strict=True):
                    self.is_safe[i] = value is None
                self.carry(self.core.confirm(order, [True] * len(order.place), self.now_us))
        return step

    def read(self, stored_wh: float, **more: Any) -> None:
        self.now_us += 1
        seen = reading([stored_wh] * M, self.is_safe, **more)
        self.carry(self.core.observe(seen, self.now_us, self.now_us, self.now_us))

    def origin(self, epoch: int = 1) -> Origin:
        return Origin(epoch, BOOT, self.now_us, "c")

    def order(
        self, revision: int, battery_w: float, import_w: float = 9000.0, *programs: OnBattery
    ) -> Answer:
        """A setpoint for site 0."""
        self.rows.clear()
        batch = SetpointBatch(
            self.origin(),
            "plan",
            b"",
            60_000,
            np.array([0]),
            np.array([revision], np.uint64),
            np.array([battery_w]),
            np.array([import_w]),
            np.zeros(1, np.uint8),
            programs,
        )
        self.carry(self.core.command(batch, self.now_us))
        return tuple(self.rows[0].verdict)

    @property
    def value(self) -> Setpoint | None:
        return self.core.book.slots[0].value


def program(revision: int, back_s: float = 60.0) -> OnBattery:
    one = np.ones(1)
    return OnBattery(0, revision, one, one, one * 0.5, np.ones(1, np.bool_), back_s)


def test_a_setpoint_holds_by_lease_and_falls_back_to_safe_charging() -> None:
    bench = Bench()
    bench.read(4000.0)
    assert bench.order(1, 3000.0) == APPLIED
    assert bench.is_safe == [False, True]
    digest = bench.core.digest()
    bench.now_us += MINUTE_US // 2
    bench.read(3900.0)
    step = bench.carry(bench.core.renew(Renewal(bench.origin(), digest, 60_000), bench.now_us))
    assert step.sleep is not None
    bench.now_us += MINUTE_US - 1
    bench.carry(bench.core.tick(bench.now_us))
    assert bench.value == Setpoint(3000.0, 9000.0)
    bench.now_us += 1
    bench.carry(bench.core.tick(bench.now_us))
    assert (bench.value, bench.is_safe) == (None, [True, True])
    assert bench.order(1, 3000.0) == (Outcome.EXPIRED, RejectCause.NONE)


def test_safe_charging_is_never_refused() -> None:
    bench = Bench()
    bench.read(4000.0)
    bench.order(5, 3000.0)
    batch = SafeBatch(Origin(0, b"", 0, "x"), np.array([0]), np.array([1], np.uint64), np.zeros(1, np.uint8))
    bench.rows.clear()
    bench.carry(bench.core.safe_batch(batch, bench.now_us))
    assert (bench.value, tuple(bench.rows[0].verdict)) == (None, APPLIED)
    assert bench.order(5, 3000.0) == (Outcome.SUPERSEDED, RejectCause.NONE)


@pytest.mark.parametrize("battery_w", [6000.1, -6000.1])
def test_what_the_pack_cannot_do_is_invalid(battery_w: float) -> None:
    bench = Bench()
    bench.read(4000.0)
    assert bench.order(1, battery_w) == (Outcome.REJECTED, RejectCause.INVALID)


def test_below_the_reserve_only_charging_at_full_is_taken() -> None:
    limit = (Outcome.REJECTED, RejectCause.SITE_LIMIT)
    bench = Bench()
    assert bench.order(1, 100.0) == limit, "nothing is known yet"
    bench.read(999.0)
    assert [bench.order(2, w) for w in (100.0, 0.0, -5999.0)] == [limit, limit, limit][:1] + [
        (Outcome.REJECTED, RejectCause.REVISION_REUSED)
    ] * 2
    assert bench.order(3, -6000.0, 8999.0) == limit
    assert bench.order(4, -6000.0) == APPLIED
    bench.read(np.nan)
    assert bench.order(5, 0.0) == limit


def test_a_site_falls_back_by_itself_when_its_reserve_is_near() -> None:
    bench = Bench()
    bench.read(1300.0)
    assert bench.order(1, 6000.0) == APPLIED
    bench.read(1100.0)
    assert bench.value is None
    assert bench.core.book.slots[0].verdict.cause == RejectCause.SITE_LIMIT


def test_a_renewal_on_an_old_reading_does_not_drain_a_site() -> None:
    bench = Bench()
    bench.read(1300.0)
    assert bench.order(1, 6000.0) == APPLIED
    for _ in range(4):
        bench.now_us += MINUTE_US // 2
        bench.carry(bench.core.renew(Renewal(bench.origin(), bench.core.digest(), 60_000), bench.now_us))
    assert bench.value is None


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("order"), st.floats(-POWER_W, POWER_W)),
            st.tuples(st.just("renew"), st.just(0.0)),
            st.tuples(st.just("pass"), st.floats(0.1, 59.0)),
            st.tuples(st.just("read"), st.just(0.0)),
        ),
        min_size=4,
        max_size=40,
    )
)
def test_no_sequence_takes_the_stored_energy_below_the_reserve(run: list[tuple[str, float]]) -> None:
    """The plant loses as much as LEAST_EFFICIENCY allows and is not always heard."""
    bench = Bench()
    stored_wh, revision = 1200.0, 0
    bench.read(stored_wh)
    for kind, number in run:
        if kind == "order":
            revision += 1
            bench.order(revision, number)
        elif kind == "renew":
            bench.carry(bench.core.renew(Renewal(bench.origin(), bench.core.digest(), 60_000), bench.now_us))
        elif kind == "read":
            bench.read(stored_wh)
        else:
            until_us = bench.core.book.slots[0].until_us
            held_s = min(number, max(0.0, (until_us - bench.now_us) / 1e6)) if bench.value else 0.0
            battery_w = bench.value.battery_w if bench.value else 0.0
            stored_wh -= max(battery_w, 0.0) / LEAST_EFFICIENCY * held_s / 3600
            bench.now_us += int(number * 1e6)
            bench.carry(bench.core.tick(bench.now_us))
        assert stored_wh >= RESERVE_WH - 1e-6


def test_in_a_mains_failure_the_program_runs_and_is_kept_on_disk() -> None:
    bench = Bench()
    bench.read(4000.0)
    bench.order(1, 0.0, 9000.0, program(1))
    assert bench.disk is not None
    assert bench.disk.programs["s0"].revision == 1
    bench.order(2, 0.0, 9000.0, program(1), program(2, back_s=-1.0))
    assert bench.disk.programs["s0"].revision == 1
    bench.read(900.0, mains=False)
    assert bench.disk.positions["s0"].stage == 0
    assert bench.core.stage_orders([0, 1])[0].tolist() == [0.5, 1.0]
    assert bench.order(3, 2000.0) == APPLIED, "without mains the plant discharges by itself"
    again = Bench(bench.disk)
    again.now_us = bench.now_us + MINUTE_US
    again.read(900.0, mains=False)
    position = again.core.book.durable.positions["s0"]
    assert again.core._programs.stage(0) == position.stage == 0
    again.read(900.0, mains=True)
    assert again.disk is not None
    assert again.disk.positions["s0"].stage == -1
    assert again.value is None


def test_stop_puts_all_on_safe_charging_and_takes_no_program() -> None:
    bench = Bench()
    bench.read(4000.0)
    bench.order(1, 3000.0)
    bench.carry(bench.core.stop("op", "why", 0, bench.now_us))
    assert bench.value is None
    bench.now_us += 1
    assert bench.order(9, 3000.0, 9000.0, program(1)) == (Outcome.REJECTED, RejectCause.STOPPED)
    assert bench.disk is not None
    assert bench.disk.programs == {}


def test_local_control_wins() -> None:
    bench = Bench()
    bench.read(4000.0)
    bench.order(1, 3000.0)
    bench.read(4000.0, local=(True, False))
    assert bench.value is None
    assert bench.order(2, 3000.0) == (Outcome.REJECTED, RejectCause.LOCAL_CONTROL)
