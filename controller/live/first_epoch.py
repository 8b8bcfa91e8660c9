"""The epoch of a controller that no agents elect: above those that they have seen, of radios and of site power."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from controller.live.term import next_epoch
from hw.adapters.dial import AgentError, Dial
from hw.adapters.operator import PowerOperator, RadioOperator


async def first_epoch(radios: Sequence[Dial], powers: Sequence[Dial]) -> int:
    """An epoch above those that agents within reach have seen, so that a lost journal leads to no lower one."""

    async def ask(dial: Dial, kind: type[RadioOperator | PowerOperator]) -> int:
        try:
            async with kind(dial) as operator:
                return (await operator.inventory()).highest_epoch
        except AgentError:
            return 0

    asked = [ask(dial, RadioOperator) for dial in radios] + [ask(dial, PowerOperator) for dial in powers]
    return next_epoch(0, await asyncio.gather(*asked)) if asked else 1
