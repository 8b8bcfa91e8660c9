"""Calls that an operator makes to the agents of the live benchmark, one cell each, over mTLS."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
import numpy as np

from benchmarks.live_setup import OPERATOR, Setup, agent_name, cell_names
from hw.adapters.dial import Dial
from hw.adapters.operator import RadioOperator
from hw.security.credentials import TlsFiles, client_credentials

IN_FLIGHT = 64
DEADLINE_S = 60.0
PAUSE_S = 0.2


@asynccontextmanager
async def operators(setup: Setup, ports: Sequence[int]) -> AsyncIterator[list[RadioOperator]]:
    """One open channel to each agent."""
    files = TlsFiles(Path(setup.folder) / "tls", OPERATOR)

    def credentials() -> grpc.ChannelCredentials:
        return client_credentials(files)

    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                RadioOperator(Dial(agent_name(number), f"127.0.0.1:{port}", credentials), DEADLINE_S)
            )
            for number, port in enumerate(ports)
        ]


async def unary_calls_s(setup: Setup, ports: Sequence[int]) -> float:
    """Wake every cell by a call of its own, some in flight at once, all channels open. [s]"""
    room = asyncio.Semaphore(IN_FLIGHT)

    async def wake(operator: RadioOperator, cell: str) -> None:
        async with room:
            await operator.wake([cell], OPERATOR, "benchmark")

    async with operators(setup, ports) as opened:
        await asyncio.gather(*(operator.inventory() for operator in opened))
        names = [cell_names(number, setup.cells_per_agent) for number in range(setup.agents)]
        began_s = time.perf_counter()
        calls = [
            wake(opened[a], names[a][c]) for c in range(setup.cells_per_agent) for a in range(setup.agents)
        ]
        await asyncio.gather(*calls)
        return time.perf_counter() - began_s


async def wake_now_and_then(setup: Setup, ports: Sequence[int], ending: asyncio.Event) -> list[float]:
    """Wake a cell somewhere, again and again until ``ending``: how long each call took. [ms]"""
    took_ms, rng = [], np.random.default_rng(2)
    async with operators(setup, ports) as opened:
        await asyncio.gather(*(operator.inventory() for operator in opened))
        while not ending.is_set():
            number, place = int(rng.integers(setup.agents)), int(rng.integers(setup.cells_per_agent))
            began_s = time.perf_counter()
            await opened[number].wake([cell_names(number, place + 1)[place]], OPERATOR, "benchmark")
            took_ms.append((time.perf_counter() - began_s) * 1e3)
            await asyncio.sleep(PAUSE_S)
    return took_ms
