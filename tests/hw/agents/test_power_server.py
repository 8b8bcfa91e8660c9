"""A real power agent over loopback."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grpc import aio
from quietcell.power.v1 import power_pb2, power_pb2_grpc

from hw.adapters import power_codec
from hw.adapters.power import PowerAnswers, PowerInventory, PowerReport, SetpointBatch
from hw.adapters.radio import Origin, Outcome, RejectCause, Renewal, RenewalAnswer
from hw.adapters.wire import Hello
from hw.agents.disk import AgentDisk
from hw.agents.power_core import PowerLimits
from hw.agents.power_server import serve_power
from hw.agents.running import Pace
from hw.agents.serving import Door
from hw.ports import Bools, HostClock, PowerAbilities, PowerReading, PowerSetting
from tests.hw.agents.test_power_core import OneStage, has_sites, program, reading

SOON_S = 20.0


class MemoryPower:
    """Two sites with timers of their own."""

    def __init__(self) -> None:
        self.clock = HostClock()
        self.is_safe = np.array([False, False])  # as a killed agent left them
        self.until_us = np.zeros(2, np.int64)
        self.mains = True
        self.last: PowerSetting | None = None

    async def abilities(self) -> PowerAbilities:
        return has_sites()

    async def apply(self, setting: PowerSetting, number: int) -> Bools:
        self.last = setting
        self.is_safe[setting.site] = setting.is_safe
        self.until_us[setting.site] = setting.until_us
        return np.ones(len(setting.site), np.bool_)

    async def read(self, after_sample: int) -> PowerReading:
        due = (self.until_us > 0) & (self.until_us <= self.clock.monotonic_us())
        self.is_safe[due] = True
        return reading([4000.0, 4000.0], self.is_safe.tolist(), mains=self.mains)


async def hear(call: Any, kind: type) -> Any:
    """The next message of a kind."""
    async with asyncio.timeout(SOON_S):
        while not isinstance(message := power_codec.from_response(await call.read()), kind):
            continue
    return message


def test_setpoints_programs_safe_charging_and_stop(tmp_path: Path) -> None:
    async def work() -> None:
        plant, disk = MemoryPower(), AgentDisk(tmp_path, "p1")
        pace = Pace(report_every_ms=1000, read_every_ms=50)
        server = await serve_power(
            "p1", plant, disk, plant.clock, Door("127.0.0.1:0"), PowerLimits(), pace, OneStage()
        )
        assert plant.is_safe.all(), "safe charging comes before the first message"
        async with aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            stub: Any = power_pb2_grpc.PowerAgentServiceStub(channel)
            call = stub.Control()
            await call.write(power_codec.to_request(Hello(1, "c", 200)))
            assert (await hear(call, PowerInventory)).abilities.site_id == ("s0", "s1")
            report = await hear(call, PowerReport)
            while not report.soc.shape[1]:
                report = await hear(call, PowerReport)

            async def order(revision: int) -> tuple[int, int]:
                origin = Origin(1, report.boot_id, report.monotonic_us, "c")
                one = np.ones(1)
                batch = SetpointBatch(
                    origin,
                    "p",
                    b"",
                    60_000,
                    np.array([0]),
                    np.array([revision], np.uint64),
                    one * 3000,
                    one * 9e9,
                    np.zeros(1, np.uint8),
                    (program(1),),
                )
                await call.write(power_codec.to_request(batch))
                answer = await hear(call, PowerAnswers)
                return int(answer.outcome[0]), int(answer.cause[0])

            assert await order(1) == (Outcome.APPLIED, RejectCause.NONE)
            assert plant.last is not None
            assert (plant.last.battery_w[0], plant.last.import_limit_w[0]) == (3000.0, 9000.0)
            assert plant.is_safe.tolist() == [False, True]
            while not (report.is_leased[0] and report.program_revision[0] == 1):
                report = await hear(call, PowerReport)
            origin = Origin(1, report.boot_id, report.monotonic_us, "c")
            await call.write(power_codec.to_request(Renewal(origin, report.active_digest, 60_000)))
            assert (await hear(call, RenewalAnswer)).outcome == Outcome.APPLIED
            plant.mains = False
            while report.program_stage[0] != 0:
                report = await hear(call, PowerReport)
            plant.mains = True
            safe = await stub.ChargeSafely(power_pb2.ChargeSafelyRequest(site_id=["s0"], author="op"))
            assert list(safe.site_id) == ["s0"]
            assert plant.is_safe.all()
            while report.is_leased[0]:
                report = await hear(call, PowerReport)
            assert await order(3) == (Outcome.APPLIED, RejectCause.NONE)
            stopped = await stub.Stop(power_pb2.StopRequest(author="op", reason="test"))
            assert (stopped.changed, stopped.stop.is_set, plant.is_safe.all()) == (1, True, True)
            assert await order(9) == (Outcome.REJECTED, RejectCause.STOPPED)
            with pytest.raises(aio.AioRpcError, match="reason"):
                await stub.ClearStop(power_pb2.ClearStopRequest(author="a"))
            await stub.ClearStop(power_pb2.ClearStopRequest(author="a", reason="over"))
            state = await stub.WatchState(power_pb2.WatchStateRequest()).read()
            assert (state.states.stop.is_set, state.states.stop.reason) == (False, "over")
            await call.write(power_pb2.ControlRequest())
            with pytest.raises(aio.AioRpcError, match="none of"):
                await hear(call, PowerInventory)
        await server.close()
        disk.close()

    asyncio.run(asyncio.wait_for(work(), 6 * SOON_S))
