"""How a controller asks one agent for its leadership: proto/quietcell/leader/v1/leader.proto."""

from __future__ import annotations

from typing import Protocol

import grpc
from quietcell.leader.v1 import leader_pb2, leader_pb2_grpc

from hw.adapters.caller import Caller
from hw.adapters.dial import AgentError, AgentUnreachable, CertificateRefused, Dial
from hw.adapters.wire import Candidate, Leadership


class Voter(Protocol):
    """An agent that may grant leadership."""

    agent_id: str

    async def look(self, deadline_s: float) -> Leadership:
        """Ask who leads, which changes nothing. Raises AgentError."""
        ...

    async def grant(self, who: Candidate, term_ms: int, deadline_s: float) -> Leadership:
        """Ask for leadership. Raises AgentError."""
        ...

    async def give_up(self, who: Candidate, deadline_s: float) -> None:
        """Need it no more. Raises AgentError."""
        ...


class LeaderClient(Caller):
    """Calls to one agent over a channel that stays open while the agent is reached and takes its certificate.

    After that a new one is opened: it takes up replaced certificates, and no pause of the one that failed.
    """

    def __init__(self, dial: Dial) -> None:
        super().__init__(dial.open())
        self.agent_id, self._dial = dial.agent_id, dial
        self._agent = leader_pb2_grpc.LeaderServiceStub(self._channel)

    async def _failed(self, error: grpc.RpcError) -> AgentError:
        """What is said of an error. Raises AgentUnreachable where the credentials cannot be read."""
        said = self._dial.error(error)
        if isinstance(said, AgentUnreachable | CertificateRefused):
            before, self._channel = self._channel, self._dial.open()
            self._agent = leader_pb2_grpc.LeaderServiceStub(self._channel)
            await before.close()
        return said

    async def look(self, deadline_s: float) -> Leadership:
        """Ask who leads, which changes nothing. Raises AgentError."""
        try:
            answer = await self._agent.GetLeader(leader_pb2.GetLeaderRequest(), timeout=deadline_s)
        except grpc.RpcError as error:
            raise await self._failed(error) from error
        return Leadership(False, answer.highest_epoch, answer.holder, answer.left_ms)

    async def grant(self, who: Candidate, term_ms: int, deadline_s: float) -> Leadership:
        """Ask for leadership. Raises AgentError."""
        request = leader_pb2.GrantRequest(
            leader_epoch=who.epoch,
            controller_id=who.controller_id,
            term_ms=term_ms,
            instance_id=who.instance_id,
        )
        try:
            answer = await self._agent.Grant(request, timeout=deadline_s)
        except grpc.RpcError as error:
            raise await self._failed(error) from error
        return Leadership(answer.is_granted, answer.highest_epoch, answer.holder, answer.left_ms)

    async def give_up(self, who: Candidate, deadline_s: float) -> None:
        """Need it no more. Raises AgentError."""
        request = leader_pb2.GiveUpRequest(
            leader_epoch=who.epoch, controller_id=who.controller_id, instance_id=who.instance_id
        )
        try:
            await self._agent.GiveUp(request, timeout=deadline_s)
        except grpc.RpcError as error:
            raise await self._failed(error) from error
