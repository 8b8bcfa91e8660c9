"""The agent's command: how it begins, serves and ends."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from controller.cli import app
from controller.cli.agent_command import _serve
from hw.agents.disk import AgentDisk
from hw.agents.radio_core import RadioLimits
from hw.agents.radio_server import serve_radio
from hw.agents.running import Pace
from hw.agents.serving import AgentServer, Door
from hw.ports import HostClock
from tests.hw.agents.plants import MemoryRadio


def test_only_simulated_plants_are_driven() -> None:
    for kind in ("ran", "power"):
        result = CliRunner().invoke(app, ["agent", kind, "--id", "a", "--plant", "unix:p", "--insecure"])
        assert result.exit_code == 2
        assert "--sim is missing" in result.output


def test_sigterm_wakes_all_and_ends_without_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, disk = HostClock(), AgentDisk(tmp_path, "a")
    plant = MemoryRadio(2, clock)

    async def serve(clock: Any, door: Any) -> AgentServer:
        server = await serve_radio("a", plant, disk, clock, door, RadioLimits(), Pace())
        plant.level[1] = 3
        asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGTERM)
        return server

    asyncio.run(asyncio.wait_for(_serve(serve, "a", clock, Door("127.0.0.1:0")), 60))
    assert "agent a serves on" in capsys.readouterr().out
    assert plant.level.tolist() == [1, 1]
    disk.close()
