"""``quietcell stop`` and ``quietcell wake``: straight to the agents; a stop of all also to the controller."""

from __future__ import annotations

import getpass
import json
import time
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.console import errors_to_stderr
from controller.cli.run_command import Config, Insecure, Json

if TYPE_CHECKING:
    from controller.live.config import LiveConfig
    from controller.live.direct import Answer, Target, Told
    from hw.adapters.control_client import ControlClient
    from hw.security.credentials import TlsFiles

Author = Annotated[
    str | None, typer.Option(help="Who asks. Default: the user of this process.", show_default=False)
]
Certificate = Annotated[
    str | None,
    typer.Option(
        "--as", help="Name of the certificate to call with. Default: the controller's.", show_default=False
    ),
]
EXIT_INCOMPLETE = 1


def stop(
    config: Config,
    reason: Annotated[str, typer.Option(help="Why; kept with the latch.")],
    author: Author = None,
    clear: Annotated[
        bool,
        typer.Option("--clear", help="Clear the latch instead; with the certificate of an administrator."),
    ] = False,
    agent: Annotated[
        list[str] | None, typer.Option(help="Only this agent; again for more. Default: all.")
    ] = None,
    certificate: Certificate = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Set the stop latch of all agents: every cell wakes, every site charges safely, and so it stays until cleared.

    Goes to all agents at once and needs no controller; without --agent the controller is told as well. Ends with 1 if
    an agent did not confirm, or if --clear did not reach the controller.

    Example: quietcell stop --config live.yaml --reason "interference at the stadium"
    """
    with errors_to_stderr():
        import asyncio

        from controller.live import direct

        told, files, targets = _targets(config, agent or (), certificate, insecure)
        call = direct.clear if clear else direct.stop
        listens = [] if agent else [told.listen, *_peer(told)]

        async def ask() -> tuple[list[Answer], Told | None]:
            agents = call(targets, author or getpass.getuser(), reason)
            if not listens:
                return await agents, None

            def say(client: ControlClient) -> Awaitable[None]:
                return client.clear_stop(reason) if clear else client.stop(reason)

            return await asyncio.gather(agents, direct.tell_controller(listens, files, say))

        answers, controller = asyncio.run(ask())
        document = _document("quietcell.clear/1" if clear else "quietcell.stop/1", answers)
        if controller is not None:
            document["controller"] = {"state": controller.state, "cause": controller.cause}
        if not clear:
            _add_lease_ends(document, told)
    _print(document, "cleared" if clear else "stopped", as_json)


def wake(
    config: Config,
    cells: Annotated[
        list[str] | None, typer.Argument(help="Cells to wake, sites to charge safely. Default: all.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why.")] = "by hand",
    author: Author = None,
    certificate: Certificate = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Bring cells to full service at once. They may rest again with the next plan; `quietcell stop` keeps them awake.

    Ends with 1 if an agent did not confirm, or if nobody has a cell that was named.

    Example: quietcell wake --config live.yaml A17-1 A17-2
    """
    with errors_to_stderr():
        import asyncio

        from controller.live import direct

        _, _, targets = _targets(config, (), certificate, insecure)
        names = cells or []
        answers = asyncio.run(direct.wake(targets, names, author or getpass.getuser(), reason))
        answers = [answer for answer in answers if answer.state != "not there"]
        document = _document("quietcell.wake/1", answers)
        woken = {name for answer in answers for name in answer.names}
        document["not_woken"] = [name for name in names if name not in woken]
    _print(document, "woken", as_json)


def _targets(
    path: Path, only: Sequence[str], certificate_name: str | None, insecure: bool
) -> tuple[LiveConfig, TlsFiles | None, list[Target]]:
    from controller.errors import ConfigError
    from controller.live.config import load_live
    from controller.live.dialling import certificate, dial_of
    from controller.live.direct import Target

    told = load_live(path)
    files = certificate(told, certificate_name or told.controller, insecure=insecure)
    unknown = sorted(set(only) - {agent.id for agent in told.agents})
    if unknown:
        raise ConfigError(f"--agent: {unknown[0]!r} is not among the agents of {path}")
    chosen = [agent for agent in told.agents if not only or agent.id in only]
    return told, files, [Target(dial_of(agent, files), agent.kind) for agent in chosen]


def _peer(told: LiveConfig) -> list[str]:
    """Where the other controller listens, which may be the one that leads."""
    return [] if told.standby is None or told.standby.peer is None else [told.standby.peer]


def _document(schema: str, answers: Sequence[Answer]) -> dict[str, Any]:
    def named(state: str) -> list[str]:
        return [answer.agent_id for answer in answers if answer.state == state]

    return {
        "schema": schema,
        "confirmed": named("confirmed"),
        "refused": named("refused"),
        "unreachable": named("unreachable"),
        "agents": [
            {
                "agent": answer.agent_id,
                "kind": answer.kind,
                "state": answer.state,
                "changed": answer.changed,
                "wake_ms": answer.wake_ms,
                "cause": answer.cause,
            }
            for answer in answers
        ],
    }


def _add_lease_ends(document: dict[str, Any], told: LiveConfig) -> None:
    """When the cells of an agent that was not reached wake by lease at the latest, if nobody renews it."""
    away = [agent for agent in document["agents"] if agent["state"] != "confirmed"]
    if not away:
        return
    wake_s = _longest_wake_s(told)
    for agent in away:
        term_s = told.lease_s + (wake_s if agent["kind"] == "ran" else 0.0)
        latest = datetime.fromtimestamp(time.time() + term_s, UTC)
        agent["awake_by"] = latest.isoformat(timespec="seconds").replace("+00:00", "Z")
    has_told = document.get("controller", {}).get("state") == "confirmed"
    others = (
        "no other controller reaches them" if has_told else "no controller still reaches them: stop it too"
    )
    document["assumes"] = (
        f"the configured lease of {told.lease_s} s, the world's longest wake time of {wake_s:g} s, and that {others}"
    )


def _longest_wake_s(told: LiveConfig) -> float:
    """Longest time until a cell of the configured world serves at full; a calibrated one wakes like the default. [s]"""
    from controller.worlds import CALIBRATED, DEFAULT_WORLD, load_world

    name = told.world or DEFAULT_WORLD
    if name == CALIBRATED or name.endswith(".json"):
        name = DEFAULT_WORLD
    return float(max(load_world(name).world.wake_s))


def _print(document: dict[str, Any], done: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(document, indent=2, allow_nan=False))
    else:
        for agent in document["agents"]:
            typer.echo(_line(agent, done))
        for name in document.get("not_woken", ()):
            typer.echo(f"{name}  NOT WOKEN: no agent confirmed it; check its name and its agent")
        if "assumes" in document:
            typer.echo(f"awake at the latest assumes {document['assumes']}")
        if "controller" in document:
            typer.echo(_controller_line(document["controller"], done))
        typer.echo(f"{len(document['confirmed'])} of {len(document['agents'])} agents confirmed")
    keeps = done == "cleared" and document.get("controller", {}).get("state", "confirmed") != "confirmed"
    if len(document["confirmed"]) < len(document["agents"]) or document.get("not_woken") or keeps:
        raise typer.Exit(EXIT_INCOMPLETE)


def _controller_line(controller: dict[str, str], done: str) -> str:
    if controller["state"] == "confirmed":
        return f"controller  {done}"
    state = "REFUSED" if controller["state"] == "refused" else "NOT REACHED"
    what = "it may keep its latch" if done == "cleared" else "count on the latches of the agents alone"
    return f"controller  {state}, {what}: {controller['cause']}"


def _line(agent: dict[str, Any], done: str) -> str:
    if agent["state"] == "confirmed":
        if done == "cleared":
            return f"{agent['agent']}  cleared"
        what = "cells wake" if agent["kind"] == "ran" else "sites go to safe charging"
        within = f" within {agent['wake_ms'] / 1000:g} s" if agent["wake_ms"] else ""
        return f"{agent['agent']}  {done}: {agent['changed']} {what}{within}"
    state = "REFUSED" if agent["state"] == "refused" else "NOT REACHED"
    by = f"; awake by lease at {agent['awake_by']} at the latest" if "awake_by" in agent else ""
    return f"{agent['agent']}  {state}: {agent['cause']}{by}"
