"""The agent's state on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hw.adapters.power import OnBattery
from hw.agents.disk import AgentDisk, StateInUseError
from hw.agents.durable import Durable, Latch, Position


def kept() -> Durable:
    program = OnBattery(
        0, 3, np.array([0.0, 60.0]), np.array([1.0, 0.5]), np.array([1.0, 0.2]), np.array([True, True]), 60.0
    )
    latch = Latch(True, "op", "why", 5)
    return Durable(2**63, latch, {"s0": program}, {"s0": Position(1, 70.5, 0.0)}, 1234)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    disk = AgentDisk(tmp_path / "state", "a/1")
    assert disk.load(0) == Durable()
    disk.write(kept())
    disk.close()
    read = AgentDisk(tmp_path / "state", "a/1").load(0)
    assert (read.highest_epoch, read.latch, read.positions, read.saved_unix_us) == (
        2**63,
        kept().latch,
        kept().positions,
        1234,
    )
    for name in ("after_s", "below_ratio", "radio_ratio", "keeps_transport"):
        np.testing.assert_array_equal(
            getattr(read.programs["s0"], name), getattr(kept().programs["s0"], name)
        )


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other", "list"])
def test_a_damaged_state_is_kept_aside_and_stops_the_agent(tmp_path: Path, damage: str) -> None:
    disk = AgentDisk(tmp_path, "a1")
    disk.write(kept())
    data = disk.path.read_bytes()
    if damage == "other":
        AgentDisk(tmp_path, "a2").write(kept())
        data = (tmp_path / "a2.json").read_bytes()
    spoiled = {"cut": data[:-9], "flipped": data.replace(b"op", b"oq"), "empty": b"", "list": b"[]"}
    disk.path.write_bytes(spoiled.get(damage, data))
    durable = disk.load(77)
    assert (durable.latch.is_set, durable.latch.changed_unix_us) == (True, 77)
    assert "a1.damaged-0" in durable.latch.reason
    assert (tmp_path / "a1.damaged-0").read_bytes() == spoiled.get(damage, data)
    assert disk.load(99).latch == durable.latch


def test_two_agents_do_not_share_a_state(tmp_path: Path) -> None:
    disk = AgentDisk(tmp_path, "a1")
    with pytest.raises(StateInUseError, match="in use"):
        AgentDisk(tmp_path, "a1")
    disk.close()
    AgentDisk(tmp_path, "a1").close()
