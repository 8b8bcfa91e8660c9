"""The agents of a configuration, looked at from outside: are they there, and may their cells rest?"""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import time
from collections.abc import Sequence

from cryptography import x509

from controller.live.config import AgentConfig, LiveConfig
from controller.live.dialling import dial_of
from controller.live.doctor import Finding, soon
from hw.adapters.dial import AgentError, AgentRefused, Dial
from hw.adapters.operator import PowerOperator, RadioOperator
from hw.adapters.radio import Inventory, Report
from hw.security.credentials import TlsFiles
from hw.security.identity import server_is

AT_ONCE = 64
STATE_WITHIN_S = 3.0
AHEAD_S = 2.0  # that an agent's clock may be ahead
LATE_S = 180.0  # age of the last sample: three samples of a minute


async def examine_agents(
    config: LiveConfig, files: TlsFiles | None, names: Sequence[str] | None
) -> list[Finding]:
    """All agents at once; ``names`` are the cells of the table, None where it could not be read."""
    turn = asyncio.Semaphore(AT_ONCE)
    known = None if names is None else set(names)

    async def one(agent: AgentConfig) -> tuple[list[Finding], set[str]]:
        async with turn:
            return await _agent(agent, dial_of(agent, files), files, known)

    looked = await asyncio.gather(*(one(agent) for agent in config.agents))
    findings = [finding for found, _ in looked for finding in found]
    if known is not None:
        without = sorted(known - set().union(*(cells for _, cells in looked)))
        if without:
            text = f"{len(without)} cells, such as {without[0]}, are named by no agent that was reached"
            findings.append(
                Finding("cells", "warn", text, "they stay awake; add their agents or correct the table")
            )
    return findings


async def _agent(
    agent: AgentConfig, dial: Dial, files: TlsFiles | None, known: set[str] | None
) -> tuple[list[Finding], set[str]]:
    about = f"agent {agent.id}"
    try:
        if agent.kind == "power":
            async with PowerOperator(dial) as power:
                sites = (await power.inventory()).abilities
            bare = int((~sites.has_dead_man).sum())
            return [_reached(about, f"{sites.n_sites} sites", bare, sites.n_sites, "put on battery")], set()
        async with RadioOperator(dial) as radio:
            inventory = await radio.inventory()
            report = await _state(radio)
    except AgentError as error:
        return [_not_reached(about, error)], set()
    have = inventory.abilities
    bare = int((~have.has_dead_man).sum())
    found = [_reached(about, f"{have.n_cells} cells", bare, have.n_cells, "put to sleep")]
    found += _state_findings(about, report, have.is_simulated)
    found += _cells(about, inventory, known)
    if files is not None:
        found += await _certificate(about, agent, files)
    return found, set(have.cell_id)


def _reached(about: str, what: str, bare: int, total: int, rests: str) -> Finding:
    if not bare:
        return Finding(about, "ok", f"reached, {what}, all with a dead-man timer")
    text = f"{bare} of {total} have no dead-man timer in the plant"
    remedy = f"they are not {rests} unless the agent is told so; mend the plant"
    return Finding(about, "warn", text, remedy)


def _not_reached(about: str, error: AgentError) -> Finding:
    if isinstance(error, AgentRefused):
        return Finding(about, "fail", str(error), "look at names and roles of the certificates")
    return Finding(about, "fail", str(error), "look whether it runs, at its address and at the network")


async def _state(radio: RadioOperator) -> Report | None:
    """The state of an agent now, None where it does not come."""
    try:
        async with asyncio.timeout(STATE_WITHIN_S):
            async for report in radio.watch():
                return report
    except TimeoutError:
        return None
    return None


def _state_findings(about: str, report: Report | None, is_simulated: bool) -> list[Finding]:
    if report is None:
        return [Finding(about, "warn", "it does not say where its cells stand", "look at the agent's log")]
    found = []
    if report.is_stopped:
        text, remedy = "its stop latch is set", "an administrator clears it: `quietcell stop --clear`"
        found.append(Finding(about, "warn", text, remedy))
    local = int(report.local_control.sum())
    if local:
        text = f"{local} cells are switched or locked by hand"
        found.append(Finding(about, "warn", text, "unlock them at the site when the work is done"))
    age_s = time.time() - report.measured_unix_us / 1e6
    if not report.measured_unix_us:
        found.append(Finding(about, "warn", "it has measured nothing yet", "look at its plant"))
    elif not is_simulated and not -AHEAD_S <= age_s <= LATE_S:  # a simulated plant has time of its own
        text = f"its last sample is {age_s:.0f} s old by this host's clock"
        found.append(Finding(about, "warn", text, "synchronise both clocks, or look at its plant"))
    return found


def _cells(about: str, inventory: Inventory, known: set[str] | None) -> list[Finding]:
    if known is None:
        return []
    strangers = [name for name in inventory.abilities.cell_id if name not in known]
    if not strangers:
        return []
    text = f"{len(strangers)} cells, such as {strangers[0]}, are not in the cell table"
    return [Finding(about, "warn", text, "they stay awake; add them to the table")]


async def _certificate(about: str, agent: AgentConfig, files: TlsFiles) -> list[Finding]:
    """When the certificate of an agent ends."""
    try:
        left_days = await asyncio.to_thread(_left_days, agent, files)
    except (OSError, ValueError) as error:
        return [Finding(about, "warn", f"its certificate was not seen: {error}", "look at its address")]
    if not soon(left_days):
        return []
    text = f"its certificate ends in {left_days:.1f} days"
    return [
        Finding(
            about, "warn", text, f"quietcell certs issue {files.folder} --agent {agent.id}, and copy it there"
        )
    ]


def _left_days(agent: AgentConfig, files: TlsFiles) -> float:
    import socket

    ca, certificate, key = files.paths
    context = ssl.create_default_context(cafile=str(ca))
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2"])
    host, _, port = agent.address.rpartition(":")
    with (
        socket.create_connection((host.strip("[]"), int(port)), timeout=STATE_WITHIN_S) as plain,
        context.wrap_socket(plain, server_hostname=server_is(agent.id)) as secured,
    ):
        found = secured.getpeercert(binary_form=True)
    if found is None:
        raise ValueError("it shows none")
    until = x509.load_der_x509_certificate(found).not_valid_after_utc
    return (until - dt.datetime.now(dt.UTC)) / dt.timedelta(days=1)
