"""What an operator asks of all agents at once, without a controller: stop, clear the stop, wake.

The stop latch of the controller that leads is set and cleared beside theirs, where it is reached.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from hw.adapters.control_client import ControlClient, RefusedByControllerError
from hw.adapters.dial import AgentRefused, AgentUnreachable, Dial, NotThere
from hw.adapters.operator import PowerOperator, RadioOperator
from hw.errors import SecurityError
from hw.security.credentials import TlsFiles, check_insecure, client_credentials

Kind = Literal["ran", "power"]
AtOnce = RadioOperator | PowerOperator


@dataclass(frozen=True, slots=True)
class Target:
    """An agent to ask."""

    dial: Dial
    kind: Kind


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request at one agent."""

    agent_id: str
    kind: Kind
    state: Literal["confirmed", "unreachable", "refused", "not there"]
    changed: int = 0  # cells that wake, sites that go to safe charging
    names: tuple[str, ...] = ()  # of these, where the agent tells
    wake_ms: int = 0  # until the last of them serves at full
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a request at the controller that leads."""

    state: Literal["confirmed", "unreachable", "refused"]
    cause: str = ""


Request = Callable[[AtOnce, Target], Awaitable[Answer]]


async def stop(targets: Sequence[Target], author: str, reason: str) -> list[Answer]:
    """Set the stop latch of all agents."""

    async def ask(operator: AtOnce, target: Target) -> Answer:
        found = await operator.stop(author, reason)
        return Answer(target.dial.agent_id, target.kind, "confirmed", found.changed, (), found.wake_ms)

    return await _ask_all(targets, ask)


async def clear(targets: Sequence[Target], author: str, reason: str) -> list[Answer]:
    """Clear the stop latch of all agents."""

    async def ask(operator: AtOnce, target: Target) -> Answer:
        await operator.clear(author, reason)
        return Answer(target.dial.agent_id, target.kind, "confirmed")

    return await _ask_all(targets, ask)


async def wake(targets: Sequence[Target], names: Sequence[str], author: str, reason: str) -> list[Answer]:
    """Bring cells to full service and sites to safe charging; no names: all.

    All agents are asked for all names, since to look first at who has which would make the wake wait.
    """

    async def ask(operator: AtOnce, target: Target) -> Answer:
        found = await operator.wake(names, author, reason)
        n = len(found.names)
        return Answer(target.dial.agent_id, target.kind, "confirmed", n, found.names, found.wake_ms)

    return await _ask_all(targets, ask)


async def tell_controller(
    addresses: Sequence[str], files: TlsFiles | None, request: Callable[[ControlClient], Awaitable[None]]
) -> Told:
    """Ask the controllers that may listen at these addresses, of which one that stands by does not answer."""

    async def ask(address: str) -> Told:
        try:
            credentials = None if files is None else partial(client_credentials, files)
            if files is None:
                check_insecure(address)
            async with ControlClient(address, credentials) as client:
                await request(client)
        except RefusedByControllerError as error:
            return Told("refused", str(error))
        except (ConnectionError, SecurityError) as error:  # what is asked of the agents waits for nobody
            return Told("unreachable", str(error))
        return Told("confirmed")

    found = await asyncio.gather(*map(ask, addresses))
    return min(found, key=lambda told: ("confirmed", "refused", "unreachable").index(told.state))


async def _ask_all(targets: Sequence[Target], request: Request) -> list[Answer]:
    return list(await asyncio.gather(*(_ask(target, request) for target in targets)))


async def _ask(target: Target, request: Request) -> Answer:
    agent_id = target.dial.agent_id
    try:
        made = RadioOperator(target.dial) if target.kind == "ran" else PowerOperator(target.dial)
        async with made as operator:
            return await request(operator, target)
    except NotThere as error:
        return Answer(agent_id, target.kind, "not there", cause=str(error))
    except AgentRefused as error:
        return Answer(agent_id, target.kind, "refused", cause=str(error))
    except AgentUnreachable as error:
        return Answer(agent_id, target.kind, "unreachable", cause=str(error))
