"""``quietcell agent ran`` and ``quietcell agent power``: the servers at a site that hold leases on their own."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.console import errors_to_stderr
from controller.errors import ConfigError

if TYPE_CHECKING:
    from hw.agents.serving import AgentServer, Door
    from hw.ports import HostClock

app = typer.Typer(help="Agents at a site: they enforce leases and keep service when the controller is gone.")

Id = Annotated[str, typer.Option("--id", help="Identity of the agent, equal to the name in its certificate.")]
Listen = Annotated[str, typer.Option(help="Address to serve on.")]
Plant = Annotated[str, typer.Option(help="Address of the simulated plant, see `quietcell plant`.")]
Sim = Annotated[bool, typer.Option("--sim", help="The plant is simulated; there is no driver for another.")]
State = Annotated[Path, typer.Option(help="Folder for what the agent must not forget; made if absent.")]
Tls = Annotated[
    Path | None, typer.Option(help="Folder with certificates, see `quietcell certs`.", show_default=False)
]
Insecure = Annotated[bool, typer.Option("--insecure", help="No TLS; on loopback only.")]
Speed = Annotated[float, typer.Option(help="Times as fast as time, as the plant.")]
Began = Annotated[
    float | None,
    typer.Option(help="Unix time at which the simulation began. [s] Default: now.", show_default=False),
]
Shown = Annotated[
    float | None,
    typer.Option(
        help="Unix time shown by the simulation when it began. [s] Default: the same.",
        show_default=False,
    ),
]
Serve = Callable[["HostClock", "Door"], Coroutine[Any, Any, "AgentServer"]]


@app.command("ran")
def ran(
    agent_id: Id,
    plant: Plant,
    listen: Listen = "127.0.0.1:50051",
    state: State = Path("agent-state"),
    sim: Sim = False,
    tls: Tls = None,
    insecure: Insecure = False,
    speed: Speed = 1.0,
    began: Began = None,
    shown: Shown = None,
    allow_without_dead_man: Annotated[
        list[str] | None,
        typer.Option(
            help="Cell that may sleep although its radio has no timer to wake it by itself; may be repeated.",
            metavar="CELL",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Serve the cells of a site: levels by lease, waking at once, full service when nobody renews.

    Ends with Ctrl-C or SIGTERM, after all cells are awake.

    Example: quietcell agent ran --id site-001 --plant unix:plant.sock --sim --insecure
    """
    allowed = frozenset(allow_without_dead_man or ())

    async def serve(clock: HostClock, door: Door) -> AgentServer:
        from hw.agents.disk import AgentDisk
        from hw.agents.radio_core import RadioLimits
        from hw.agents.radio_server import serve_radio
        from hw.agents.running import Pace
        from hw.sim_plant.link import RadioPlantLink

        link, disk = RadioPlantLink(plant, agent_id), AgentDisk(state, f"{agent_id}.ran")
        limits = RadioLimits(without_dead_man=allowed)
        door = replace(door, heads=disk.heads)
        return await serve_radio(agent_id, link, disk, clock, door, limits, Pace(speed=speed))

    if allowed:
        typer.echo(
            f"may sleep without a dead-man timer, as configured: {', '.join(sorted(allowed))}", err=True
        )
    _run(serve, agent_id, listen, sim, tls, insecure, (speed, began, shown))


@app.command("power")
def power(
    agent_id: Id,
    plant: Plant,
    listen: Listen = "127.0.0.1:50052",
    state: State = Path("agent-state"),
    sim: Sim = False,
    tls: Tls = None,
    insecure: Insecure = False,
    speed: Speed = 1.0,
    began: Began = None,
    shown: Shown = None,
    plant_name: Annotated[
        str | None,
        typer.Option(
            help="Agent whose sites the plant is asked for. Default: the identity.", show_default=False
        ),
    ] = None,
) -> None:
    """Serve the batteries of sites: setpoints by lease, a reserve of its own, safe charging when nobody renews.

    Ends with Ctrl-C or SIGTERM, after all sites charge safely.

    Example: quietcell agent power --id site-001-power --plant-name site-001 --plant unix:plant.sock --sim --insecure
    """

    async def serve(clock: HostClock, door: Door) -> AgentServer:
        from controller.live.site_program import SiteProgram
        from hw.agents.disk import AgentDisk
        from hw.agents.power_core import PowerLimits
        from hw.agents.power_server import serve_power
        from hw.agents.running import Pace
        from hw.sim_plant.link import PowerPlantLink

        link, disk = PowerPlantLink(plant, plant_name or agent_id), AgentDisk(state, f"{agent_id}.power")
        pace, rules = Pace(speed=speed), SiteProgram()
        door = replace(door, heads=disk.heads)
        return await serve_power(agent_id, link, disk, clock, door, PowerLimits(), pace, rules)

    _run(serve, agent_id, listen, sim, tls, insecure, (speed, began, shown))


def _run(
    serve: Serve,
    agent_id: str,
    listen: str,
    sim: bool,
    tls: Path | None,
    insecure: bool,
    time: tuple[float, float | None, float | None],
) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with errors_to_stderr():
        if not sim:
            raise ConfigError("--sim is missing: only simulated plants can be driven; see `quietcell plant`")
        try:
            asyncio.run(_serve(serve, agent_id, _clock(*time), _door(agent_id, listen, tls, insecure)))
        except ValueError as error:
            raise ConfigError(str(error)) from error


def _clock(speed: float, began: float | None, shown: float | None) -> HostClock:
    from time import time

    from hw.ports import HostClock

    began_us = round((time() if began is None else began) * 1e6)
    return HostClock(speed, began_us, None if shown is None else round(shown * 1e6))


def _door(agent_id: str, listen: str, tls: Path | None, insecure: bool) -> Door:
    from hw.agents.serving import Door
    from hw.security.credentials import choose_files, server_credentials
    from hw.security.gate import Gate, caller
    from hw.security.limits import Limits
    from hw.security.revoked import revoked_in

    files = choose_files(tls, agent_id, insecure, [listen])
    gate = Gate(Limits(), is_insecure=files is None, revoked=revoked_in(files))
    if files is None:
        return Door(listen, interceptors=(gate,))
    return Door(listen, server_credentials(files), caller, (gate,))


async def _serve(serve: Serve, agent_id: str, clock: HostClock, door: Door) -> None:
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    beginning = asyncio.ensure_future(serve(clock, door))
    ended = asyncio.ensure_future(ending.wait())
    await asyncio.wait([beginning, ended], return_when=asyncio.FIRST_COMPLETED)
    if not beginning.done():  # still waiting for the plant
        beginning.cancel()
        return
    server = beginning.result()
    typer.echo(f"agent {agent_id} serves on {door.listen}, port {server.port}")
    running = asyncio.ensure_future(server.wait())
    await asyncio.wait([running, ended], return_when=asyncio.FIRST_COMPLETED)
    has_failed = running.done()  # before closing, which ends it too
    running.cancel()
    await server.close()
    if has_failed:
        running.result()
