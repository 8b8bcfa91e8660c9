"""A golden transcript: a morning of two sites in which everything happens once.

After a change that is meant to move it, write it anew with

    QUIETCELL_REGENERATE=1 .venv/bin/python -m pytest tests/controller/live/test_core_morning.py

read its diff, and say in the commit why it moved.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from controller.live.events import Cleared, Disconnected, Stopped
from tests.controller.live.conftest import MakeCore
from tests.controller.live.doubles import Harness, journal_of, two_agents

GOLDEN = Path(__file__).parent / "golden" / "morning.txt"


def load(second: int) -> Sequence[float]:
    """A quiet night with a surge at site-a of five minutes from 02:10 on."""
    surge = 0.7 if 7800 <= second < 8100 else 0.0
    return [0.03 + surge, 0.01, 0.05, 0.04, 0.02]


def morning(make: MakeCore) -> list[str]:
    core = make()
    harness = Harness(core, two_agents(), load)
    harness.connect()
    harness.run(3000)
    harness.agents["site-b"].is_down = True
    harness.run(3300)
    harness.agents["site-b"].is_down = False
    harness.run(4800)
    harness.agents["site-a"].reboot()
    harness.feed(Disconnected("site-a"))
    harness.connect("site-a")
    harness.run(9000)
    harness.lines.append("-- the controller is killed, and starts again with what its journal says")
    again = Harness(make(journal_of(harness.outputs, core.epoch)), list(harness.agents.values()), load)
    again.now_s = harness.now_s
    again.connect()
    again.run(11_000)
    again.feed(Stopped("an operator", "maintenance"))
    again.run(12_000)
    again.feed(Cleared("an administrator", "done"))
    again.run(14_000)
    return harness.lines + again.lines


def test_a_morning(live_core: MakeCore) -> None:
    found = "\n".join(morning(live_core)) + "\n"
    if os.environ.get("QUIETCELL_REGENERATE"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(found)
    assert found == GOLDEN.read_text()
