"""``quietcell plant`` and ``plant-fault``: a simulated network to control, and what can go wrong in it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.console import SAMPLE, errors_to_stderr, read_with_progress
from controller.cli.site_option import sites_path
from controller.cli.traces_commands import AssumeOverlay, TimeZone
from controller.errors import ConfigError

if TYPE_CHECKING:
    from controller.sim.building import PlantModel
    from hw.ports import HostClock
    from hw.sim_plant.faults import Fault

Address = Annotated[str, typer.Option(help="Where the plant is: unix:PATH or a loopback address.")]


def plant(
    listen: Annotated[str, typer.Option(help="unix:PATH, or a loopback address such as 127.0.0.1:50050.")],
    trace: Annotated[
        Path | None,
        typer.Argument(
            help="The traffic that is true: a file or folder in a known layout. Default: the sample."
        ),
    ] = None,
    world: Annotated[str | None, typer.Option(help="Hardware, as for replay.", show_default=False)] = None,
    agents: Annotated[
        int | None,
        typer.Option(help="Agents site-001, ... that share the sites. Default: one a site.", min=1),
    ] = None,
    assign: Annotated[
        Path | None, typer.Option(help="File (quietcell.agents/1) that names the agents and their sites.")
    ] = None,
    site: Annotated[
        Path | None,
        typer.Option("--site", help="Sites file for site power; `sample` for that of the sample."),
    ] = None,
    speed: Annotated[float, typer.Option(help="Times as fast as time.")] = 1.0,
    began: Annotated[
        float | None,
        typer.Option(help="Unix time at which the trace began. [s] Default: now.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the traffic inside the steps.", min=0)] = 0,
    time_zone: TimeZone = None,
    assume_overlay: AssumeOverlay = False,
) -> None:
    """Simulate the radios and the site power behind many agents, with a trace as the truth.

    Every cell has a dead-man timer and wakes by itself when nobody moves it on. Ends with Ctrl-C or SIGTERM.

    Example: quietcell plant --listen unix:plant.sock --agents 4 --speed 60
    """
    with errors_to_stderr():
        if agents is not None and assign is not None:
            raise ConfigError("--agents and --assign both say who has which site; keep one")
        if not speed > 0:
            raise ConfigError(f"--speed must be above 0, not {speed}")
        _check_listen(listen)
        from controller.sim.assign import assign_evenly, read_assignment
        from controller.sim.building import build_plant, trace_start_us
        from controller.worlds import world_for
        from hw.ports import HostClock

        found = read_with_progress(trace or Path(SAMPLE), time_zone, assume_overlay)
        site_id = found.cells.site_id
        shared = assign_evenly(site_id, agents) if assign is None else read_assignment(assign, site_id)
        sites = None if site is None else sites_path(str(site))
        model = build_plant(found, world_for(world, found), shared, seed=seed, sites=sites)
        start_us = trace_start_us(found)

        def clock() -> HostClock:
            return HostClock(speed, round((time.time() if began is None else began) * 1e6), start_us)

        model.warm_up(clock())
        _serve(model, clock(), listen)


def _check_listen(listen: str) -> None:
    from hw.sim_plant.addresses import check_local
    from hw.sim_plant.errors import PlantError

    try:
        check_local(listen)
    except PlantError as error:
        raise ConfigError(f"--listen {error}") from None


def _serve(model: PlantModel, clock: HostClock, listen: str) -> None:
    import asyncio

    from controller.sim.plant_process import serve_plant

    asyncio.run(serve_plant(model, clock, listen, typer.echo))


def plant_fault(
    fault: Annotated[
        str,
        typer.Argument(
            help="frozen-counters, wrong-unit, stuck-relay, partial, slow-wake, silent, outage, local-control, "
            "reboot or slow-users."
        ),
    ],
    address: Address,
    agent: Annotated[str, typer.Option(help="At which agent. Default: at all.", show_default=False)] = "",
    cell: Annotated[
        list[str] | None, typer.Option(help="Only at this cell; may be repeated.", show_default=False)
    ] = None,
    share: Annotated[float, typer.Option(min=0, max=1, help="How much slower, for slow-users.")] = 0.1,
    heal: Annotated[bool, typer.Option("--heal", help="Heal it instead.")] = False,
) -> None:
    """Inject a fault into a simulated plant that runs, or heal it.

    Example: quietcell plant-fault silent --agent site-003 --address unix:plant.sock
    """
    with errors_to_stderr():
        import asyncio

        asyncio.run(_inject(address, agent, _fault(fault), heal, cell or (), share))
    where = ", ".join(f"cell {name}" for name in cell or ()) or (f"agent {agent}" if agent else "all agents")
    typer.echo(f"{fault} {'healed' if heal else 'injected'} at {where}")


def _fault(name: str) -> Fault:
    from hw.sim_plant.faults import Fault

    known = {fault.name.lower().replace("_", "-"): fault for fault in Fault}
    if name not in known:
        raise ConfigError(f"fault {name!r} is not known; use one of {', '.join(known)}")
    return known[name]


async def _inject(
    address: str, agent: str, fault: Fault, heal: bool, cells: Sequence[str], share: float
) -> None:
    from hw.sim_plant.link import PlantLink

    link = PlantLink(address)
    try:
        await link.inject(agent, fault, heals=heal, cell_id=cells, share=share)
    finally:
        await link.close()
