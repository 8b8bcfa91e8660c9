"""Leadership of an agent as a gRPC service, the same for cells and sites: proto/quietcell/leader/v1/leader.proto."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc import aio
from quietcell.leader.v1 import leader_pb2, leader_pb2_grpc

from hw.adapters.wire import INSTANCE_BYTES, Candidate
from hw.agents.running import AgentRunner, log

SERVICE = leader_pb2.DESCRIPTOR.services_by_name["LeaderService"].full_name
MOST_NAME = 63  # of an identity
Caller = Callable[[Any, str], Awaitable[str]]


class LeaderServicer(leader_pb2_grpc.LeaderServiceServicer):
    """The RPCs over an agent's core and disk."""

    def __init__(self, runner: AgentRunner[Any, Any, Any], identity: Caller) -> None:
        """``identity`` names who calls, and aborts the call of one who may not."""
        self._runner, self._identity = runner, identity

    async def GetLeader(
        self, request: leader_pb2.GetLeaderRequest, context: Any
    ) -> leader_pb2.GetLeaderResponse:
        """Who leads."""
        await self._identity(context, "GetLeader")
        book = self._runner.core.book
        now = book.grants.stand(book.durable, self._runner.clock.monotonic_us())
        return leader_pb2.GetLeaderResponse(
            highest_epoch=now.highest_epoch, holder=now.holder, left_ms=now.left_ms
        )

    async def Grant(self, request: leader_pb2.GrantRequest, context: Any) -> leader_pb2.GrantResponse:
        """Grant leadership once it is on disk."""
        who = await self._identity(context, "Grant")
        await _check(request, who, context)
        runner, book = self._runner, self._runner.core.book
        asking = Candidate(request.leader_epoch, request.controller_id, request.instance_id)
        before, now_us = book.durable, runner.clock.monotonic_us()
        answer, durable = book.grants.ask(before, asking, request.term_ms, now_us)
        if durable is not before:
            book.change(durable)
            log.info("leadership of epoch %d is granted to %s", durable.highest_epoch, durable.granted_to)
        if answer.is_granted and book.is_dirty and not await runner.save():
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the grant is not on disk; look at the agent")
        return leader_pb2.GrantResponse(
            is_granted=answer.is_granted,
            highest_epoch=answer.highest_epoch,
            holder=answer.holder,
            left_ms=answer.left_ms,
        )

    async def GiveUp(self, request: leader_pb2.GiveUpRequest, context: Any) -> leader_pb2.GiveUpResponse:
        """End a grant."""
        who = await self._identity(context, "GiveUp")
        await _check(request, who, context)
        book = self._runner.core.book
        asking = Candidate(request.leader_epoch, request.controller_id, request.instance_id)
        book.grants.give_up(book.durable, asking)
        return leader_pb2.GiveUpResponse()


async def _check(request: leader_pb2.GrantRequest | leader_pb2.GiveUpRequest, who: str, context: Any) -> None:
    """A controller asks for itself only; without TLS nobody can be told apart."""
    controller_id = request.controller_id
    if not 0 < len(controller_id) <= MOST_NAME:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"controller_id: 1 to {MOST_NAME} characters")
    if len(request.instance_id) != INSTANCE_BYTES:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"instance_id: {INSTANCE_BYTES} bytes")
    role, _, name = who.partition("/")
    if role == "controller" and name != controller_id:
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, f"controller_id: it is {name}'s certificate")


def serve_leader(runner: AgentRunner[Any, Any, Any], identity: Caller, server: aio.Server) -> None:
    """Put the service into the server of an agent."""
    leader_pb2_grpc.add_LeaderServiceServicer_to_server(LeaderServicer(runner, identity), server)
