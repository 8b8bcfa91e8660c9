"""Serves the journal of a controller that leads. Who may call is decided by the gate before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
from quietcell.replica.v1 import replica_pb2, replica_pb2_grpc

from hw.adapters.replica import Base, Source

SERVICE = replica_pb2.DESCRIPTOR.services_by_name["ReplicaService"].full_name


class ReplicaServer(replica_pb2_grpc.ReplicaServiceServicer):
    """The RPC over a source."""

    def __init__(self, source: Source) -> None:
        self._source = source

    async def Fetch(self, request: replica_pb2.FetchRequest, context: Any) -> replica_pb2.FetchResponse:
        """The appends that follow one."""
        try:
            found = await self._source.fetch(request.after, request.chain, cuts=request.cuts)
        except OSError as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        answer = replica_pb2.FetchResponse(has_parted=found.has_parted, appends=found.appends)
        if found.base is not None:
            answer.base.CopyFrom(_base_to(found.base))
        return answer


def _base_to(base: Base) -> replica_pb2.Base:
    runs = [
        replica_pb2.RunStart(run=run, append=append, began_unix_us=began_us, identity=identity)
        for run, append, began_us, identity in base.runs
    ]
    return replica_pb2.Base(append=base.append, chain=base.chain, state=base.state, runs=runs)


def serves_replica(source: Source) -> Callable[[grpc.aio.Server], None]:
    """Puts the service over a source into a server."""
    return lambda server: replica_pb2_grpc.add_ReplicaServiceServicer_to_server(ReplicaServer(source), server)
