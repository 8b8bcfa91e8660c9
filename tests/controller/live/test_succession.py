"""Two controllers in turn: what ends standing by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from controller.live.succession import _won
from tests.controller.live.loop_doubles import Told


class FailingElection:
    """Cannot be won for a reason of its own."""

    async def win(self, _told: Callable[[str], None]) -> int:
        await asyncio.sleep(0)
        raise ValueError("no such voter")


def test_an_election_that_failed_is_not_taken_as_won() -> None:
    election: Any = FailingElection()

    async def stand_by() -> bool:
        return await _won(election, Told(), asyncio.Event())

    with pytest.raises(ValueError, match="no such voter"):
        asyncio.run(stand_by())
