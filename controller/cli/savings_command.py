"""``quietcell savings``: ask a running controller what acting saves and what it does to users."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from controller.cli.console import plain
from controller.cli.run_command import Config, Insecure, Json
from controller.cli.status_commands import asked
from controller.cli.stop_command import Certificate

if TYPE_CHECKING:
    from hw.adapters.control import Estimate, SavingsStatus
    from hw.adapters.control_client import ControlClient

MAX_SHOWN = 40


def savings(
    config: Config,
    every: Annotated[bool, typer.Option("--all", help="All sites and cells, not the first of them.")] = False,
    certificate: Certificate = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Say what acting has saved lately, with 95 % intervals, and what it did to users.

    Of the network, regions, sites that act, canaries and days; users are compared with their controls and their past.
    By matched controls and by the calibrated baseline, docs/canary.md; JSON has both beside their combination. The
    controller's own energy is estimated, and the network's saving told net of it.

    Example: quietcell savings --config live.yaml
    """

    async def ask(client: ControlClient) -> SavingsStatus:
        return await client.savings()

    found = asked(config, certificate, insecure, ask)
    if as_json:
        typer.echo(json.dumps({"schema": "quietcell.savings/1", **plain(asdict(found))}, indent=2))
        return
    _print(found, len(found.rows) if every else MAX_SHOWN)


def _print(found: SavingsStatus, most: int) -> None:
    console = Console(highlight=False)
    if found.cause:
        console.print(f"nothing can be told: {found.cause} ({found.history_days} days of history)")
        return
    console.print(
        f"{_utc(found.since_unix_us)} to {_utc(found.until_unix_us)}, against {found.history_days} days at full"
        f" service and {found.control_sites} sites that did not act"
    )
    table = Table(box=box.SIMPLE)
    for column in ("", "saved", "95 %", "energy", "users", "bits per joule"):
        table.add_column(column, justify="left" if not column else "right")
    for row in found.rows[:most]:
        table.add_row(
            f"{row.kind} {row.name}".strip(),
            _percent(row.combined.value),
            _interval(row.combined),
            f"{row.energy_wh / 1000:.1f} kWh",
            _percent(row.users_ratio, signed=True),
            _percent(row.efficiency_gain, signed=True),
        )
    console.print(table)
    if len(found.rows) > most:
        console.print(f"and {len(found.rows) - most} more: --all")
    if found.own is not None:
        own = found.own
        console.print(
            f"the controller itself: about {own.energy_wh / 1000:.3f} kWh in the same time, by its mean power since"
            f" {_utc(own.since_unix_us)}; the network saved {_percent(own.net.value)} net of it ({_interval(own.net)})"
        )


def _percent(ratio: float, *, signed: bool = False) -> str:
    return "-" if not math.isfinite(ratio) else f"{100 * ratio:{'+' if signed else ''}.1f} %"


def _interval(found: Estimate) -> str:
    known = math.isfinite(found.low) and math.isfinite(found.high)
    return f"{100 * found.low:.1f} .. {100 * found.high:.1f} %" if known else "-"


def _utc(unix_us: int) -> str:
    return datetime.fromtimestamp(unix_us / 1e6, UTC).strftime("%Y-%m-%d %H:%MZ")
