"""The ladder of a controller over gRPC: what operators ask of it, and what it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import grpc
import grpc.aio
from quietcell.control.v1 import ladder_pb2 as pb
from quietcell.control.v1 import ladder_pb2_grpc as pb_grpc

from hw.adapters.caller import Caller
from hw.errors import SecurityError
from hw.security.gate import ANYBODY
from hw.security.identity import identity_of

SERVICE = pb.DESCRIPTOR.services_by_name["LadderService"].full_name
DEADLINE_S = 10.0
MAX_TEXT = 500  # characters of a name or reason
A = TypeVar("A")


class LadderError(Exception):
    """A controller did not follow, or was not reached. The message says why."""


class NotAllowedError(Exception):
    """Who calls may not do this. The message says what he may."""


@dataclass(frozen=True, slots=True)
class Said:
    """What became of a word; see Ruling in proto/quietcell/control/v1/ladder.proto."""

    verdict: str
    number: int
    cause: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What waits and what is in force, as rows of the fields of ListPendingResponse."""

    plan_id: str = ""
    until_unix_us: int = 0
    sites: tuple[tuple[str, int], ...] = ()  # site, cells
    waiting: tuple[tuple[str, str, int], ...] = ()  # what, author, until
    overrides: tuple[tuple[int, str, str, str, str, int, str, str], ...] = ()
    # number, kind and name of its scope, what, level, until, author, reason
    stages: tuple[tuple[str, str], ...] = field(default=())  # site, stage
    canaries: tuple[
        tuple[str, str, str, tuple[str, ...], int], ...
    ] = ()  # cell, site, state, controls, until
    canaries_wait: str = ""


class Desk(Protocol):
    """Where words of operators are taken in. Each method raises NotAllowedError for who may not say so."""

    async def approve(self, who: str, plan_id: str, kind: str, name: str) -> Said:
        """Let a plan go out."""
        ...

    async def override(
        self, who: str, scope: tuple[str, str], what: str, level: str, length_s: int, why: str
    ) -> Said:
        """Keep cells from what plans want, for so long. [s]"""
        ...

    async def lift(self, who: str, number: int, why: str) -> Said:
        """Ask for the end of an override."""
        ...

    async def change_stage(self, who: str, scope: tuple[str, str], stage: str, why: str) -> Said:
        """Ask for another stage."""
        ...

    async def standing(self, who: str) -> Standing:
        """What waits and what is in force."""
        ...


class LadderServicer(pb_grpc.LadderServiceServicer):
    """The RPCs over a desk."""

    def __init__(self, desk: Desk, *, is_insecure: bool) -> None:
        self._desk, self._is_insecure = desk, is_insecure

    async def ListPending(self, request: pb.ListPendingRequest, context: Any) -> pb.ListPendingResponse:  # noqa: ARG002, N802
        """What waits for approval or a second person, and what is in force."""
        found = await self._asked(context, self._desk.standing(self._who(context)))
        return pb.ListPendingResponse(
            plan_id=found.plan_id,
            until_unix_us=found.until_unix_us,
            sites=[pb.PendingSite(site_id=site, cells=cells) for site, cells in found.sites],
            waiting=[pb.WaitingWord(what=w, author=a, until_unix_us=u) for w, a, u in found.waiting],
            overrides=[_override_to(row) for row in found.overrides],
            stages=[pb.SiteStage(site_id=site, stage=stage) for site, stage in found.stages],
            canaries=[
                pb.Canary(cell_id=cell, site_id=site, state=state, control=controls, until_unix_us=until)
                for cell, site, state, controls, until in found.canaries
            ],
            canaries_wait=found.canaries_wait,
        )

    async def Approve(self, request: pb.ApproveRequest, context: Any) -> pb.ApproveResponse:  # noqa: N802
        """Lets a plan go out."""
        kind, name = await _scope(request.scope, context, request.plan_id)
        word = self._desk.approve(self._who(context), request.plan_id, kind, name)
        return pb.ApproveResponse(ruling=_ruling_to(await self._asked(context, word)))

    async def Override(self, request: pb.OverrideRequest, context: Any) -> pb.OverrideResponse:  # noqa: N802
        """Keeps cells from what plans want."""
        scope = await _scope(request.scope, context, request.what, request.level, request.reason)
        who, length_s = self._who(context), request.length_s
        word = self._desk.override(who, scope, request.what, request.level, length_s, request.reason)
        return pb.OverrideResponse(ruling=_ruling_to(await self._asked(context, word)))

    async def LiftOverride(self, request: pb.LiftOverrideRequest, context: Any) -> pb.LiftOverrideResponse:  # noqa: N802
        """Asks for the end of an override."""
        await _check(context, request.reason)
        word = self._desk.lift(self._who(context), request.number, request.reason)
        return pb.LiftOverrideResponse(ruling=_ruling_to(await self._asked(context, word)))

    async def ChangeStage(self, request: pb.ChangeStageRequest, context: Any) -> pb.ChangeStageResponse:  # noqa: N802
        """Asks for another stage."""
        scope = await _scope(request.scope, context, request.stage, request.reason)
        word = self._desk.change_stage(self._who(context), scope, request.stage, request.reason)
        return pb.ChangeStageResponse(ruling=_ruling_to(await self._asked(context, word)))

    def _who(self, context: Any) -> str:
        return str(ANYBODY.identity if self._is_insecure else identity_of(context.auth_context()))

    async def _asked(self, context: Any, answer: Awaitable[A]) -> A:
        try:
            return await answer
        except (NotAllowedError, SecurityError) as error:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))
        except TimeoutError:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the controller does not answer; see its log")
        raise AssertionError("abort raises")


def serves_ladder(desk: Desk, *, is_insecure: bool) -> Callable[[grpc.aio.Server], None]:
    """Puts the service over a desk into a server."""
    servicer = LadderServicer(desk, is_insecure=is_insecure)
    return lambda server: pb_grpc.add_LadderServiceServicer_to_server(servicer, server)


class LadderClient(Caller):
    """Asks one controller."""

    def __init__(self, address: str, credentials: grpc.ChannelCredentials | None) -> None:
        """Without credentials: no TLS, on loopback only."""
        self._address = address
        super().__init__(
            grpc.aio.insecure_channel(address)
            if credentials is None
            else grpc.aio.secure_channel(address, credentials)
        )
        self._stub = pb_grpc.LadderServiceStub(self._channel)

    async def approve(self, plan_id: str, scope: tuple[str, str]) -> Said:
        """Let a plan go out."""
        request = pb.ApproveRequest(plan_id=plan_id, scope=pb.Scope(kind=scope[0], name=scope[1]))
        return _said(await self._ask(self._stub.Approve(request, timeout=DEADLINE_S)))

    async def override(self, scope: tuple[str, str], what: str, level: str, length_s: int, why: str) -> Said:
        """Keep cells from what plans want, for so long. [s]"""
        told = pb.Scope(kind=scope[0], name=scope[1])
        request = pb.OverrideRequest(scope=told, what=what, level=level, length_s=length_s, reason=why)
        return _said(await self._ask(self._stub.Override(request, timeout=DEADLINE_S)))

    async def lift(self, number: int, why: str) -> Said:
        """Ask for the end of an override."""
        request = pb.LiftOverrideRequest(number=number, reason=why)
        return _said(await self._ask(self._stub.LiftOverride(request, timeout=DEADLINE_S)))

    async def change_stage(self, scope: tuple[str, str], stage: str, why: str) -> Said:
        """Ask for another stage."""
        told = pb.Scope(kind=scope[0], name=scope[1])
        request = pb.ChangeStageRequest(scope=told, stage=stage, reason=why)
        return _said(await self._ask(self._stub.ChangeStage(request, timeout=DEADLINE_S)))

    async def standing(self) -> Standing:
        """What waits and what is in force."""
        found = await self._ask(self._stub.ListPending(pb.ListPendingRequest(), timeout=DEADLINE_S))
        return Standing(
            found.plan_id,
            found.until_unix_us,
            tuple((site.site_id, site.cells) for site in found.sites),
            tuple((one.what, one.author, one.until_unix_us) for one in found.waiting),
            tuple(
                (o.number, o.scope.kind, o.scope.name, o.what, o.level, o.until_unix_us, o.author, o.reason)
                for o in found.overrides
            ),
            tuple((site.site_id, site.stage) for site in found.stages),
            tuple((c.cell_id, c.site_id, c.state, tuple(c.control), c.until_unix_us) for c in found.canaries),
            found.canaries_wait,
        )

    async def _ask(self, call: Awaitable[A]) -> A:
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            raise LadderError(
                f"controller at {self._address}: {error.details()} ({error.code().name})"
            ) from error


async def _scope(scope: pb.Scope, context: Any, *texts: str) -> tuple[str, str]:
    await _check(context, scope.kind, scope.name, *texts)
    return scope.kind, scope.name


async def _check(context: Any, *texts: str) -> None:
    if any(len(text) > MAX_TEXT for text in texts):
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"a text is longer than {MAX_TEXT} characters")


def _said(answer: Any) -> Said:
    return Said(answer.ruling.verdict, answer.ruling.number, answer.ruling.cause)


def _ruling_to(said: Said) -> pb.Ruling:
    return pb.Ruling(verdict=said.verdict, number=said.number, cause=said.cause)


def _override_to(row: tuple[int, str, str, str, str, int, str, str]) -> pb.ActiveOverride:
    number, kind, name, what, level, until, author, reason = row
    return pb.ActiveOverride(
        number=number,
        scope=pb.Scope(kind=kind, name=name),
        what=what,
        level=level,
        until_unix_us=until,
        author=author,
        reason=reason,
    )
