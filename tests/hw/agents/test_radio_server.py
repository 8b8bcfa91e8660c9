"""A real agent over loopback, with a plant that has timers of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from quietcell.ran.v1 import ran_pb2

from hw.adapters.radio import Inventory, Outcome, RejectCause, RenewalAnswer
from hw.adapters.wire import Hello
from hw.agents.disk import AgentDisk
from hw.agents.radio_server import SERVICE
from hw.ports import HostClock
from tests.hw.agents.peer import SOON_S, Peer, full, radio_agent, wakes
from tests.hw.agents.plants import FULL, MemoryRadio

APPLIED = (Outcome.APPLIED, RejectCause.NONE)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 6 * SOON_S))


def test_a_command_is_applied_renewed_and_woken(tmp_path: Path) -> None:
    async def work() -> None:
        async with radio_agent(tmp_path) as (_, plant, stub):
            peer = Peer(stub, 1)
            inventory = await peer.open()
            assert isinstance(inventory, Inventory)
            assert inventory.abilities.cell_id == ("c0", "c1", "c2", "c3")
            assert await peer.order((1, 1, 3, FULL), (2, 1, 2, FULL)) == [
                (1, 1, *APPLIED, 3),
                (2, 1, *APPLIED, 2),
            ]
            assert plant.level.tolist() == [1, 3, 2, 1]
            until = plant.until_us.copy()
            report = await peer.see(lambda r: r.commanded_level.tolist() == r.level.tolist() == [1, 3, 2, 1])
            assert (until[1:3] <= report.monotonic_us + 60_000_000).all()
            renewal = await peer.renew()
            answer = await peer.hear_a(RenewalAnswer)
            assert (answer.outcome, answer.cause) == APPLIED
            assert answer.active_digest == renewal.active_digest
            assert (plant.until_us[1:3] == renewal.origin.monotonic_us + 60_000_000).all()
            await peer.say(wakes(peer.origin(), (1, 2)))
            assert await peer.answers(1) == [(1, 2, *APPLIED, FULL)]
            await peer.renew(renewal.active_digest)
            assert (await peer.hear_a(RenewalAnswer)).cause == RejectCause.DIGEST_MISMATCH
            await peer.see(lambda r: r.level.tolist() == [1, 1, 2, 1])

    run(work())


def test_a_lease_that_is_not_renewed_ends_in_agent_and_plant(tmp_path: Path) -> None:
    async def work() -> None:
        async with radio_agent(tmp_path) as (_, plant, stub):
            peer = Peer(stub, 1)
            await peer.open()
            over_us = (
                peer.origin().monotonic_us + 300_000
            )  # what comes before it may be from before the order
            assert (await peer.order((1, 1, 3, FULL), term_ms=300))[0][2] == Outcome.APPLIED
            report = await peer.see(
                lambda r: r.monotonic_us >= over_us and r.commanded_level[1] == r.level[1] == FULL
            )
            assert full(plant)
            assert report.lease_left_ms.tolist() == [0, 0, 0, 0]
            assert (await peer.order((1, 1, 3, FULL), term_ms=300))[0][2] == Outcome.EXPIRED

    run(work())


def test_a_killed_agent_restores_service_before_it_has_a_new_boot(tmp_path: Path) -> None:
    async def work() -> None:
        plant = MemoryRadio(4, HostClock())
        async with radio_agent(tmp_path, plant) as (_, _, stub):
            peer = Peer(stub, 7)
            await peer.open()
            old = peer.origin()
        plant.level[:] = 3  # as a kill leaves it
        plant.orders.clear()
        async with radio_agent(tmp_path, plant) as (_, _, stub):
            assert plant.orders[0] == ([0, 1, 2, 3], [FULL] * 4, [0] * 4)
            lower = Peer(stub, 6)
            with pytest.raises(aio.AioRpcError, match=r"6 is below 7"):
                await lower.open()
            assert await lower.call.code() == grpc.StatusCode.FAILED_PRECONDITION
            peer = Peer(stub, 7)
            await peer.open()
            peer.origin = lambda: old  # type: ignore[method-assign]
            assert await peer.order((1, 1, 3, FULL)) == [
                (1, 1, Outcome.REJECTED, RejectCause.OTHER_BOOT, FULL)
            ]

    run(work())


def test_a_higher_epoch_replaces_the_stream_and_outranks_what_comes_late(tmp_path: Path) -> None:
    async def work() -> None:
        async with radio_agent(tmp_path) as (_, _, stub):
            first, second = Peer(stub, 1), Peer(stub, 2)
            await first.open()
            await second.open()
            with pytest.raises(aio.AioRpcError, match="epoch 2"):
                await first.hear_a(Inventory)
            assert await first.call.code() == grpc.StatusCode.ABORTED
            second.epoch = 1
            assert (await second.order((1, 1, 3, FULL)))[0][2:4] == (
                Outcome.REJECTED,
                RejectCause.LOWER_EPOCH,
            )
        assert AgentDisk(tmp_path, "a1").load(0).highest_epoch == 2

    run(work())


def test_stop_is_kept_over_a_restart_until_it_is_cleared_with_a_reason(tmp_path: Path) -> None:
    async def work() -> None:
        async with radio_agent(tmp_path) as (_, plant, stub):
            peer = Peer(stub, 1)
            await peer.open()
            await peer.order((1, 1, 3, FULL), (2, 1, 2, FULL))
            stopped = await stub.Stop(ran_pb2.StopRequest(author="op", reason="fire"))
            assert (stopped.woken, stopped.wake_ms, stopped.stop.is_set) == (2, 2000, True)
            assert full(plant)
        async with radio_agent(tmp_path) as (_, plant, stub):
            peer = Peer(stub, 9)
            await peer.open()
            refused = (Outcome.REJECTED, RejectCause.STOPPED, FULL)
            assert await peer.order((1, 1, 3, FULL)) == [(1, 1, *refused)]
            with pytest.raises(aio.AioRpcError, match="reason") as error:
                await stub.ClearStop(ran_pb2.ClearStopRequest(author="admin", reason=" "))
            assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            cleared = await stub.ClearStop(ran_pb2.ClearStopRequest(author="admin", reason="was a drill"))
            assert not cleared.stop.is_set
            await peer.see(lambda r: not r.is_stopped)
            assert (await peer.order((1, 2, 3, FULL)))[0][2] == Outcome.APPLIED

    run(work())


def test_wake_up_needs_no_leader_and_an_older_sleep_does_not_come_back(tmp_path: Path) -> None:
    async def work() -> None:
        async with radio_agent(tmp_path) as (_, plant, stub):
            peer = Peer(stub, 1)
            await peer.open()
            await peer.order((1, 1, 3, FULL), (2, 1, 2, FULL))
            before = peer.origin()
            woken = await stub.WakeUp(
                ran_pb2.WakeUpRequest(cell_id=["c1", "else"], author="op", reason="test")
            )
            assert (list(woken.cell_id), woken.wake_ms) == (["c1"], 2000)
            assert plant.level.tolist() == [1, 1, 2, 1]
            peer.origin = lambda: before  # type: ignore[method-assign]
            late = await peer.order((1, 2, 3, FULL), (1, 3, 3, FULL))
            assert [row[2:4] for row in late] == [
                (Outcome.REJECTED, RejectCause.REVISION_REUSED),
                (Outcome.SUPERSEDED, RejectCause.NONE),
            ]
            assert plant.level.tolist() == [1, 1, 2, 1]
            with pytest.raises(aio.AioRpcError, match="cell_id"):
                await stub.WakeUp(ran_pb2.WakeUpRequest(cell_id=["else"]))

    run(work())


def test_a_silent_plant_is_told_by_nan_and_by_refusals_and_is_tried_again(tmp_path: Path) -> None:
    async def work() -> None:
        async with radio_agent(tmp_path) as (_, plant, stub):
            plant.ends = [HostClock().unix_us() - 1_900_000]
            peer = Peer(stub, 1)
            await peer.open()
            await peer.see(lambda r: r.carried.shape[1] == 1 and bool((r.carried == 0.25).all()))
            await peer.order((1, 1, 2, FULL))
            plant.is_silent = True
            assert (await peer.order((2, 1, 2, FULL)))[0][2:4] == (
                Outcome.REJECTED,
                RejectCause.PLANT_FAILED,
            )
            await peer.see(lambda r: r.carried.shape[1] > 0 and bool(np.isnan(r.carried[:, -1]).all()))
            plant.is_silent = False
            await peer.see(lambda r: r.level.tolist() == [1, 2, 1, 1])
            assert (await peer.order((2, 2, 2, FULL)))[0][2] == Outcome.APPLIED

    run(work())


def test_a_sample_is_read_when_it_ends_however_seldom_the_plant_is_read(tmp_path: Path) -> None:
    async def work() -> None:
        clock = HostClock()
        plant = MemoryRadio(4, clock)
        began_us = clock.unix_us()
        plant.ends = [began_us - 400_000]  # the next one ends in 0.6 s
        asyncio.get_running_loop().call_later(0.599, plant.ends.append, began_us + 600_000)
        async with radio_agent(tmp_path, plant, read_every_ms=60_000) as (_, _, stub):
            peer = Peer(stub, 1)
            await peer.open()
            report = await peer.see(lambda r: r.measured_unix_us == began_us + 600_000)
            assert report.carried.shape[1] == 1
            assert clock.unix_us() < began_us + 1_500_000

    run(work())


def test_an_unlawful_message_ends_the_stream_and_wakes_whom_it_can(tmp_path: Path) -> None:
    async def work() -> None:
        async with radio_agent(tmp_path) as (_, plant, stub):
            peer = Peer(stub, 1)
            await peer.open()
            await peer.order((1, 1, 3, FULL))
            bad = ran_pb2.WakeBatch(cell=[1, 77])
            await peer.call.write(ran_pb2.ControlRequest(wakes=bad))
            with pytest.raises(aio.AioRpcError, match=r"wakes.cell: place 77"):
                await peer.hear_a(Inventory)
            assert await peer.call.code() == grpc.StatusCode.INVALID_ARGUMENT
            await asyncio.sleep(0.05)
            assert full(plant)

    run(work())


@pytest.mark.parametrize("first", [None, wakes])
def test_a_stream_begins_with_hello(tmp_path: Path, first: Any) -> None:
    async def work() -> None:
        async with radio_agent(tmp_path) as (_, _, stub):
            call = stub.Control()
            if first is None:
                await call.done_writing()
            else:
                await call.write(ran_pb2.ControlRequest(wakes=ran_pb2.WakeBatch()))
            assert await call.code() == grpc.StatusCode.INVALID_ARGUMENT

    run(work())


def test_who_watches_sees_each_change(tmp_path: Path) -> None:
    async def work() -> None:
        async with radio_agent(tmp_path) as (_, _, stub):
            watch = stub.WatchState(ran_pb2.WatchStateRequest())
            assert list((await watch.read()).states.level) == [FULL] * 4
            peer = Peer(stub, 1)
            await peer.open()
            await peer.order((3, 1, 2, FULL))
            async with asyncio.timeout(SOON_S):
                while list((await watch.read()).states.level) != [1, 1, 1, 2]:
                    continue
            watch.cancel()
            inventory = await stub.GetInventory(ran_pb2.GetInventoryRequest())
            assert inventory.highest_epoch == 1

    run(work())


def test_health_and_reflection_name_the_service(tmp_path: Path) -> None:
    async def work() -> None:
        async with (
            radio_agent(tmp_path) as (server, _, _),
            aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        ):
            health = health_pb2_grpc.HealthStub(channel)
            answer = await health.Check(health_pb2.HealthCheckRequest(service=SERVICE))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            listing = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
            await listing.write(reflection_pb2.ServerReflectionRequest(list_services=""))
            services = (await listing.read()).list_services_response.service
            assert SERVICE in [service.name for service in services]
            listing.cancel()

    run(work())


def test_the_end_of_an_agent_wakes_all(tmp_path: Path) -> None:
    async def work() -> None:
        async with radio_agent(tmp_path) as (_, plant, stub):
            peer = Peer(stub, 1)
            await peer.open()
            await peer.order((1, 1, 3, FULL), (2, 1, 2, FULL))
            assert not full(plant)
        assert (plant.level == FULL).all()

    run(work())


def test_hello_once(tmp_path: Path) -> None:
    async def work() -> None:
        async with radio_agent(tmp_path) as (_, _, stub):
            peer = Peer(stub, 1)
            await peer.open()
            await peer.say(Hello(1, "test", 0))
            with pytest.raises(aio.AioRpcError, match="hello"):
                await peer.hear_a(Inventory)

    run(work())
