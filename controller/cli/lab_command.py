"""``quietcell lab``: a whole network with its controller on this machine, to look at and to break."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.console import errors_to_stderr
from controller.errors import ConfigError


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
) -> None:
    """Start a simulated plant, agents and the controller, over mutual TLS, in accelerated time.

    Prints what the controller does. Ctrl-C ends all, after the cells are awake; the folder stays, with the journal for
    `quietcell journal`, and with certificates for `quietcell stop`, `quietcell wake` and other clients.

    Example: quietcell lab --out lab --hours 6
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
        made = prepare(LabPlan(out, cells, agents, speed, policy, seed), typer.echo)
        typer.echo(f"lab: try: quietcell stop --config {out / 'live.yaml'} --reason trying --as operator")
        asyncio.run(run_lab(made, hours, typer.echo))
