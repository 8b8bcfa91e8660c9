"""``quietcell sites``: ask a running controller where its sites with batteries stand, and why."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from controller.cli.run_command import Config, Insecure, Json
from controller.cli.status_commands import asked
from controller.cli.stop_command import Certificate

if TYPE_CHECKING:
    from hw.adapters.control import PowerStatus, SiteStatus
    from hw.adapters.control_client import ControlClient

COLUMNS = (
    "site",
    "stage",
    "charge",
    "battery",
    "import",
    "limit",
    "above reserve",
    "mains",
    "program",
    "why",
)


def sites(
    config: Config,
    names: Annotated[list[str] | None, typer.Argument(help="Only these. Default: all.")] = None,
    agent: Annotated[str, typer.Option(help="Only those of this power agent.")] = "",
    safe: Annotated[bool, typer.Option("--safe", help="Only those that charge safely.")] = False,
    certificate: Certificate = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """List sites with batteries: what they store, do and import, their reserve, and why.

    Battery power is above 0 while it discharges. A site without a limit charges safely, or its connection has none.

    Example: quietcell sites --config live.yaml --safe
    """

    async def ask(client: ControlClient) -> list[SiteStatus]:
        from hw.adapters.control import SiteQuery

        query = SiteQuery(tuple(names or ()), agent, safe)
        return [site async for site in client.sites(query)]

    found = asked(config, certificate, insecure, ask)
    if as_json:
        document = {"schema": "quietcell.site-status/1", "sites": [_document(site) for site in found]}
        typer.echo(json.dumps(document, indent=2, allow_nan=False))
        return
    table = Table(box=box.SIMPLE)
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for site in found:
        table.add_row(*_row(site))
    console = Console(highlight=False)
    console.print(table)
    console.print(f"{len(found)} sites")


def print_power(console: Console, power: PowerStatus) -> None:
    """How site power stands as a whole."""
    console.print(
        f"{power.leased} of {power.sites} sites with batteries are under a setpoint; they store "
        f"{power.stored_wh / 1000:.1f} kWh, reserve {power.floor_wh / 1000:.1f} kWh; batteries "
        f"{power.battery_w / 1000:+.1f} kW, import {power.import_w / 1000:.1f} kW",
        soft_wrap=True,
    )
    if power.safe:
        why = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in power.safe)
        console.print(Text(f"  charging safely: {why}; quietcell sites --safe", "yellow"), soft_wrap=True)
    for count, what in (
        (power.untrusted, "sites have a state of charge that is found wrong"),
        (power.without_mains, "sites have no mains"),
        (power.below_floor, "sites store less than their reserve"),
    ):
        if count:
            console.print(Text(f"  {count} {what}", "red"))


def _document(site: SiteStatus) -> dict[str, Any]:
    """A site without what is not known or not limited."""
    told = asdict(site) | {"margin_wh": site.margin_wh}
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in told.items()}


def _row(site: SiteStatus) -> tuple[str | Text, ...]:
    charge = Text(_number(100 * site.soc, "%", 0), "yellow" if site.untrusted_words else "")
    margin = Text(_number(site.margin_wh / 1000, "kWh", 1), "red" if site.margin_wh < 0 else "")
    why = [site.reason_words, site.untrusted_words, "by hand" * site.is_local]
    return (
        site.site_id,
        site.stage,
        charge,
        _number(site.battery_w / 1000, "kW", 1, sign="+"),
        _number(site.import_w / 1000, "kW", 1),
        _number(site.import_limit_w / 1000, "kW", 1),
        margin,
        "there" if site.has_mains else Text("GONE", "bold red"),
        site.program,
        Text("; ".join(filter(None, why)), "" if site.is_leased else "yellow"),
    )


def _number(value: float, unit: str, places: int, sign: str = "") -> str:
    return f"{value:{sign}.{places}f} {unit}" if math.isfinite(value) else "-"
