"""Asks a controller how it stands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import grpc
import grpc.aio
from quietcell.control.v1 import control_pb2, control_pb2_grpc

from hw.adapters.caller import Caller
from hw.adapters.control import (
    AlarmStatus,
    CellExplanation,
    CellQuery,
    CellStatus,
    SavingsStatus,
    SiteQuery,
    SiteStatus,
    Status,
)
from hw.adapters.control_codec import alarm_from, cell_from, explanation_from, savings_from, status_from
from hw.adapters.site_codec import site_from
from hw.adapters.wire import MAX_MESSAGE_BYTES

A = TypeVar("A")
DEADLINE_S = 5.0
LATCH_DEADLINE_S = 10.0  # the core takes it in between two ticks
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}


class RefusedByControllerError(ConnectionError):
    """A controller was reached and does not do what it was asked."""


class ControlClient(Caller):
    """A channel to one controller. All calls raise ConnectionError that says why there is no answer."""

    def __init__(self, listen: str, credentials: Callable[[], grpc.ChannelCredentials] | None) -> None:
        """``listen``: where the controller listens; None: without TLS, on loopback."""
        host, colon, port = listen.rpartition(":")
        self._address = listen if listen.startswith("unix:") else _ANYWHERE.get(host, host) + colon + port
        options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES), ("grpc.enable_retries", 0)]
        if credentials is None:
            channel = grpc.aio.insecure_channel(self._address, options=options)
        else:
            channel = grpc.aio.secure_channel(self._address, credentials(), options=options)
        super().__init__(channel)
        self._stub = control_pb2_grpc.ControlServiceStub(self._channel)

    async def status(self) -> Status:
        """How it stands."""
        answer = await self._ask(self._stub.GetStatus(control_pb2.GetStatusRequest(), timeout=DEADLINE_S))
        return status_from(answer.status)

    async def watch(self) -> AsyncIterator[Status]:
        """How it stands now and after each tick. No deadline."""
        try:
            async for answer in self._stub.WatchStatus(control_pb2.WatchStatusRequest()):
                yield status_from(answer.status)
        except grpc.RpcError as error:
            raise self._error(error) from error

    async def cells(self, query: CellQuery) -> AsyncIterator[CellStatus]:
        """Cells, page after page, in the order of the cell table."""
        request = control_pb2.ListCellsRequest(
            cell_id=query.names,
            agent_id=query.agent_id,
            only_resting=query.only_resting,
            only_stuck=query.only_stuck,
            page_size=query.page_size,
            page_token=str(query.first or ""),
        )
        async for answer in self._pages(self._stub.ListCells, request):
            for cell in answer.cells:
                yield cell_from(cell)

    async def explain(self, name: str) -> CellExplanation:
        """Why a cell was planned as it was."""
        request = control_pb2.ExplainCellRequest(cell_id=name)
        return explanation_from(await self._ask(self._stub.ExplainCell(request, timeout=DEADLINE_S)))

    async def sites(self, query: SiteQuery) -> AsyncIterator[SiteStatus]:
        """Sites with power, page after page, in the order of their names."""
        request = control_pb2.ListSitesRequest(
            site_id=query.names,
            agent_id=query.agent_id,
            only_safe=query.only_safe,
            page_size=query.page_size,
            page_token=str(query.first or ""),
        )
        async for answer in self._pages(self._stub.ListSites, request):
            for site in answer.sites:
                yield site_from(site)

    async def _pages(self, call: Any, request: Any) -> AsyncIterator[Any]:
        """The answers to a request for a list, page after page."""
        while True:
            answer = await self._ask(call(request, timeout=DEADLINE_S))
            yield answer
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    async def alarms(self, *, history: bool) -> list[AlarmStatus]:
        """Alarms that stand, or those that are over."""
        request = control_pb2.ListAlarmsRequest(history=history)
        answer = await self._ask(self._stub.ListAlarms(request, timeout=DEADLINE_S))
        return [alarm_from(alarm) for alarm in answer.alarms]

    async def savings(self) -> SavingsStatus:
        """What acting saves."""
        request = control_pb2.GetSavingsRequest()
        return savings_from(await self._ask(self._stub.GetSavings(request, timeout=DEADLINE_S)))

    async def acknowledge(self, number: int, author: str) -> AlarmStatus:
        """Note that somebody has seen an alarm."""
        request = control_pb2.AcknowledgeAlarmRequest(number=number, author=author)
        answer = await self._ask(self._stub.AcknowledgeAlarm(request, timeout=DEADLINE_S))
        return alarm_from(answer.alarm)

    async def stop(self, reason: str) -> None:
        """Set its stop latch."""
        request = control_pb2.StopRequest(reason=reason)
        await self._ask(self._stub.Stop(request, timeout=LATCH_DEADLINE_S))

    async def clear_stop(self, reason: str) -> None:
        """Clear its stop latch."""
        request = control_pb2.ClearStopRequest(reason=reason)
        await self._ask(self._stub.ClearStop(request, timeout=LATCH_DEADLINE_S))

    async def _ask(self, call: Awaitable[A]) -> A:
        try:
            return await call
        except grpc.RpcError as error:
            raise self._error(error) from error

    def _error(self, error: grpc.RpcError) -> ConnectionError:
        where = f"controller at {self._address}"
        if not isinstance(error, grpc.aio.AioRpcError):
            return ConnectionError(f"{where}: {error}")
        code, details = error.code(), error.details() or "no details"
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            return ConnectionError(
                f"{where} is not reached: {details} ({code.name}); look whether it runs, and whether its"
                " certificate names that host"
            )
        return RefusedByControllerError(f"{where} refuses: {details} ({code.name})")
