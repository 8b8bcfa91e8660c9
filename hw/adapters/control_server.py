"""Serves a controller's status, cells, alarms and stop latch. Who may ask is decided by the gate before it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from quietcell.control.v1 import control_pb2, control_pb2_grpc

from hw.adapters.control import MAX_PAGE, CellQuery, ControlView, Latch, SiteQuery
from hw.adapters.control_codec import alarm_to, cell_to, explanation_to, savings_to, status_to
from hw.adapters.ladder import NotAllowedError
from hw.adapters.site_codec import site_to
from hw.adapters.wire import MAX_TEXT
from hw.security.gate import ANYBODY, caller
from hw.security.identity import identity_of

MOST_WATCHERS = 16
SERVICE = control_pb2.DESCRIPTOR.services_by_name["ControlService"].full_name


class ControlServer(control_pb2_grpc.ControlServiceServicer):
    """Handlers of the service."""

    def __init__(self, view: ControlView, latch: Latch, *, is_insecure: bool) -> None:
        """``is_insecure``: nobody proves who he is, so an author is who he says."""
        self._view, self._latch, self._is_insecure = view, latch, is_insecure
        self._watchers = 0

    async def GetStatus(
        self, request: control_pb2.GetStatusRequest, context: Any
    ) -> control_pb2.GetStatusResponse:
        """How the controller stands."""
        return control_pb2.GetStatusResponse(status=status_to(self._view.status()))

    async def ListCells(
        self, request: control_pb2.ListCellsRequest, context: Any
    ) -> control_pb2.ListCellsResponse:
        """A page of cells."""
        query = CellQuery(
            names=tuple(request.cell_id),
            agent_id=request.agent_id,
            only_resting=request.only_resting,
            only_stuck=request.only_stuck,
            page_size=_page_size(request.page_size),
            first=await _first(request.page_token, context),
        )
        cells, following = self._view.cells(query)
        return control_pb2.ListCellsResponse(cells=map(cell_to, cells), next_page_token=_token(following))

    async def ExplainCell(
        self, request: control_pb2.ExplainCellRequest, context: Any
    ) -> control_pb2.ExplainCellResponse:
        """Why a cell was planned as it was."""
        try:
            told = self._view.explain(request.cell_id)
        except KeyError:
            text = f"cell_id: there is no cell {request.cell_id[:MAX_TEXT]!r}; list those that there are"
            await context.abort(grpc.StatusCode.NOT_FOUND, text)
            raise
        if told is None:
            text = "no plan has been made yet; ask again after the next planning tick"
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, text)
        assert told is not None
        return explanation_to(told)

    async def ListSites(
        self, request: control_pb2.ListSitesRequest, context: Any
    ) -> control_pb2.ListSitesResponse:
        """A page of sites with power."""
        query = SiteQuery(
            names=tuple(request.site_id),
            agent_id=request.agent_id,
            only_safe=request.only_safe,
            page_size=_page_size(request.page_size),
            first=await _first(request.page_token, context),
        )
        sites, following = self._view.sites(query)
        return control_pb2.ListSitesResponse(sites=map(site_to, sites), next_page_token=_token(following))

    async def ListAlarms(
        self, request: control_pb2.ListAlarmsRequest, context: Any
    ) -> control_pb2.ListAlarmsResponse:
        """Alarms that stand, or those that are over."""
        alarms = self._view.alarms(history=request.history)
        listed = alarms[: _page_size(request.page_size)]
        return control_pb2.ListAlarmsResponse(alarms=map(alarm_to, listed), total=len(alarms))

    async def AcknowledgeAlarm(
        self, request: control_pb2.AcknowledgeAlarmRequest, context: Any
    ) -> control_pb2.AcknowledgeAlarmResponse:
        """Note who has seen an alarm."""
        said = request.author[:MAX_TEXT].strip()
        author = said if self._is_insecure else await caller(context, "AcknowledgeAlarm")
        if not author:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "author: must say who has seen it")
        alarm = self._view.acknowledge(request.number, author)
        if alarm is None:
            text = f"number: no alarm {request.number} stands; list those that do"
            await context.abort(grpc.StatusCode.NOT_FOUND, text)
        assert alarm is not None
        return control_pb2.AcknowledgeAlarmResponse(alarm=alarm_to(alarm))

    async def GetSavings(
        self, request: control_pb2.GetSavingsRequest, context: Any
    ) -> control_pb2.GetSavingsResponse:
        """What acting saves."""
        return savings_to(self._view.savings())

    async def Stop(self, request: control_pb2.StopRequest, context: Any) -> control_pb2.StopResponse:
        """Sets the stop latch."""
        await self._asked(context, self._latch.stop(self._who(context), request.reason[:MAX_TEXT]))
        return control_pb2.StopResponse()

    async def ClearStop(
        self, request: control_pb2.ClearStopRequest, context: Any
    ) -> control_pb2.ClearStopResponse:
        """Clears the stop latch."""
        await self._asked(context, self._latch.clear_stop(self._who(context), request.reason[:MAX_TEXT]))
        return control_pb2.ClearStopResponse()

    def _who(self, context: Any) -> str:
        return str(ANYBODY.identity if self._is_insecure else identity_of(context.auth_context()))

    async def _asked(self, context: Any, done: Awaitable[None]) -> None:
        try:
            await done
        except NotAllowedError as error:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))
        except TimeoutError:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the controller does not answer; see its log")

    async def WatchStatus(
        self, request: control_pb2.WatchStatusRequest, context: Any
    ) -> AsyncIterator[control_pb2.WatchStatusResponse]:
        """Now, and after each tick."""
        if self._watchers >= MOST_WATCHERS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MOST_WATCHERS} watch already")
        self._watchers += 1
        try:
            while True:
                yield control_pb2.WatchStatusResponse(status=status_to(self._view.status()))
                await self._view.next_tick()
        finally:
            self._watchers -= 1


def _page_size(asked: int) -> int:
    return asked if 0 < asked < MAX_PAGE else MAX_PAGE


async def _first(page: str, context: Any) -> int:
    """Where a page begins by its token. Ends the call for one that no page gave."""
    if page and not (page.isascii() and page.isdigit() and len(page) < 10):
        await context.abort(
            grpc.StatusCode.INVALID_ARGUMENT, "page_token: is not from a page before; begin anew"
        )
    return int(page or 0)


def _token(following: int) -> str:
    return str(following) if following else ""


def serves_control(
    view: ControlView, latch: Latch, *, is_insecure: bool
) -> Callable[[grpc.aio.Server], None]:
    """Puts the service over a view and a latch into a server."""
    servicer = ControlServer(view, latch, is_insecure=is_insecure)
    return lambda server: control_pb2_grpc.add_ControlServiceServicer_to_server(servicer, server)
