"""With a lost journal the epoch comes from the agents, of either kind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
import pytest
from quietcell.power.v1 import power_pb2, power_pb2_grpc

from controller.live.first_epoch import first_epoch
from hw.adapters.dial import Dial
from tests.hw.adapters.agent_double import AgentDouble, run, serving


class PowerDouble(power_pb2_grpc.PowerAgentServiceServicer):
    """A power agent without sites that has seen a leader."""

    def __init__(self, highest_epoch: int) -> None:
        self.highest_epoch = highest_epoch

    async def GetInventory(self, request: Any, context: Any) -> power_pb2.GetInventoryResponse:  # noqa: N802
        return power_pb2.GetInventoryResponse(
            agent_id="power-001", agent_boot_id=bytes(16), highest_epoch=self.highest_epoch
        )


@asynccontextmanager
async def serving_power(highest_epoch: int) -> AsyncIterator[Dial]:
    server = grpc.aio.server()
    power_pb2_grpc.add_PowerAgentServiceServicer_to_server(PowerDouble(highest_epoch), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield Dial("power-001", f"127.0.0.1:{port}")
    finally:
        await server.stop(0)


@pytest.mark.parametrize(("radio", "power", "expected"), [(4, 9, 10), (9, 4, 10), (0, 0, 1)])
def test_it_is_above_what_agents_of_either_kind_have_seen(radio: int, power: int, expected: int) -> None:
    async def test() -> None:
        double = AgentDouble()
        double.highest_epoch = radio
        async with serving(double) as dial, serving_power(power) as of_power:
            assert await first_epoch([dial], [of_power, Dial("power-002", "127.0.0.1:1")]) == expected

    run(test())


def test_without_any_agent_it_is_the_first() -> None:
    async def test() -> None:
        assert await first_epoch([], []) == 1

    run(test())
