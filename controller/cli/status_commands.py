"""``quietcell status``, ``cells`` and ``alarms``: ask a running controller how it stands."""

from __future__ import annotations

import asyncio
import getpass
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from controller.cli.console import errors_to_stderr, utc_text
from controller.cli.run_command import Config, Insecure, Json
from controller.cli.stop_command import Certificate

if TYPE_CHECKING:
    from hw.adapters.control import AgentStatus, AlarmStatus, CellStatus, Status
    from hw.adapters.control_client import ControlClient

R = TypeVar("R")
EXIT_NOT_READY = 1
MAX_AGENTS_SHOWN = 10
STRANGE_S = 86_400.0  # older than this is simulated time
COLOURS = {"critical": "bold red", "major": "red", "warning": "yellow"}


def status(
    config: Config,
    watch: Annotated[
        bool, typer.Option("--watch", help="Print it again after each tick, until Ctrl-C.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Print nothing; end with 1 unless it is ready.")
    ] = False,
    certificate: Certificate = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Say how a running controller stands: ready, leading, cells by level, agents, alarms.

    Example: quietcell status --config live.yaml
    """

    def show(found: Status) -> None:
        if as_json:
            typer.echo(json.dumps({"schema": "quietcell.status/1", **asdict(found)}))
        else:
            _print_status(found)

    async def ask(client: ControlClient) -> bool:
        if not watch:
            found = await client.status()
            if not check:
                show(found)
            return found.is_ready
        async for found in client.watch():
            show(found)
        return True

    if not asked(config, certificate, insecure, ask) and check:
        raise typer.Exit(EXIT_NOT_READY)


def cells(
    config: Config,
    names: Annotated[list[str] | None, typer.Argument(help="Only these. Default: all.")] = None,
    agent: Annotated[str, typer.Option(help="Only those of this agent.")] = "",
    resting: Annotated[bool, typer.Option("--resting", help="Only those below full service.")] = False,
    stuck: Annotated[
        bool, typer.Option("--stuck", help="Only those long at another level than commanded.")
    ] = False,
    certificate: Certificate = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """List cells: the level that is commanded, the one that is reported, and why.

    Example: quietcell cells --config live.yaml --resting
    """

    async def ask(client: ControlClient) -> list[CellStatus]:
        from hw.adapters.control import CellQuery

        query = CellQuery(tuple(names or ()), agent, resting, stuck)
        return [cell async for cell in client.cells(query)]

    found = asked(config, certificate, insecure, ask)
    if as_json:
        document = {"schema": "quietcell.cells/1", "cells": [asdict(cell) for cell in found]}
        typer.echo(json.dumps(document, indent=2))
        return
    table = Table(box=box.SIMPLE)
    for column in ("cell", "agent", "commanded", "reported", "why", ""):
        table.add_column(column)
    for cell in found:
        notes = ["by hand"] * cell.is_local + ["STUCK"] * cell.is_stuck
        table.add_row(
            cell.cell_id, cell.agent_id, cell.commanded, cell.reported, cell.reason, ", ".join(notes)
        )
    console = Console(highlight=False)
    console.print(table)
    console.print(f"{len(found)} cells")


def alarms(
    config: Config,
    history: Annotated[bool, typer.Option("--history", help="Those that are over instead.")] = False,
    acknowledge: Annotated[
        int | None, typer.Option(help="Note that you have seen the alarm of this number.", show_default=False)
    ] = None,
    certificate: Certificate = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """List the alarms that stand, worst first, or acknowledge one.

    Example: quietcell alarms --config live.yaml --acknowledge 7 --as anna
    """

    async def ask(client: ControlClient) -> list[AlarmStatus]:
        if acknowledge is not None:
            return [await client.acknowledge(acknowledge, getpass.getuser())]
        return await client.alarms(history=history)

    found = asked(config, certificate, insecure, ask)
    if as_json:
        document = {"schema": "quietcell.alarms/1", "alarms": [asdict(alarm) for alarm in found]}
        typer.echo(json.dumps(document, indent=2))
        return
    console = Console(highlight=False)
    for alarm in found:
        console.print(_alarm_line(alarm), soft_wrap=True)
    if not found:
        console.print("no alarm is over" if history else "no alarm stands")


def asked(
    path: Path, certificate_name: str | None, insecure: bool, ask: Callable[[ControlClient], Awaitable[R]]
) -> R:
    """What a controller of a configuration answers."""
    with errors_to_stderr():
        from controller.live.config import load_live
        from hw.adapters.control_client import ControlClient
        from hw.security.credentials import choose_files, client_credentials

        told = load_live(path)
        folder = None if told.tls is None else Path(told.tls)
        files = choose_files(folder, certificate_name or told.controller, insecure, [told.listen])
        credentials = None if files is None else lambda: client_credentials(files)

        async def asked() -> R:
            async with ControlClient(told.listen, credentials) as client:
                return await ask(client)

        return asyncio.run(asked())


def _print_status(found: Status) -> None:
    console = Console(highlight=False)
    state = ("ready", "green") if found.is_ready else (f"NOT READY: {found.not_ready_cause}", "bold red")
    line = Text.assemble(
        f"{found.controller_id}  ", state, f"  term {found.leader_epoch}, policy {found.policy}"
    )
    console.print(line, soft_wrap=True)
    if not found.leads:
        console.print(Text("does not lead: agents follow a later leader, it only wakes", "bold red"))
    if found.is_stopped:
        console.print(Text("STOPPED: all cells are awake until an administrator clears it", "bold red"))
    if not found.tick_unix_us:
        console.print("no tick yet")
        return
    age_s = time.time() - found.tick_unix_us / 1e6
    age = f"{age_s:.0f} s ago" if 0 <= age_s < STRANGE_S else "by a clock that is not this host's"
    console.print(f"as of {utc_text(found.tick_unix_us)}, {age}; version {found.version}")
    table = Table(box=box.SIMPLE)
    for column in ("level", "commanded", "reported"):
        table.add_column(column, justify="left" if column == "level" else "right")
    for level in found.levels:
        if level.commanded or level.reported:
            table.add_row(level.level, str(level.commanded), str(level.reported))
    console.print(table)
    if found.cells_without_agent:
        console.print(f"{found.cells_without_agent} cells are named by no agent")
    if found.cells_stuck:
        console.print(Text(f"{found.cells_stuck} cells are stuck: quietcell cells --stuck", "red"))
    if found.canaries:
        console.print(f"{found.canaries} canaries are watched against controls")
    if found.canaries_wait:
        console.print(Text(f"no canary acts: {found.canaries_wait}", "yellow"), soft_wrap=True)
    if found.rolled_back:
        sites = ", ".join(site or "all sites of canaries" for site in found.rolled_back)
        console.print(Text(f"at full service for what users felt: {sites}", "red"), soft_wrap=True)
    _print_agents(console, found.agents)
    if found.power is not None:
        from controller.cli.site_commands import print_power

        _print_agents(console, found.power.agents, "power agents")
        print_power(console, found.power)
    waiting = f", {found.alarms_unacknowledged} not acknowledged" if found.alarms_unacknowledged else ""
    console.print(f"{found.alarms} alarms stand{waiting}")


def _print_agents(console: Console, agents: tuple[AgentStatus, ...], what: str = "agents") -> None:
    connected = sum(agent.is_connected for agent in agents)
    console.print(
        f"{connected} of {len(agents)} {what} connected, {sum(agent.leases for agent in agents)} leases"
    )
    troubled = [(agent, words) for agent in agents if (words := _trouble(agent))]
    for agent, words in troubled[:MAX_AGENTS_SHOWN]:
        console.print(Text(f"  {agent.agent_id}: {words}", "yellow"), soft_wrap=True)
    if len(troubled) > MAX_AGENTS_SHOWN:
        console.print(f"  and {len(troubled) - MAX_AGENTS_SHOWN} more")


def _trouble(agent: AgentStatus) -> str:
    """What is not as it should be at an agent."""
    if not agent.is_connected:
        return f"not connected: {agent.cause or 'it has ended its stream'}"
    if agent.is_stopped:
        return "its stop latch is set"
    if agent.is_silent:
        return "it sends no reports or no samples"
    return "" if agent.is_reconciled else "its state is not accounted for yet"


def _alarm_line(alarm: AlarmStatus) -> Text:
    colour = "dim" if alarm.cleared_unix_us else COLOURS[alarm.severity]
    line = Text.assemble(
        f"{alarm.number:>5}  ", (f"{alarm.severity:<8}", colour), f"  {utc_text(alarm.raised_unix_us)}  "
    )
    line.append(f"{alarm.about}: {alarm.text}")
    if alarm.cleared_unix_us:
        line.append(f"; over at {utc_text(alarm.cleared_unix_us)}")
    if alarm.acknowledged_unix_us:
        line.append(f"; seen by {alarm.acknowledged_by} at {utc_text(alarm.acknowledged_unix_us)}")
    return line
