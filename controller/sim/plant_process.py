"""The process of the simulated plant: serves until it is told to end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress

from controller.sim.building import PlantModel
from hw.ports import HostClock
from hw.sim_plant.plant import PlantSim
from hw.sim_plant.server import start_server

LONGEST_REST_S = 1.0  # without a look at timers and samples
SHORTEST_REST_S = 0.02
GRACE_S = 0.5  # for requests under way at the end

Tell = Callable[[str], None]


async def serve_plant(model: PlantModel, clock: HostClock, address: str, tell: Tell) -> None:
    """Serve a plant on ``unix:PATH`` or a loopback address until SIGTERM or SIGINT.

    ``tell`` is told when it serves, when the trace starts over, and at the end what was saved.
    """
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    plant = model.start(clock)
    server, bound = await start_server(plant, clock, address)
    tell(
        f"plant: {len(model.names.cell_id)} cells of {len(plant.agents)} agents ({plant.agents[0]} .. "
        f"{plant.agents[-1]}) on {bound}, {clock.speed:g} times as fast as time"
    )
    try:
        await _keep_up(plant, clock, ended, tell)
    finally:
        await server.stop(GRACE_S)
    energy = plant.radio.book.energy()
    tell(f"plant: ended; radio energy {100 * energy.saved_ratio:.2f} % below none")


async def _keep_up(plant: PlantSim, clock: HostClock, ended: asyncio.Event, tell: Tell) -> None:
    """Work off samples and timers as they come, so that no request has to wait for long."""
    said = plant.radio.rounds
    while not ended.is_set():
        plant.advance(clock.monotonic_us())
        if plant.radio.rounds > said:
            tell("plant: the trace is over and starts over")
            said = plant.radio.rounds if said else 2**62
        ahead_s = (plant.radio.next_event_us - clock.monotonic_us()) / 1e6 / clock.speed
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), min(max(ahead_s, SHORTEST_REST_S), LONGEST_REST_S))
