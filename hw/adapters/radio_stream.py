"""The stream to a radio agent: hw/adapters/link.py in the words of ran.proto."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any

import grpc.aio
from quietcell.ran.v1 import ran_pb2_grpc

from hw.adapters.dial import Dial
from hw.adapters.link import AgentLink, Dialect, LinkLimits, Lost
from hw.adapters.operator import RadioOperator
from hw.adapters.radio import Answers, Inventory, RejectCause, RenewalAnswer, Report, WakeBatch
from hw.adapters.radio_codec import from_response, to_request
from hw.adapters.wire import Hello

RadioMessage = Inventory | Report | Answers | RenewalAnswer | Lost


def radio_link(
    dial: Dial,
    hello: Hello,
    on_message: Callable[[str, RadioMessage], Awaitable[None]],
    random: Random,
    *,
    limits: LinkLimits | None = None,
    leads: Callable[[], bool] = lambda: True,
) -> AgentLink:
    """The link to one radio agent. Its ``run`` keeps the stream open."""
    dialect = Dialect(
        control=_control,
        hello=lambda: to_request(hello),
        encode=to_request,
        decode=from_response,
        inventory=Inventory,
        wakes=WakeBatch,
        answered=_answered,
        places=lambda batch: batch.cell.tolist(),
        names=lambda inventory: inventory.abilities.cell_id,
        wake=_wake,
    )
    author = hello.controller_id
    return AgentLink(dial, dialect, on_message, random, author=author, limits=limits, leads=leads)


def _control(channel: grpc.aio.Channel) -> Any:
    return ran_pb2_grpc.RanAgentServiceStub(channel).Control


def _answered(message: RadioMessage) -> tuple[list[int], list[int]]:
    """Every answer settles its command but that of a plant which did not do it: there a wake is tried again."""
    if not isinstance(message, Answers):
        return [], []
    settled = message.cause != RejectCause.PLANT_FAILED
    return message.cell[settled].tolist(), message.revision[settled].tolist()


async def _wake(dial: Dial, names: Sequence[str], author: str, reason: str) -> Sequence[str]:
    async with RadioOperator(dial) as operator:
        return (await operator.wake(names, author, reason)).names
