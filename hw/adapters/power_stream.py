"""The stream to a power agent: hw/adapters/link.py in the words of power.proto. Its wakes are safe charging."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any

import grpc.aio
from quietcell.power.v1 import power_pb2_grpc

from hw.adapters.dial import Dial
from hw.adapters.link import AgentLink, Dialect, LinkLimits, Lost
from hw.adapters.operator import PowerOperator
from hw.adapters.power import PowerAnswers, PowerInventory, PowerReport, SafeBatch
from hw.adapters.power_codec import from_response, to_request
from hw.adapters.radio import RejectCause, RenewalAnswer
from hw.adapters.wire import Hello

PowerMessage = PowerInventory | PowerReport | PowerAnswers | RenewalAnswer | Lost


def power_link(
    dial: Dial,
    hello: Hello,
    on_message: Callable[[str, PowerMessage], Awaitable[None]],
    random: Random,
    *,
    limits: LinkLimits | None = None,
    leads: Callable[[], bool] = lambda: True,
) -> AgentLink:
    """The link to one power agent. Its ``run`` keeps the stream open."""
    dialect = Dialect(
        control=_control,
        hello=lambda: to_request(hello),
        encode=to_request,
        decode=from_response,
        inventory=PowerInventory,
        wakes=SafeBatch,
        answered=_answered,
        places=lambda batch: batch.site.tolist(),
        names=lambda inventory: inventory.abilities.site_id,
        wake=_charge_safely,
    )
    author = hello.controller_id
    return AgentLink(dial, dialect, on_message, random, author=author, limits=limits, leads=leads)


def _control(channel: grpc.aio.Channel) -> Any:
    return power_pb2_grpc.PowerAgentServiceStub(channel).Control


def _answered(message: PowerMessage) -> tuple[list[int], list[int]]:
    """Every answer settles its command but that of a plant which did not do it: safe charging is tried again."""
    if not isinstance(message, PowerAnswers):
        return [], []
    settled = message.cause != RejectCause.PLANT_FAILED
    return message.site[settled].tolist(), message.revision[settled].tolist()


async def _charge_safely(dial: Dial, names: Sequence[str], author: str, reason: str) -> Sequence[str]:
    async with PowerOperator(dial) as operator:
        return (await operator.wake(names, author, reason)).names
