"""What an agent does before it serves: everything at rest, as far as the plant lets it."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from hw.agents import serving
from hw.agents.radio_server import _to_full_service
from hw.ports import Bools, HostClock, RadioSetting
from tests.hw.agents.plants import FULL, MemoryRadio


class Reluctant(MemoryRadio):
    """Cell 1 rests, and does not do what it is told the first times."""

    def __init__(self, refuses: int) -> None:
        super().__init__(3, HostClock())
        self.level[1], self.refuses, self.asked = FULL + 1, refuses, 0

    async def apply(self, setting: RadioSetting, number: int) -> Bools:
        self.asked += 1
        if self.asked <= self.refuses:
            return np.array([cell != 1 for cell in setting.cell.tolist()])
        return await super().apply(setting, number)


@pytest.mark.parametrize(("refuses", "asked", "level"), [(2, 3, FULL), (99, serving.ASKED_AT_MOST, FULL + 1)])
def test_full_service_that_was_not_applied_is_asked_for_again_but_not_for_ever(
    monkeypatch: Any, refuses: int, asked: int, level: int
) -> None:
    monkeypatch.setattr(serving, "AGAIN_S", 0.01)
    plant = Reluctant(refuses)
    _, reading = asyncio.run(asyncio.wait_for(_to_full_service(plant, HostClock()), 10))
    assert (plant.asked, reading.level[1]) == (asked, level)
