"""The simulated plant as an agent sees it: the ports of hw/ports.py over gRPC."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import grpc
import grpc.aio
from quietcell.plant.v1 import plant_pb2 as pb
from quietcell.plant.v1 import plant_pb2_grpc

from hw.ports import (
    Bools,
    PowerAbilities,
    PowerReading,
    PowerSetting,
    RadioAbilities,
    RadioReading,
    RadioSetting,
)
from hw.sim_plant import codec
from hw.sim_plant.addresses import CHANNEL_OPTIONS
from hw.sim_plant.faults import Fault

DEADLINE_S = 2.0
BACK_OFF = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)

Q = TypeVar("Q")
R = TypeVar("R")


class PlantLink:
    """A connection to the plant process. It is made with the first request, again after each loss."""

    def __init__(self, address: str, deadline_s: float = DEADLINE_S) -> None:
        """``deadline_s``: a plant that has not answered then counts as unreachable."""
        self.address, self._deadline_s = address, deadline_s
        self._channel: grpc.aio.Channel | None = None
        self._stub: plant_pb2_grpc.PlantServiceAsyncStub | None = None

    async def close(self) -> None:
        """Close the connection; a later request opens it again."""
        if self._channel is not None:
            await self._channel.close()
        self._channel = self._stub = None

    @property
    def stub(self) -> plant_pb2_grpc.PlantServiceAsyncStub:
        """The plant's methods; inside a running event loop."""
        if self._stub is None:
            self._channel = grpc.aio.insecure_channel(self.address, options=(*CHANNEL_OPTIONS, *BACK_OFF))
            self._stub = plant_pb2_grpc.PlantServiceStub(self._channel)
        return self._stub

    async def call(self, method: Callable[..., Awaitable[R]], request: Q) -> R:
        """One request. Raises OSError when the plant cannot be reached, does not answer in time, or refuses."""
        try:
            return await method(request, timeout=self._deadline_s)
        except grpc.aio.AioRpcError as error:
            raise OSError(f"plant at {self.address}: {error.code().name}: {error.details()}") from None

    async def inject(
        self,
        agent_id: str,
        fault: Fault,
        *,
        heals: bool = False,
        cell_id: Sequence[str] = (),
        share: float = 0.0,
    ) -> None:
        """Inject a fault, or heal it, as hw.sim_plant.plant.PlantSim.inject has it."""
        request = pb.InjectFaultRequest(
            agent_id=agent_id, fault=pb.Fault.ValueType(fault), heals=heals, cell_id=cell_id, share=share
        )
        await self.call(self.stub.InjectFault, request)


class RadioPlantLink(PlantLink):
    """The radios of one agent; implements hw.ports.RadioPlant."""

    def __init__(self, address: str, agent_id: str, deadline_s: float = DEADLINE_S) -> None:
        super().__init__(address, deadline_s)
        self._agent_id = agent_id

    async def abilities(self) -> RadioAbilities:
        """What there is."""
        request = pb.DescribeRadioRequest(agent_id=self._agent_id)
        return codec.abilities_of_message(await self.call(self.stub.DescribeRadio, request))

    async def apply(self, setting: RadioSetting, number: int) -> Bools:
        """Set levels; see hw.ports.RadioPlant."""
        request = codec.radio_setting_to_message(self._agent_id, setting, number)
        return codec.done_of_message(await self.call(self.stub.ApplyRadio, request))

    async def read(self, after_sample: int) -> RadioReading:
        """State and samples; see hw.ports.RadioPlant."""
        request = pb.ReadRadioRequest(agent_id=self._agent_id, after_sample=after_sample)
        return codec.radio_reading_of_message(await self.call(self.stub.ReadRadio, request), after_sample)


class PowerPlantLink(PlantLink):
    """Site power of one agent; implements hw.ports.PowerPlant."""

    def __init__(self, address: str, agent_id: str, deadline_s: float = DEADLINE_S) -> None:
        super().__init__(address, deadline_s)
        self._agent_id = agent_id

    async def abilities(self) -> PowerAbilities:
        """What there is."""
        request = pb.DescribePowerRequest(agent_id=self._agent_id)
        return codec.sites_of_message(await self.call(self.stub.DescribePower, request))

    async def apply(self, setting: PowerSetting, number: int) -> Bools:
        """Set sites; see hw.ports.PowerPlant."""
        request = codec.power_setting_to_message(self._agent_id, setting, number)
        return codec.done_of_message(await self.call(self.stub.ApplyPower, request))

    async def read(self, after_sample: int) -> PowerReading:
        """State and samples; see hw.ports.PowerPlant."""
        request = pb.ReadPowerRequest(agent_id=self._agent_id, after_sample=after_sample)
        return codec.power_reading_of_message(await self.call(self.stub.ReadPower, request), after_sample)
