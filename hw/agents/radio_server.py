"""The radio agent as a gRPC server: proto/quietcell/ran/v1/ran.proto over a core, a plant and a disk."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import grpc
import numpy as np
from quietcell.ran.v1 import ran_pb2, ran_pb2_grpc

from hw.adapters import radio_codec
from hw.adapters.radio import WakeBatch
from hw.adapters.radio_codec import Down
from hw.adapters.radio_report_codec import report_to
from hw.adapters.wire import BOOT_ID_BYTES
from hw.agents.calls import Calls
from hw.agents.control import Control
from hw.agents.durable import Disk
from hw.agents.radio_core import RadioAgentCore, RadioLimits
from hw.agents.radio_runner import RadioRunner, check_reading
from hw.agents.running import PLANT_TIMEOUT_S, Pace
from hw.agents.serving import AgentServer, Door, Patience, open_server
from hw.ports import Clock, RadioAbilities, RadioPlant, RadioReading, RadioSetting

SERVICE = ran_pb2.DESCRIPTOR.services_by_name["RanAgentService"].full_name


class RadioDialect:
    """How a radio agent reads requests."""

    def __init__(self, n_cells: int) -> None:
        self._n_cells = n_cells

    def decode(self, request: ran_pb2.ControlRequest) -> Down:
        """A message, or Hello. Raises ContractError."""
        return radio_codec.from_request(request, self._n_cells)

    def is_urgent(self, message: Down) -> bool:
        """Whether it wakes."""
        return isinstance(message, WakeBatch)

    def salvage(self, request: ran_pb2.ControlRequest) -> list[int]:
        """Cells of an unlawful message that can be woken all the same."""
        cells: list[int] = radio_codec.salvaged_wakes(request, self._n_cells).tolist()
        return cells


class RadioServicer(ran_pb2_grpc.RanAgentServiceServicer):
    """The RPCs."""

    def __init__(self, runner: RadioRunner, door: Door) -> None:
        self._runner = runner
        self._calls = Calls(runner, runner.core.abilities.cell_id, door)

    async def GetInventory(
        self, request: ran_pb2.GetInventoryRequest, context: Any
    ) -> ran_pb2.GetInventoryResponse:
        """Cells and what each can do."""
        await self._calls.identity(context, "GetInventory")
        return radio_codec.inventory_to(self._runner.core.inventory())

    async def Control(  # type: ignore[override]  # grpc.aio also takes a coroutine that writes
        self, request_iterator: AsyncIterator[ran_pb2.ControlRequest], context: Any
    ) -> None:
        """The one stream of a leader."""
        who = await self._calls.identity(context, "Control")
        dialect = RadioDialect(self._runner.core.abilities.n_cells)
        closing = await Control(self._runner, dialect).run(request_iterator, context.write, who)
        if closing.code is not grpc.StatusCode.OK:
            await context.abort(closing.code, closing.text)

    async def WatchState(
        self, request: ran_pb2.WatchStateRequest, context: Any
    ) -> AsyncIterator[ran_pb2.WatchStateResponse]:
        """The state, now and after each change."""
        await self._calls.identity(context, "WatchState")
        async for _ in self._calls.changes(context):
            message = report_to(self._runner.state(), self._runner.stop_message())
            yield ran_pb2.WatchStateResponse(header=message.header, states=message.states)

    async def WakeUp(self, request: ran_pb2.WakeUpRequest, context: Any) -> ran_pb2.WakeUpResponse:
        """Cells to full service at once; answers with those that the plant confirmed."""
        who = await self._calls.identity(context, "WakeUp")
        places = await self._calls.places(request.cell_id, "cell_id", context)
        wake_ms = self._runner.core.wake_ms(places)
        woken = await self._calls.wake(places, who, request.reason)
        return ran_pb2.WakeUpResponse(cell_id=woken, wake_ms=wake_ms)

    async def Stop(self, request: ran_pb2.StopRequest, context: Any) -> ran_pb2.StopResponse:
        """Set the latch and wake all."""
        who = await self._calls.identity(context, "Stop")
        asleep = self._runner.core.asleep()
        wake_ms = self._runner.core.wake_ms(asleep)
        await self._calls.stop(request.author, request.reason, who, context)
        stop = self._runner.stop_message()
        return ran_pb2.StopResponse(stop=stop, woken=len(asleep), wake_ms=wake_ms)

    async def ClearStop(self, request: ran_pb2.ClearStopRequest, context: Any) -> ran_pb2.ClearStopResponse:
        """Clear the latch."""
        who = await self._calls.identity(context, "ClearStop")
        await self._calls.clear_stop(request.author, request.reason, who, context)
        return ran_pb2.ClearStopResponse(stop=self._runner.stop_message())


async def _to_full_service(plant: RadioPlant, clock: Clock) -> tuple[RadioAbilities, RadioReading]:
    """Bring all cells to full service, for as long as the plant has to be waited for, and again where it did not."""
    patience = Patience()
    while True:
        try:
            abilities = await asyncio.wait_for(plant.abilities(), PLANT_TIMEOUT_S)
            reading = await asyncio.wait_for(plant.read(0), PLANT_TIMEOUT_S)
            check_reading(reading, abilities.n_cells, len(abilities.level_names))
            cells = np.flatnonzero(~reading.local_control)
            level = np.full(len(cells), abilities.full_service_level, np.uint8)
            setting = RadioSetting(
                cells, level, np.zeros(len(cells), np.int64), np.zeros(len(cells), np.bool_)
            )
            patience.check(
                await asyncio.wait_for(plant.apply(setting, clock.monotonic_us()), PLANT_TIMEOUT_S)
            )
            reading = await asyncio.wait_for(plant.read(0), PLANT_TIMEOUT_S)
            check_reading(reading, abilities.n_cells, len(abilities.level_names))
            return abilities, reading
        except OSError as error:
            await patience.wait(error)


async def make_radio(
    agent_id: str, plant: RadioPlant, disk: Disk, clock: Clock, limits: RadioLimits, pace: Pace
) -> RadioRunner:
    """Bring all cells to full service, and only then take a boot id."""
    durable = disk.load(clock.unix_us())
    abilities, reading = await _to_full_service(plant, clock)
    core = RadioAgentCore(agent_id, os.urandom(BOOT_ID_BYTES), abilities, limits, durable, reading)
    runner = RadioRunner(core, plant, disk, clock, pace)
    runner.take_samples(reading)
    return runner


async def serve_radio(
    agent_id: str,
    plant: RadioPlant,
    disk: Disk,
    clock: Clock,
    door: Door,
    limits: RadioLimits,
    pace: Pace,
) -> AgentServer:
    """Bring all cells to full service, then serve."""
    runner = await make_radio(agent_id, plant, disk, clock, limits, pace)
    servicer = RadioServicer(runner, door)
    return await open_server(
        door,
        runner,
        lambda server: ran_pb2_grpc.add_RanAgentServiceServicer_to_server(servicer, server),
        SERVICE,
    )
