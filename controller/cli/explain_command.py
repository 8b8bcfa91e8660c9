"""``quietcell explain``: why a cell was at its level at a time, in a replay or under a running controller."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from controller.cli.console import errors_to_stderr, plain, stage_bar
from controller.cli.guard_option import Guarded
from controller.cli.lever_option import Levers, check_levers
from controller.cli.model_option import ModelFile
from controller.cli.run_command import Insecure
from controller.cli.run_task import merged, read_task
from controller.cli.site_option import sites_path
from controller.cli.status_commands import asked
from controller.cli.stop_command import Certificate
from controller.cli.traces_commands import AssumeOverlay, Mapping, TimeZone
from controller.config import RunConfig
from controller.errors import ConfigError

if TYPE_CHECKING:
    from hw.adapters.control import CellExplanation
    from hw.adapters.control_client import ControlClient

PIPED_WIDTH = 120  # characters, where standard output is no terminal


def explain(
    cell: Annotated[str, typer.Argument(help="Identifier of the cell.")],
    time: Annotated[
        str | None,
        typer.Argument(
            help="A time in the tick to explain: local as '2023-03-01 02:15', or with an offset as 2023-03-01T01:15Z.",
            show_default=False,
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Argument(
            help="A file or folder in a known layout. Default: the bundled sample.", show_default=False
        ),
    ] = None,
    policy: Annotated[
        str,
        typer.Option(help="Policy: timer, threshold, predictive, a plug-in or the file of a policy network."),
    ] = "predictive",
    world: Annotated[
        str | None,
        typer.Option(help="Hardware as in `quietcell replay`. Default: 3gpp-cat1-set1.", show_default=False),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(help="Shipped profile or profile file. Default: balanced.", show_default=False),
    ] = None,
    model: ModelFile = None,
    guard: Guarded = False,
    lever: Levers = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document (quietcell.explanation/1).")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the traffic inside the steps. Default: 0.", min=0)
    ] = None,
    time_zone: TimeZone = None,
    assume_overlay: AssumeOverlay = False,
    mapping: Mapping = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML file (quietcell.config/1) with any of these.")
    ] = None,
    live: Annotated[
        Path | None,
        typer.Option(
            help="Ask the running controller of this configuration (quietcell.live/1) about its last plan instead.",
            show_default=False,
        ),
    ] = None,
    certificate: Certificate = None,
    insecure: Insecure = False,
) -> None:
    """Explain one decision: what was decided and why, what else could have been, and what came.

    Replays the cell and what it is planned with from the start of the trace, as `quietcell replay` does with the same
    options, up to that time and on to the end of what was decided.

    Examples:

      quietcell explain S00003-2-n78 '2025-03-08 02:15'

      quietcell explain A17 2023-03-01T01:15Z my-network --guard --json

      quietcell explain A17 --live live.yaml
    """
    if live is not None:
        _of_controller(cell, time, live, certificate, insecure, as_json)
        return
    with errors_to_stderr():
        if time is None:
            raise ConfigError(
                "give the time of the decision, or --live FILE for the last plan of a controller"
            )
        settings = merged(
            config,
            {
                "trace": trace,
                "world": world,
                "profile": profile,
                "model": model,
                "guard": guard or None,
                "levers": check_levers(lever) or None,
                "seed": seed,
                "time_zone": time_zone,
                "assume_overlay": assume_overlay or None,
                "mapping": mapping,
            },
        )
        document = _explanation(settings, policy, cell, time, str(config))
    if as_json:
        typer.echo(json.dumps(document, indent=2, allow_nan=False))
        return
    from controller.cli.explanation_view import print_explanation

    console = Console(highlight=False)
    print_explanation(
        document, console if console.is_terminal else Console(width=PIPED_WIDTH, highlight=False)
    )


def _of_controller(
    cell: str, time: str | None, live: Path, certificate: str | None, insecure: bool, as_json: bool
) -> None:
    async def ask(client: ControlClient) -> CellExplanation:
        return await client.explain(cell)

    with errors_to_stderr():
        if time is not None:
            raise ConfigError("--live tells of the last plan only; leave the time out")
    found = asked(live, certificate, insecure, ask)
    if as_json:
        typer.echo(json.dumps(plain({"schema": "quietcell.cell-explanation/1", **asdict(found)}), indent=2))
        return
    from controller.cli.explanation_view import print_last_plan

    print_last_plan(found, Console(highlight=False))


def _explanation(settings: RunConfig, policy: str, cell: str, time: str, source: str) -> dict[str, Any]:
    from controller.explain.document import explanation
    from controller.explain.place import find_cell, find_tick
    from controller.explain.rerun import rerun
    from controller.replay.planning import check_model
    from controller.replay.scene import make_clock

    task, (name,) = read_task(settings, [policy], source)
    if settings.site is not None:
        from controller.site.replaying import prepare_for, with_prices
        from controller.site.sites_file import SitesFile

        task = with_prices(task, prepare_for(SitesFile(sites_path(settings.site)), task))
    check_model(task)
    index = find_cell(task.trace, cell)
    tick = find_tick(time, make_clock(task.trace, task.world), task.trace.source)
    with stage_bar("replay") as tell:
        return explanation(name, task, rerun(name, task, index, tick, tell))
