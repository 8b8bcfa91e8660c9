"""``quietcell lab``: a whole network with its controller on this machine, to look at and to break."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from controller.cli.console import SAMPLE, errors_to_stderr
from controller.cli.site_option import sites_path
from controller.errors import ConfigError

NO_SITES = "none"
POWER_AGENTS = 2  # at whose sites the sample's batteries stand: more would slow the start and the first plans


def lab(
    out: Annotated[Path, typer.Option(help="Folder for certificates, traces, journal and logs.")] = Path(
        "lab"
    ),
    cells: Annotated[int, typer.Option(min=1, help="Cells of the invented network.")] = 2000,
    agents: Annotated[int, typer.Option(min=1, help="Site agents that share them.")] = 20,
    speed: Annotated[float, typer.Option(help="Times as fast as time.")] = 60.0,
    hours: Annotated[
        float | None, typer.Option(help="Simulated hours to run. Default: until Ctrl-C.", show_default=False)
    ] = None,
    policy: Annotated[str, typer.Option(help="Policy of the controller.")] = "predictive",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the network.")] = 0,
    stage: Annotated[
        Literal["shadow", "advise", "act"],
        typer.Option(help="Where it begins: shadow only watches, advise waits for approval."),
    ] = "act",
    site: Annotated[
        str,
        typer.Option(
            "--site",
            help="Sites file: batteries, and a power agent beside each agent of such sites. `sample` equips those of "
            f"the first {POWER_AGENTS} agents as the bundled sample's; `none`: no batteries.",
        ),
    ] = SAMPLE,
) -> None:
    """Start a simulated plant, agents and the controller, over mutual TLS, in accelerated time.

    Prints what the controller does. Ctrl-C ends all, after the cells are awake; the folder stays, with the journal for
    `quietcell journal`, and with certificates for `quietcell stop`, `quietcell wake` and other clients.

    Example: quietcell lab --out lab --hours 6

    Example: quietcell lab --stage shadow, then quietcell stage to go up
    """
    with errors_to_stderr():
        import asyncio

        from controller.sim.lab import LabPlan, prepare, run_lab

        if not speed > 0:
            raise ConfigError(f"--speed must be above 0, not {speed}")
        if agents > cells:
            raise ConfigError(
                f"--agents {agents} is more than --cells {cells}; an agent has at least one site"
            )
        sites = None if site == NO_SITES else sites_path(site)
        first = min(POWER_AGENTS, agents) if site == SAMPLE else None
        plan = LabPlan(out, cells, agents, speed, policy, seed, stage, sites, first)
        made = prepare(plan, typer.echo)
        typer.echo(f"lab: try: quietcell stop --config {out / 'live.yaml'} --reason trying --as operator")
        asyncio.run(run_lab(made, hours, typer.echo))
