"""``quietcell doctor``: what could keep a controller from working, each with its remedy."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.text import Text

from controller.cli.run_command import Config, Insecure, Json
from controller.errors import ConfigError

if TYPE_CHECKING:
    from controller.live.doctor import Finding

EXIT_FAILED = 1
COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(config: Config, insecure: Insecure = False, as_json: Json = False) -> None:
    """Look at configuration, certificates, model, journal, disk, ports and agents; say what to do about each problem.

    Changes nothing, and may run beside the controller. Ends with 1 if anything fails; warnings do not count.

    Example: quietcell doctor --config live.yaml
    """
    findings = _examine(config, insecure)
    failed = any(finding.verdict == "fail" for finding in findings)
    if as_json:
        document = {
            "schema": "quietcell.doctor/1",
            "passed": not failed,
            "findings": [asdict(finding) for finding in findings],
        }
        typer.echo(json.dumps(document, indent=2))
    else:
        _print(findings)
    if failed:
        raise typer.Exit(EXIT_FAILED)


def _examine(path: Path, insecure: bool) -> list[Finding]:
    import asyncio

    from controller.live.config import load_live
    from controller.live.doctor import Finding, examine_host
    from controller.live.doctor_agents import examine_agents
    from hw.security.credentials import TlsFiles

    try:
        told = load_live(path)
    except ConfigError as error:
        return [
            Finding(
                "configuration",
                "fail",
                str(error),
                "correct the file; `quietcell init` writes one to compare",
            )
        ]
    found = [Finding("configuration", "ok", f"{path}: {len(told.agents)} agents, policy {told.policy}")]
    host, names = examine_host(told, insecure=insecure)
    if any(finding.about.startswith("certificate") and finding.verdict == "fail" for finding in host):
        skipped = Finding(
            "agents", "fail", "not asked, for want of certificates", "mend the certificates first"
        )
        return [*found, *host, skipped]
    files = None if insecure or told.tls is None else TlsFiles(Path(told.tls), told.controller)
    return [*found, *host, *asyncio.run(examine_agents(told, files, names))]


def _print(findings: list[Finding]) -> None:
    console = Console(highlight=False)
    for finding in findings:
        line = Text.assemble(
            (f"{finding.verdict:<5}", COLOURS[finding.verdict]), f"{finding.about}: {finding.text}"
        )
        console.print(line, soft_wrap=True)
        if finding.remedy:
            console.print(Text(f"     -> {finding.remedy}"), soft_wrap=True)
    count = {verdict: sum(finding.verdict == verdict for finding in findings) for verdict in COLOURS}
    console.print(Text(f"{count['ok']} ok, {count['warn']} warnings, {count['fail']} failures"))
