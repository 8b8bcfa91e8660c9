"""``quietcell approve``, ``override`` and ``stage``: what operators say to a controller that runs."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from controller.cli.console import errors_to_stderr, utc_text
from controller.cli.run_command import Config, Insecure, Json

if TYPE_CHECKING:
    from hw.adapters.ladder import LadderClient, Said, Standing

As = Annotated[
    str, typer.Option("--as", help="Name of the certificate to call with, an operator's or administrator's.")
]
Site = Annotated[str | None, typer.Option(help="Only this site.", show_default=False)]
Region = Annotated[str | None, typer.Option(help="Only this region.", show_default=False)]
Reason = Annotated[str, typer.Option(help="Why; kept in the journal.")]
EXIT_REFUSED = 1
T = TypeVar("T")


def approve(
    config: Config,
    plan: Annotated[
        str | None,
        typer.Argument(help="The plan to let go out. Default: show what waits.", show_default=False),
    ] = None,
    site: Site = None,
    region: Region = None,
    name: As = "",
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Show what waits for approval and what is in force, or approve a plan at the stage advise.

    An approval holds until the planning interval of its plan ends. Exits with 1 where it is refused.

    Example: quietcell approve --config live.yaml 3-1741590000 --site S00003 --as anna
    """
    with errors_to_stderr():
        if plan is None:
            found = _ask(config, name, insecure, lambda client: client.standing())
            _show(found, as_json)
            return
        scope = _scope(None, site, region)
        said = _ask(config, name, insecure, lambda client: client.approve(plan, scope))
    _print(said, as_json)


def override(
    config: Config,
    what: Annotated[
        str, typer.Argument(help="awake, leave-alone, the name of the deepest level, or lift with --number.")
    ],
    reason: Reason,
    cell: Annotated[str | None, typer.Option(help="Only this cell.", show_default=False)] = None,
    site: Site = None,
    region: Region = None,
    hours: Annotated[float, typer.Option(min=0.01, max=8784, help="How long it holds. [h]")] = 4.0,
    number: Annotated[int, typer.Option(help="Number of the override to lift.")] = 0,
    name: As = "",
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Keep cells from what plans want of them: all of the network, or of one cell, site or region.

    To lift an override before its end, a second person must ask for the same within an hour.

    Example: quietcell override --config live.yaml awake --site S00003 --hours 6 --reason "a fair" --as anna
    """
    with errors_to_stderr():
        scope = _scope(cell, site, region)
        kind = {"awake": "awake", "leave-alone": "leave alone"}.get(what, "max level")
        level = what if kind == "max level" else ""

        def say(client: LadderClient) -> Awaitable[Said]:
            if what == "lift":
                return client.lift(number, reason)
            return client.override(scope, kind, level, round(hours * 3600), reason)

        said = _ask(config, name, insecure, say)
    _print(said, as_json)


def stage(
    config: Config,
    to: Annotated[str, typer.Argument(help="shadow, advise, canary or act.")],
    reason: Reason,
    site: Site = None,
    region: Region = None,
    name: As = "",
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Take sites to another stage. Down works at once; up once a second person has asked for the same within an hour.

    Example: quietcell stage --config live.yaml canary --region north --reason "two weeks of advice" --as chief
    """
    with errors_to_stderr():
        scope = _scope(None, site, region)
        said = _ask(config, name, insecure, lambda client: client.change_stage(scope, to, reason))
    _print(said, as_json)


def _scope(cell: str | None, site: str | None, region: str | None) -> tuple[str, str]:
    given = [(k, n) for k, n in (("cell", cell), ("site", site), ("region", region)) if n is not None]
    if len(given) > 1:
        raise typer.BadParameter("name at most one of --cell, --site and --region")
    return given[0] if given else ("network", "")


def _ask(config: Path, name: str, insecure: bool, call: Callable[[LadderClient], Awaitable[T]]) -> T:
    import asyncio

    from controller.errors import ConfigError
    from controller.live.config import load_live
    from hw.adapters.ladder import LadderClient, LadderError
    from hw.security.credentials import choose_files, client_credentials

    told = load_live(config)
    folder = None if told.tls is None else Path(told.tls)
    files = choose_files(folder, name or told.controller, insecure, [told.listen])

    async def ask() -> T:
        credentials = None if files is None else client_credentials(files)
        async with LadderClient(told.listen, credentials) as client:
            return await call(client)

    try:
        return asyncio.run(ask())
    except LadderError as error:
        raise ConfigError(str(error)) from error


def _print(said: Said, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"schema": "quietcell.ruling/1", **asdict(said)}, indent=2))
    else:
        number = f" (number {said.number})" if said.number else ""
        typer.echo(f"{said.verdict}{number}" + (f": {said.cause}" if said.cause else ""))
    if said.verdict == "refused":
        raise typer.Exit(EXIT_REFUSED)


def _show(found: Standing, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"schema": "quietcell.ladder/1", **asdict(found)}, indent=2))
        return
    for site, word in found.stages:
        typer.echo(f"{site}  {word}")
    if found.canaries_wait:
        typer.echo(f"no canary acts: {found.canaries_wait}")
    for cell, site, state, controls, until_us in found.canaries:
        until = f" until {utc_text(until_us)}" if until_us else ""
        against = f", compared with {', '.join(controls)}" if controls else ""
        typer.echo(f"canary {cell} at {site}: {state}{until}{against}")
    if found.plan_id:
        typer.echo(f"plan {found.plan_id} waits for approval until {utc_text(found.until_unix_us)}")
        for site, cells in found.sites:
            typer.echo(f"  {site}  {cells} cells would rest")
    for what, author, until_us in found.waiting:
        typer.echo(f"{what}, asked by {author}, waits for a second person until {utc_text(until_us)}")
    for number, kind, name, what, level, until_us, author, reason in found.overrides:
        place = f"{kind} {name}".strip()
        typer.echo(
            f"override {number}: {place} {what} {level} until {utc_text(until_us)}, by {author}: {reason}"
        )
