"""``quietcell init``: the first configuration of a controller."""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.console import errors_to_stderr
from controller.cli.run_command import Insecure

AGENT = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?=.+")


def init(
    folder: Annotated[Path, typer.Argument(help="Where live.yaml and CHECKLIST.md go.")],
    cells: Annotated[
        Path | None, typer.Option(help="Table of the cells (docs/trace-schema.md).", show_default=False)
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="A trace to take the cells from instead.", show_default=False)
    ] = None,
    agent: Annotated[
        list[str] | None,
        typer.Option(help="A site agent as id=host:port; again for more. Asked for if left out."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the controller. Default: that of the host.", show_default=False),
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="Folder of the journal. Default: the same.", show_default=False)
    ] = None,
    insecure: Insecure = False,
) -> None:
    """Write a commented configuration and a list of what to do before it commands anything.

    Asks for what is not given: the network and the agents. Overwrites nothing.

    Example: quietcell init edge --cells cells.csv --agent site-001=10.0.0.7:50051
    """
    if cells is not None and trace is not None:
        raise typer.BadParameter("give either --cells or --trace")
    if cells is None and trace is None:
        trace = Path(typer.prompt("Trace or folder to take the cells from", default="sample"))
    given = agent or typer.prompt("Agents as id=host:port, with spaces between").split()
    with errors_to_stderr():
        from controller.live.beginning import Wishes, begin

        network = cells if cells is not None else trace
        wishes = Wishes(
            folder=folder,
            state=state or folder,
            controller=name or _host_name(),
            source="trace" if cells is None else "cells",
            network=str(network if str(network) == "sample" else Path(str(network)).absolute()),
            agents=[_agent(one) for one in given],
            tls=not insecure,
        )
        paths = begin(wishes)
    for path in paths:
        typer.echo(f"wrote {path}")
    typer.echo(f"next: {paths[1]}")


def _agent(text: str) -> tuple[str, str]:
    if not AGENT.fullmatch(text):
        raise typer.BadParameter(
            f"{text!r} is not id=host:port; an id is 1 to 63 of a-z, 0-9 and -", param_hint="--agent"
        )
    agent_id, _, address = text.partition("=")
    return agent_id, address


def _host_name() -> str:
    """The host's name as the name of a certificate may be."""
    return re.sub(r"[^a-z0-9-]", "-", platform.node().split(".")[0].lower()).strip("-")[:63] or "edge-1"
