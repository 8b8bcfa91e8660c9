"""The power agent as a gRPC server: proto/quietcell/power/v1/power.proto over a core, a plant and a disk."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import grpc
import numpy as np
from quietcell.power.v1 import power_pb2, power_pb2_grpc

from hw.adapters import power_codec
from hw.adapters.power import SafeBatch
from hw.adapters.power_codec import PowerDown
from hw.adapters.power_report_codec import inventory_to, report_to
from hw.adapters.wire import BOOT_ID_BYTES
from hw.agents.calls import Calls
from hw.agents.control import Control
from hw.agents.durable import Disk
from hw.agents.power_core import PowerAgentCore, PowerLimits
from hw.agents.power_runner import PowerRunner, check_reading, safe_setting
from hw.agents.program import ProgramRules
from hw.agents.running import PLANT_TIMEOUT_S, Pace
from hw.agents.serving import AgentServer, Door, Patience, open_server
from hw.ports import Clock, PowerAbilities, PowerPlant

SERVICE = power_pb2.DESCRIPTOR.services_by_name["PowerAgentService"].full_name


class PowerDialect:
    """How a power agent reads requests."""

    def __init__(self, n_sites: int) -> None:
        self._n_sites = n_sites

    def decode(self, request: power_pb2.ControlRequest) -> PowerDown:
        """A message, or Hello. Raises ContractError."""
        return power_codec.from_request(request, self._n_sites)

    def is_urgent(self, message: PowerDown) -> bool:
        """Whether it leads to safe charging."""
        return isinstance(message, SafeBatch)

    def salvage(self, request: power_pb2.ControlRequest) -> list[int]:
        """Sites of an unlawful message that can be put on safe charging all the same."""
        sites: list[int] = power_codec.salvaged_sites(request, self._n_sites).tolist()
        return sites


class PowerServicer(power_pb2_grpc.PowerAgentServiceServicer):
    """The RPCs."""

    def __init__(self, runner: PowerRunner, door: Door) -> None:
        self._runner = runner
        self._calls = Calls(runner, runner.core.abilities.site_id, door)

    async def GetInventory(
        self, request: power_pb2.GetInventoryRequest, context: Any
    ) -> power_pb2.GetInventoryResponse:
        """Sites and what each can do."""
        await self._calls.identity(context, "GetInventory")
        return inventory_to(self._runner.core.inventory())

    async def Control(  # type: ignore[override]  # grpc.aio also takes a coroutine that writes
        self, request_iterator: AsyncIterator[power_pb2.ControlRequest], context: Any
    ) -> None:
        """The one stream of a leader."""
        who = await self._calls.identity(context, "Control")
        dialect = PowerDialect(self._runner.core.abilities.n_sites)
        closing = await Control(self._runner, dialect).run(request_iterator, context.write, who)
        if closing.code is not grpc.StatusCode.OK:
            await context.abort(closing.code, closing.text)

    async def WatchState(
        self, request: power_pb2.WatchStateRequest, context: Any
    ) -> AsyncIterator[power_pb2.WatchStateResponse]:
        """The state, now and after each change."""
        await self._calls.identity(context, "WatchState")
        async for _ in self._calls.changes(context):
            message = report_to(self._runner.state(), self._runner.stop_message())
            yield power_pb2.WatchStateResponse(header=message.header, states=message.states)

    async def ChargeSafely(
        self, request: power_pb2.ChargeSafelyRequest, context: Any
    ) -> power_pb2.ChargeSafelyResponse:
        """Sites to safe charging at once; answers with those that the plant confirmed."""
        who = await self._calls.identity(context, "ChargeSafely")
        places = await self._calls.places(request.site_id, "site_id", context)
        return power_pb2.ChargeSafelyResponse(site_id=await self._calls.wake(places, who, request.reason))

    async def Stop(self, request: power_pb2.StopRequest, context: Any) -> power_pb2.StopResponse:
        """Set the latch and put all sites on safe charging."""
        who = await self._calls.identity(context, "Stop")
        changed = sum(slot.is_leased for slot in self._runner.core.book.slots)
        await self._calls.stop(request.author, request.reason, who, context)
        return power_pb2.StopResponse(stop=self._runner.stop_message(), changed=changed)

    async def ClearStop(
        self, request: power_pb2.ClearStopRequest, context: Any
    ) -> power_pb2.ClearStopResponse:
        """Clear the latch."""
        who = await self._calls.identity(context, "ClearStop")
        await self._calls.clear_stop(request.author, request.reason, who, context)
        return power_pb2.ClearStopResponse(stop=self._runner.stop_message())


async def _to_safe_charging(plant: PowerPlant, clock: Clock) -> PowerAbilities:
    """Put all sites on safe charging, for as long as the plant has to be waited for, and again where it did not."""
    patience = Patience()
    while True:
        try:
            abilities = await asyncio.wait_for(plant.abilities(), PLANT_TIMEOUT_S)
            reading = await asyncio.wait_for(plant.read(0), PLANT_TIMEOUT_S)
            check_reading(reading, abilities.n_sites)
            setting = safe_setting(abilities, np.flatnonzero(~reading.local_control).tolist())
            patience.check(
                await asyncio.wait_for(plant.apply(setting, clock.monotonic_us()), PLANT_TIMEOUT_S)
            )
            return abilities
        except OSError as error:
            await patience.wait(error)


async def make_power(
    agent_id: str,
    plant: PowerPlant,
    disk: Disk,
    clock: Clock,
    limits: PowerLimits,
    pace: Pace,
    rules: ProgramRules,
) -> PowerRunner:
    """Put all sites on safe charging, and only then take a boot id."""
    durable = disk.load(clock.unix_us())
    abilities = await _to_safe_charging(plant, clock)
    core = PowerAgentCore(agent_id, os.urandom(BOOT_ID_BYTES), abilities, limits, durable, rules)
    return PowerRunner(core, plant, disk, clock, pace)


async def serve_power(
    agent_id: str,
    plant: PowerPlant,
    disk: Disk,
    clock: Clock,
    door: Door,
    limits: PowerLimits,
    pace: Pace,
    rules: ProgramRules,
) -> AgentServer:
    """Put all sites on safe charging, then serve."""
    runner = await make_power(agent_id, plant, disk, clock, limits, pace, rules)
    servicer = PowerServicer(runner, door)
    return await open_server(
        door,
        runner,
        lambda server: power_pb2_grpc.add_PowerAgentServiceServicer_to_server(servicer, server),
        SERVICE,
    )
