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
from hw.adapters.wire import BOOT_ID_BYTES, ContractError, checked_text
from hw.agents.control import Control
from hw.agents.core import Row, Step
from hw.agents.disk import AgentDisk
from hw.agents.radio_core import RadioAgentCore, RadioLimits
from hw.agents.radio_runner import RadioRunner, check_reading
from hw.agents.running import PLANT_TIMEOUT_S, Pace, log
from hw.agents.serving import AgentServer, Door, identity, open_server
from hw.agents.slot import APPLIED
from hw.ports import Clock, RadioAbilities, RadioPlant, RadioReading

SERVICE = ran_pb2.DESCRIPTOR.services_by_name["RanAgentService"].full_name
MOST_WATCHERS = 16
AGAIN_S = 1.0  # between attempts to reach the plant at the start


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
        self._door = door
        self._place = {name: i for i, name in enumerate(runner.core.abilities.cell_id)}

    async def GetInventory(
        self, request: ran_pb2.GetInventoryRequest, context: Any
    ) -> ran_pb2.GetInventoryResponse:
        """Cells and what each can do."""
        await identity(self._door, context, "GetInventory")
        return radio_codec.inventory_to(self._runner.core.inventory())

    async def Control(  # type: ignore[override]  # grpc.aio also takes a coroutine that writes
        self, request_iterator: AsyncIterator[ran_pb2.ControlRequest], context: Any
    ) -> None:
        """The one stream of a leader."""
        who = await identity(self._door, context, "Control")
        dialect = RadioDialect(len(self._place))
        closing = await Control(self._runner, dialect).run(request_iterator, context.write, who)
        if closing.code is not grpc.StatusCode.OK:
            await context.abort(closing.code, closing.text)

    async def WatchState(
        self, request: ran_pb2.WatchStateRequest, context: Any
    ) -> AsyncIterator[ran_pb2.WatchStateResponse]:
        """The state, now and after each change."""
        await identity(self._door, context, "WatchState")
        runner = self._runner
        if len(runner.watchers) >= MOST_WATCHERS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MOST_WATCHERS} watch already")
        changed = asyncio.Event()
        runner.watchers.add(changed)
        try:
            while True:
                changed.clear()
                message = radio_codec.report_to(runner.state(), runner.stop_message())
                yield ran_pb2.WatchStateResponse(header=message.header, states=message.states)
                await changed.wait()
        finally:
            runner.watchers.discard(changed)

    async def WakeUp(self, request: ran_pb2.WakeUpRequest, context: Any) -> ran_pb2.WakeUpResponse:
        """Cells to full service at once; answers with those that the plant confirmed."""
        who = await identity(self._door, context, "WakeUp")
        runner, core = self._runner, self._runner.core
        named = [self._place[name] for name in request.cell_id if name in self._place]
        if request.cell_id and not named:
            await context.abort(grpc.StatusCode.NOT_FOUND, "cell_id: none of them is a cell of this agent")
        places = sorted(set(named)) if request.cell_id else range(len(self._place))
        wake_ms = core.wake_ms(places)
        log.info("%s wakes %d cells: %.200s", who, len(places), request.reason)
        rows: list[Row] = []
        step = core.wake_places(places, runner.clock.monotonic_us())
        await asyncio.shield(runner.spawn(runner.carry(step, lambda done: rows.extend(done.rows))))
        woken = [core.abilities.cell_id[row.place] for row in rows if row.verdict == APPLIED]
        return ran_pb2.WakeUpResponse(cell_id=woken, wake_ms=wake_ms)

    async def Stop(self, request: ran_pb2.StopRequest, context: Any) -> ran_pb2.StopResponse:
        """Set the latch and wake all."""
        who = await identity(self._door, context, "Stop")
        runner, core = self._runner, self._runner.core
        asleep = core.asleep()
        wake_ms = core.wake_ms(asleep)
        log.warning("%s sets the stop latch: %.200s", who, request.reason)
        step = core.stop(
            request.author[:200], request.reason[:200], runner.clock.unix_us(), runner.clock.monotonic_us()
        )
        await asyncio.shield(runner.spawn(runner.carry(step, _unheard)))
        if core.book.is_dirty:
            await context.abort(
                grpc.StatusCode.INTERNAL,
                "all cells are woken, but the latch is not on disk: look at the agent",
            )
        return ran_pb2.StopResponse(stop=runner.stop_message(), woken=len(asleep), wake_ms=wake_ms)

    async def ClearStop(self, request: ran_pb2.ClearStopRequest, context: Any) -> ran_pb2.ClearStopResponse:
        """Clear the latch."""
        who = await identity(self._door, context, "ClearStop")
        try:
            reason, author = checked_text(request.reason, "reason"), checked_text(request.author, "author")
        except ContractError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        if not reason.strip():
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "reason: must say why the latch is cleared")
        log.warning("%s clears the stop latch: %.200s", who, reason)
        if not await self._runner.clear_stop(author, reason):
            await context.abort(grpc.StatusCode.INTERNAL, "the state is not on disk, so the latch stays set")
        self._runner.tell()
        return ran_pb2.ClearStopResponse(stop=self._runner.stop_message())


def _unheard(_: Step[int]) -> None:
    """Answers that nobody waits for."""


async def _to_full_service(plant: RadioPlant) -> tuple[RadioAbilities, RadioReading]:
    """Bring all cells to full service, for as long as the plant has to be waited for."""
    while True:
        try:
            abilities = await asyncio.wait_for(plant.abilities(), PLANT_TIMEOUT_S)
            reading = await asyncio.wait_for(plant.read(0), PLANT_TIMEOUT_S)
            check_reading(reading, abilities.n_cells, len(abilities.level_names))
            cells = np.flatnonzero(~reading.local_control)
            level = np.full(len(cells), abilities.full_service_level, np.uint8)
            await asyncio.wait_for(plant.apply(cells, level, np.zeros(len(cells), np.int64)), PLANT_TIMEOUT_S)
            reading = await asyncio.wait_for(plant.read(0), PLANT_TIMEOUT_S)
            check_reading(reading, abilities.n_cells, len(abilities.level_names))
            return abilities, reading
        except OSError as error:
            log.warning("plant cannot be reached, trying again: %s", error or type(error).__name__)
            await asyncio.sleep(AGAIN_S)


async def serve_radio(
    agent_id: str,
    plant: RadioPlant,
    disk: AgentDisk,
    clock: Clock,
    door: Door,
    limits: RadioLimits,
    pace: Pace,
) -> AgentServer:
    """Bring all cells to full service, only then take a boot id, and serve."""
    durable = disk.load(clock.unix_us())
    abilities, reading = await _to_full_service(plant)
    core = RadioAgentCore(agent_id, os.urandom(BOOT_ID_BYTES), abilities, limits, durable, reading)
    runner = RadioRunner(core, plant, disk, clock, pace)
    runner.take_samples(reading)
    servicer = RadioServicer(runner, door)
    return await open_server(
        door,
        runner,
        lambda server: ran_pb2_grpc.add_RanAgentServiceServicer_to_server(servicer, server),
        SERVICE,
    )
