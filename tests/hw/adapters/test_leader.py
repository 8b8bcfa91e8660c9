"""Asking an agent for its leadership over years: what becomes of the channel when the agent is away."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from quietcell.leader.v1 import leader_pb2, leader_pb2_grpc

from hw.adapters.dial import AgentRefused, AgentUnreachable, Dial
from hw.adapters.leader import LeaderClient


class Agent(leader_pb2_grpc.LeaderServiceServicer):
    """Nobody leads it; it refuses where it is told to."""

    refuses = False

    async def GetLeader(self, _request: Any, context: Any) -> leader_pb2.GetLeaderResponse:  # noqa: N802
        if self.refuses:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you")
        return leader_pb2.GetLeaderResponse(highest_epoch=7)


class Counted(Dial):
    """How often a channel was opened."""

    opened: list[int]

    def open(self) -> grpc.aio.Channel:
        self.opened.append(1)
        return super().open()


def test_an_agent_that_was_away_is_asked_over_a_new_channel() -> None:
    async def test() -> None:
        server, agent = grpc.aio.server(), Agent()
        port = server.add_insecure_port("127.0.0.1:0")
        leader_pb2_grpc.add_LeaderServiceServicer_to_server(agent, server)
        await server.start()
        dial = Counted("site-001", f"127.0.0.1:{port}")
        object.__setattr__(dial, "opened", [])
        async with LeaderClient(dial) as client:
            assert (await client.look(5.0)).highest_epoch == 7
            agent.refuses = True
            with pytest.raises(AgentRefused, match="not you"):
                await client.look(5.0)
            assert len(dial.opened) == 1  # it was reached
            await server.stop(0)
            for _ in range(3):
                with pytest.raises(AgentUnreachable):
                    await client.look(0.5)
            assert len(dial.opened) == 4
            server, agent.refuses = grpc.aio.server(), False
            server.add_insecure_port(f"127.0.0.1:{port}")
            leader_pb2_grpc.add_LeaderServiceServicer_to_server(agent, server)
            await server.start()
            assert (await client.look(5.0)).highest_epoch == 7
        await server.stop(0)

    asyncio.run(asyncio.wait_for(test(), 30))
