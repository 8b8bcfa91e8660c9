"""Heads of the controller's journal, kept by an agent: what was signed once cannot be unsaid.

They stand in a file beside the agent's state, one a line, as `quietcell audit verify --heads` reads it. The agent does
not judge them; whoever reads them checks the signatures.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import grpc
from grpc import aio
from quietcell.audit.v1 import audit_pb2, audit_pb2_grpc

from hw.agents.alone import Alone
from hw.security.limits import TokenBucket
from hw.security.signing import Signed

SERVICE = audit_pb2.DESCRIPTOR.services_by_name["HeadService"].full_name
MAX_HEADS = 500  # three weeks of hourly ones
MAX_BYTES = 1500  # of a head: all of them fit into a message
PER_S, AT_ONCE = 1 / 900, 24  # heads that are taken: nobody can push out what is kept in less than five days


class HeadServicer(audit_pb2_grpc.HeadServiceServicer):
    """The RPCs over a file."""

    def __init__(self, path: Path) -> None:
        self._path, self._alone = path, Alone()
        self._taken = TokenBucket(PER_S, AT_ONCE)

    async def KeepHead(self, request: audit_pb2.KeepHeadRequest, context: Any) -> audit_pb2.KeepHeadResponse:
        """Keeps one more head."""
        head = request.head
        if not head.content or head.ByteSize() > MAX_BYTES:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, f"head: it is empty or longer than {MAX_BYTES} bytes"
            )
        if not self._taken.take(time.monotonic()):
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "head: they come too often; wait an hour")
        signed = Signed(head.content, head.certificate, head.signature)
        try:
            kept = await self._alone.run(lambda: asyncio.to_thread(self._keep, signed))
        except OSError as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"head: it cannot be kept: {error}")
        return audit_pb2.KeepHeadResponse(kept=kept)

    async def ListHeads(
        self, request: audit_pb2.ListHeadsRequest, context: Any
    ) -> audit_pb2.ListHeadsResponse:
        """All heads that are kept."""
        found = await self._alone.run(lambda: asyncio.to_thread(self._read))
        return audit_pb2.ListHeadsResponse(
            heads=[
                audit_pb2.SignedHead(content=h.content, certificate=h.certificate, signature=h.signature)
                for h in found
            ]
        )

    def _read(self) -> list[Signed]:
        """What is kept; lines that a failing disk has damaged are left out."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            try:
                found.append(Signed.from_line(line))
            except ValueError:
                continue
        return found

    def _keep(self, signed: Signed) -> int:
        heads = [*self._read(), signed][-MAX_HEADS:]
        partial = self._path.with_name(f".{self._path.name}.partial")
        with partial.open("wb") as file:
            file.writelines(head.to_line() for head in heads)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._path)
        return len(heads)


def keep_heads_in(path: Path, server: aio.Server) -> None:
    """Put the service over a file into a server."""
    audit_pb2_grpc.add_HeadServiceServicer_to_server(HeadServicer(path), server)
