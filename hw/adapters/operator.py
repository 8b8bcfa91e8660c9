"""What an operator asks of one agent directly, without a controller: stop, clear, wake, inventory, state.

All calls have a deadline and raise AgentUnreachable or AgentRefused. None is tried again here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import grpc
import grpc.aio
from quietcell.audit.v1 import audit_pb2, audit_pb2_grpc
from quietcell.lease.v1 import lease_pb2
from quietcell.power.v1 import power_pb2, power_pb2_grpc
from quietcell.ran.v1 import ran_pb2, ran_pb2_grpc

from hw.adapters.caller import Caller
from hw.adapters.dial import Dial
from hw.adapters.power import PowerInventory
from hw.adapters.power_report_codec import inventory_from as power_inventory_from
from hw.adapters.radio import Inventory, Report
from hw.adapters.radio_codec import inventory_from
from hw.adapters.radio_report_codec import report_from
from hw.adapters.wire import ContractError
from hw.security.signing import Signed

A = TypeVar("A")

DEADLINE_S = 5.0


@dataclass(frozen=True, slots=True)
class Latch:
    """The stop latch of an agent."""

    is_set: bool
    author: str
    reason: str


@dataclass(frozen=True, slots=True)
class StopAnswer:
    """An agent has stopped."""

    latch: Latch
    changed: int  # cells that this woke, or sites that it put on safe charging
    wake_ms: int  # until the last of them serves at full


@dataclass(frozen=True, slots=True)
class WakeAnswer:
    """What goes to full service, or to safe charging."""

    names: tuple[str, ...]
    wake_ms: int


class _AgentCaller(Caller):
    """A channel of its own to one agent."""

    def __init__(self, dial: Dial, deadline_s: float = DEADLINE_S) -> None:
        super().__init__(dial.open())
        self._dial, self._deadline_s = dial, deadline_s

    async def _ask(self, call: Awaitable[A]) -> A:
        try:
            return await call
        except grpc.RpcError as error:
            raise self._dial.error(error) from error


class RadioOperator(_AgentCaller):
    """Calls to a radio agent."""

    def __init__(self, dial: Dial, deadline_s: float = DEADLINE_S) -> None:
        super().__init__(dial, deadline_s)
        self._agent = ran_pb2_grpc.RanAgentServiceStub(self._channel)

    async def stop(self, author: str, reason: str) -> StopAnswer:
        """Set the stop latch; all cells wake."""
        request = ran_pb2.StopRequest(author=author, reason=reason)
        answer = await self._ask(self._agent.Stop(request, timeout=self._deadline_s))
        return StopAnswer(_latch(answer.stop), answer.woken, answer.wake_ms)

    async def clear(self, author: str, reason: str) -> Latch:
        """Clear the stop latch; for administrators."""
        request = ran_pb2.ClearStopRequest(author=author, reason=reason)
        answer = await self._ask(self._agent.ClearStop(request, timeout=self._deadline_s))
        return _latch(answer.stop)

    async def wake(self, names: Sequence[str], author: str, reason: str) -> WakeAnswer:
        """Bring cells to full service; no names: all of the agent."""
        request = ran_pb2.WakeUpRequest(cell_id=names, author=author, reason=reason)
        answer = await self._ask(self._agent.WakeUp(request, timeout=self._deadline_s))
        return WakeAnswer(tuple(answer.cell_id), answer.wake_ms)

    async def inventory(self) -> Inventory:
        """Cells and what each can do."""
        request = ran_pb2.GetInventoryRequest()
        answer = await self._ask(self._agent.GetInventory(request, timeout=self._deadline_s))
        try:
            return inventory_from(answer)
        except ContractError as error:
            raise self._dial.broken(error) from error

    async def watch(self) -> AsyncIterator[Report]:
        """The state of all cells now and after each change, as reports without samples. No deadline."""
        try:
            async for found in self._agent.WatchState(ran_pb2.WatchStateRequest()):
                yield report_from(ran_pb2.Report(header=found.header, states=found.states))
        except grpc.RpcError as error:
            raise self._dial.error(error) from error
        except ContractError as error:
            raise self._dial.broken(error) from error


class PowerOperator(_AgentCaller):
    """Calls to a power agent."""

    def __init__(self, dial: Dial, deadline_s: float = DEADLINE_S) -> None:
        super().__init__(dial, deadline_s)
        self._agent = power_pb2_grpc.PowerAgentServiceStub(self._channel)

    async def stop(self, author: str, reason: str) -> StopAnswer:
        """Set the stop latch; all sites go to safe charging."""
        request = power_pb2.StopRequest(author=author, reason=reason)
        answer = await self._ask(self._agent.Stop(request, timeout=self._deadline_s))
        return StopAnswer(_latch(answer.stop), answer.changed, 0)

    async def clear(self, author: str, reason: str) -> Latch:
        """Clear the stop latch; for administrators."""
        request = power_pb2.ClearStopRequest(author=author, reason=reason)
        answer = await self._ask(self._agent.ClearStop(request, timeout=self._deadline_s))
        return _latch(answer.stop)

    async def wake(self, names: Sequence[str], author: str, reason: str) -> WakeAnswer:
        """Put sites on safe charging; no names: all of the agent."""
        request = power_pb2.ChargeSafelyRequest(site_id=names, author=author, reason=reason)
        answer = await self._ask(self._agent.ChargeSafely(request, timeout=self._deadline_s))
        return WakeAnswer(tuple(answer.site_id), 0)

    async def inventory(self) -> PowerInventory:
        """Sites and what each can do."""
        request = power_pb2.GetInventoryRequest()
        answer = await self._ask(self._agent.GetInventory(request, timeout=self._deadline_s))
        try:
            return power_inventory_from(answer)
        except ContractError as error:
            raise self._dial.broken(error) from error


class HeadKeeper(_AgentCaller):
    """Calls to an agent that keeps heads of a journal."""

    def __init__(self, dial: Dial, deadline_s: float = DEADLINE_S) -> None:
        super().__init__(dial, deadline_s)
        self._keeper = audit_pb2_grpc.HeadServiceStub(self._channel)

    async def keep(self, signed: Signed) -> None:
        """Have one more head kept."""
        head = audit_pb2.SignedHead(
            content=signed.content, certificate=signed.certificate, signature=signed.signature
        )
        request = audit_pb2.KeepHeadRequest(head=head)
        await self._ask(self._keeper.KeepHead(request, timeout=self._deadline_s))

    async def heads(self) -> list[Signed]:
        """All that are kept, the oldest first."""
        answer = await self._ask(
            self._keeper.ListHeads(audit_pb2.ListHeadsRequest(), timeout=self._deadline_s)
        )
        return [Signed(head.content, head.certificate, head.signature) for head in answer.heads]


def _latch(found: lease_pb2.StopLatch) -> Latch:
    return Latch(found.is_set, found.author, found.reason)
