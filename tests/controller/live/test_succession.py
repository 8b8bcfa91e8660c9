"""Two controllers in turn: what ends standing by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from controller.live import succession
from controller.live.succession import _follow, _won
from hw.ports import HostClock
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


def test_whatever_ends_following_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_args: Any) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(succession, "follow", fails)
    standby = SimpleNamespace(peer="127.0.0.1:1")
    config: Any = SimpleNamespace(standby=standby, journal="j", retention_us=1)
    told = Told()
    asyncio.run(_follow(config, None, HostClock(), told))
    assert told.of("replica") == [{"follows": False, "cause": "a bug"}]
