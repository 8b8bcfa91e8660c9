"""A process with many real radio agents: gRPC servers over mTLS, cores, disks. Only the radios behind them are made up.

.venv/bin/python -m benchmarks.live_agents SETUP.json FIRST COUNT     # prints the port of each agent as one JSON list
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import numpy as np

from benchmarks.live_setup import LEVELS, SYMBOL_LEVEL, Setup, agent_name, cell_names, read_setup
from hw.agents.disk import AgentDisk
from hw.agents.radio_core import RadioLimits
from hw.agents.radio_server import serve_radio
from hw.agents.running import Pace
from hw.agents.serving import Door
from hw.ports import Bools, Clock, RadioAbilities, RadioReading, RadioSetting
from hw.security.credentials import TlsFiles, server_credentials
from hw.security.gate import Gate, caller
from hw.security.limits import Limits

LOAD, NOISE, JUMP = 0.02, 0.2, 0.9  # [ratio]
JUMPING_SHARE = 0.05  # of the cells, where cells jump
LONGEST_TERM_MS = 3_600_000


class MadeRadios:
    """Radios in memory with timers of their own; traffic is low, and jumps in some cells where that is asked for."""

    def __init__(self, number: int, setup: Setup, clock: Clock) -> None:
        n = setup.cells_per_agent
        self._clock, self._sample_us, self._jumps = clock, setup.sample_s * 1_000_000, setup.is_flood
        self._rng = np.random.default_rng((1, number))
        self._jumping = self._rng.random(n) < JUMPING_SHARE
        self._level, self._until_us = np.full(n, SYMBOL_LEVEL, np.uint8), np.zeros(n, np.int64)
        self._number = 0  # of the last order
        allowed = np.zeros((n, len(LEVELS)), np.bool_)
        allowed[:, SYMBOL_LEVEL : SYMBOL_LEVEL + 4] = True
        site = agent_name(number)
        self._has = RadioAbilities(
            cell_id=tuple(cell_names(number, n)),
            site_id=(site,) * n,
            product=("",) * n,
            is_capacity=np.zeros(n, np.bool_),
            level_names=LEVELS,
            wake_ms=np.array([0, 0, 1000, 1000, 1000], np.int64),
            off_air=np.zeros(len(LEVELS), np.bool_),
            allowed=allowed,
            has_dead_man=np.ones(n, np.bool_),
            full_service_level=SYMBOL_LEVEL,
            is_simulated=True,
        )

    async def abilities(self) -> RadioAbilities:
        """What there is."""
        return self._has

    async def apply(self, setting: RadioSetting, number: int) -> Bools:
        """Set levels and timers."""
        self._fire()
        assert number > self._number, "orders reach radios in memory in their order"
        self._number = number
        done = ~setting.extends | (self._level[setting.cell] == setting.level)
        cell = setting.cell[done]
        self._level[cell], self._until_us[cell] = setting.level[done], setting.until_us[done]
        return done

    async def read(self, after_sample: int) -> RadioReading:
        """Levels, and the samples that are complete by now; the last one where the reader is new."""
        self._fire()
        last = self._clock.unix_us() // self._sample_us
        numbers = np.arange(last if not after_sample else after_sample + 1, last + 1)
        n = len(self._level)
        carried = LOAD * np.exp(self._rng.normal(0, NOISE, (n, len(numbers))))
        if self._jumps:
            carried[np.ix_(self._jumping, numbers % 5 == 3)] = JUMP
        return RadioReading(
            self._level.copy(),
            np.zeros(n, np.bool_),
            int(last),
            numbers * self._sample_us,
            self._sample_us // 1000,
            carried.astype(np.float32),
        )

    def _fire(self) -> None:
        due = (self._until_us > 0) & (self._until_us <= self._clock.monotonic_us())
        self._level[due], self._until_us[due] = SYMBOL_LEVEL, 0


async def serve(setup: Setup, numbers: range) -> None:
    """Serve agents until SIGTERM."""
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    clock, folder = setup.clock(), Path(setup.folder)
    pace = Pace(setup.report_every_ms, setup.sample_s * 1000, setup.speed)
    servers = []
    for number in numbers:
        name = agent_name(number)
        credentials = server_credentials(TlsFiles(folder / "tls", name))
        door = Door("127.0.0.1:0", credentials, caller, (Gate(Limits()),))
        disk = AgentDisk(folder / "agents", name)
        limits = RadioLimits(longest_term_ms=LONGEST_TERM_MS)
        radios = MadeRadios(number, setup, clock)
        servers.append(await serve_radio(name, radios, disk, clock, door, limits, pace))
    print(json.dumps([server.port for server in servers]), flush=True)
    await ending.wait()
    await asyncio.gather(*(server.close() for server in servers))


def main() -> None:
    """Serve the agents that the command line names."""
    setup, first, count = read_setup(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
    asyncio.run(serve(setup, range(first, first + count)))


if __name__ == "__main__":
    main()
