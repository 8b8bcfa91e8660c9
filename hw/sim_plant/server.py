"""The simulated plant as a gRPC server on a Unix socket or a loopback port.

For simulation only: it asks nobody who they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeAlias, TypeVar

import grpc
import grpc.aio
from quietcell.plant.v1 import plant_pb2 as pb
from quietcell.plant.v1 import plant_pb2_grpc

from hw.ports import Clock
from hw.sim_plant import codec
from hw.sim_plant.addresses import CHANNEL_OPTIONS, check_local
from hw.sim_plant.errors import PlantError, PlantSilentError
from hw.sim_plant.plant import PlantSim

SILENCE_S = 3600.0  # longer than any deadline

R = TypeVar("R")
Context: TypeAlias = "grpc.aio.ServicerContext[object, object]"


class PlantServicer(plant_pb2_grpc.PlantServiceServicer):
    """Answers each request as of now. A silent plant lets the caller wait."""

    def __init__(self, plant: PlantSim, clock: Clock) -> None:
        self._plant, self._clock = plant, clock

    async def DescribeRadio(  # noqa: N802
        self, request: pb.DescribeRadioRequest, context: Context
    ) -> pb.DescribeRadioResponse:
        """See plant.proto, as for the others."""
        return await _answer(
            context, lambda: codec.abilities_to_message(self._plant.describe_radio(request.agent_id))
        )

    async def ApplyRadio(self, request: pb.ApplyRadioRequest, context: Context) -> pb.ApplyRadioResponse:  # noqa: N802
        """Set levels."""

        def apply() -> pb.ApplyRadioResponse:
            wanted = codec.radio_setting_of_message(request)
            done = self._plant.apply_radio(
                request.agent_id, wanted, request.number, self._clock.monotonic_us()
            )
            return pb.ApplyRadioResponse(done=done.tolist())

        return await _answer(context, apply)

    async def ReadRadio(self, request: pb.ReadRadioRequest, context: Context) -> pb.ReadRadioResponse:  # noqa: N802
        """Read radios."""

        def read() -> pb.ReadRadioResponse:
            now_us = self._clock.monotonic_us()
            return codec.radio_reading_to_message(
                self._plant.read_radio(request.agent_id, request.after_sample, now_us)
            )

        return await _answer(context, read)

    async def DescribePower(  # noqa: N802
        self, request: pb.DescribePowerRequest, context: Context
    ) -> pb.DescribePowerResponse:
        """Describe sites."""
        return await _answer(
            context, lambda: codec.sites_to_message(self._plant.describe_power(request.agent_id))
        )

    async def ApplyPower(self, request: pb.ApplyPowerRequest, context: Context) -> pb.ApplyPowerResponse:  # noqa: N802
        """Set sites."""

        def apply() -> pb.ApplyPowerResponse:
            wanted = codec.power_setting_of_message(request)
            done = self._plant.apply_power(
                request.agent_id, wanted, request.number, self._clock.monotonic_us()
            )
            return pb.ApplyPowerResponse(done=done.tolist())

        return await _answer(context, apply)

    async def ReadPower(self, request: pb.ReadPowerRequest, context: Context) -> pb.ReadPowerResponse:  # noqa: N802
        """Read sites."""

        def read() -> pb.ReadPowerResponse:
            now_us = self._clock.monotonic_us()
            return codec.power_reading_to_message(
                self._plant.read_power(request.agent_id, request.after_sample, now_us)
            )

        return await _answer(context, read)

    async def InjectFault(self, request: pb.InjectFaultRequest, context: Context) -> pb.InjectFaultResponse:  # noqa: N802
        """Inject or heal a fault; a silent plant takes it, too."""

        def inject() -> pb.InjectFaultResponse:
            fault = codec.fault_of_message(request)
            self._plant.inject(
                request.agent_id,
                fault,
                self._clock.monotonic_us(),
                heals=request.heals,
                cell_id=tuple(request.cell_id),
                share=request.share,
            )
            return pb.InjectFaultResponse()

        return await _answer(context, inject)


async def _answer(context: Context, work: Callable[[], R]) -> R:
    try:
        return work()
    except PlantError as error:
        return await _refuse(context, str(error))
    except PlantSilentError as error:
        await asyncio.sleep(SILENCE_S)
        return await _refuse(context, str(error))


def _refuse(context: Context, why: str) -> Awaitable[NoReturn]:
    return context.abort(grpc.StatusCode.INVALID_ARGUMENT, why)


async def start_server(plant: PlantSim, clock: Clock, address: str) -> tuple[grpc.aio.Server, str]:
    """Serve on ``unix:PATH`` or a loopback address; port 0 takes a free one. Returns the server and its address.

    Raises PlantError for any other address, and OSError where it cannot be bound.
    """
    check_local(address)
    server = grpc.aio.server(options=CHANNEL_OPTIONS)
    plant_pb2_grpc.add_PlantServiceServicer_to_server(PlantServicer(plant, clock), server)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"{address}: cannot be bound ({error}); is another plant running there?") from None
    await server.start()
    return server, address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"
