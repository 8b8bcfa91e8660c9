"""The link to an agent that dies, hangs, is slow, floods or lies, over a real stream on loopback."""

from __future__ import annotations

from hw.adapters.radio import Answers, Inventory, Report
from tests.hw.adapters.agent_double import (
    AgentDouble,
    commands,
    linked,
    renewal,
    run,
    serving,
    until,
)


def test_the_inventory_comes_first_then_reports_and_answers() -> None:
    async def test() -> None:
        double = AgentDouble()
        async with serving(double) as dial, linked(dial) as (link, messages):
            assert isinstance(await messages.get(), Inventory)
            assert link.send(commands(1))
            assert link.renew(renewal())
            kinds = set()
            while kinds != {Report, Answers}:
                kinds.add(type(await messages.get()))
            await until(lambda: len(double.heard) == 2)
            assert [kind for kind, _ in double.heard] == ["commands", "renewal"]

    run(test())
