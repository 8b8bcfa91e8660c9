"""``quietcell run``: the live controller."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.console import errors_to_stderr

Config = Annotated[Path, typer.Option("--config", help="What the controller is told, quietcell.live/1.")]
Insecure = Annotated[bool, typer.Option("--insecure", help="Without TLS; on loopback only.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def run(
    config: Config,
    insecure: Insecure = False,
    speed: Annotated[
        float, typer.Option(help="Times as fast as time, with simulated agents that are just as fast.")
    ] = 1.0,
    began: Annotated[
        float | None,
        typer.Option(
            help="Unix time at which the simulated clock showed --shows. [s] Default: now.",
            show_default=False,
        ),
    ] = None,
    shows: Annotated[
        datetime | None,
        typer.Option(
            help="Time (UTC) that the simulated clock began with. Default: --began.", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Control the cells behind the site agents until Ctrl-C or SIGTERM; then wake them all.

    Prints a line whenever something changes. Reads the configuration again at SIGHUP. Ends with 0 when it was told to,
    with 1 after an error of its own, with 2 where it cannot start.

    Example: quietcell run --config live.yaml
    """
    with errors_to_stderr():
        import asyncio

        from controller.live.config import load_live
        from controller.live.process import serve
        from controller.live.telling import line_teller
        from hw.ports import HostClock

        if not speed > 0:
            raise typer.BadParameter("must be above 0", param_hint="--speed")
        told = load_live(config)
        began_us = round((time.time() if began is None else began) * 1e6)
        shown_us = None if shows is None else round(shows.replace(tzinfo=UTC).timestamp() * 1e6)
        clock = HostClock(speed, began_us, shown_us)
        tell = line_teller(typer.echo, as_json=as_json)
        code, is_closed = asyncio.run(
            serve(told, clock, tell, insecure=insecure, reread=lambda: load_live(config))
        )
    if not is_closed:
        sys.stdout.flush()
        os._exit(1)  # the thread of a disk that hangs would keep the process from ending
    raise typer.Exit(code)
