"""What could keep a controller from working, looked at from outside: each finding with its remedy.

::

    configuration -> files it names -> certificates -> model -> journal, its lock and disk -> ports
                  -> agents: reached? certificate, clock, cells, dead-man timers, stop latch (doctor_agents.py)

Nothing is changed and nothing is locked, so it may run beside the controller.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from controller.errors import ConfigError, JournalError, ModelError
from controller.live.config import LiveConfig
from controller.live.journal_reader import open_reader
from controller.live.journal_state import head_path
from controller.live.known import cells_of
from hw.errors import SecurityError, WorldError
from hw.security.credentials import TlsFiles, is_loopback
from hw.security.identity import Role
from hw.security.validity import SOON_DAYS, State, look_at
from traces import TraceError

FREE_FAIL_BYTES = 100_000_000
FREE_WARN_BYTES = 1_000_000_000
JOURNAL_BYTES_PER_CELL_DAY = 18_000  # benchmarks/journal_size.py, and what users and energy add
Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    about: str
    verdict: Verdict
    text: str
    remedy: str = ""  # empty where nothing is to be done


def examine_host(config: LiveConfig, *, insecure: bool) -> tuple[list[Finding], list[str] | None]:
    """Everything but the agents; and the names of the cells, None where they cannot be read."""
    findings: list[Finding] = []
    names = None
    try:
        cells, zone, _ = cells_of(config)
        names = [str(name) for name in cells.cell_id]
        findings.append(Finding("cells", "ok", f"{len(names)} cells, local hours in {zone}"))
    except (ConfigError, TraceError, OSError) as error:
        findings.append(
            Finding("cells", "fail", str(error), "correct cells or trace; see docs/trace-schema.md")
        )
    findings += world_and_model(config)
    findings += _certificates(config, insecure)
    findings += _journal(config, len(names or ()))
    findings += _ports(config)
    return findings, names


def world_and_model(config: LiveConfig) -> Iterator[Finding]:
    """Whether world, profile and model can be read."""
    from controller.config import load_profile
    from controller.worlds import CALIBRATED, DEFAULT_WORLD, load_world

    try:
        load_profile(config.profile)
        if config.world != CALIBRATED and not str(config.world).endswith(".json"):
            load_world(config.world or DEFAULT_WORLD)
        yield Finding(
            "world", "ok", f"{config.world or DEFAULT_WORLD}, profile {config.profile or 'balanced'}"
        )
    except (WorldError, ConfigError, OSError) as error:
        yield Finding("world", "fail", str(error), "correct world or profile")
    if config.model is None:
        return
    try:
        from controller.forecast.model_file import load_model

        load_model(Path(config.model))
        yield Finding("model", "ok", config.model)
    except (ModelError, OSError) as error:
        yield Finding(
            "model", "fail", str(error), "train it anew with `quietcell train`, or leave model away"
        )


def _certificates(config: LiveConfig, insecure: bool) -> Iterator[Finding]:
    if config.tls is None or insecure:
        addresses = [config.listen, *(agent.address for agent in config.agents)]
        outside = [address for address in addresses if not is_loopback(address)]
        if not insecure or outside:
            text = (
                "no folder of certificates is configured"
                if not insecure
                else f"{outside[0]} is not on loopback"
            )
            yield Finding(
                "certificates", "fail", text, "make certificates with `quietcell certs`, name them in tls"
            )
        else:
            yield Finding(
                "certificates", "warn", "insecure: nobody proves who he is", "for simulation only; set tls"
            )
        return
    folder = Path(config.tls)
    files = TlsFiles(folder, config.controller)
    try:
        role = files.identity().role
        seen = {one.file: one for one in look_at(folder)}
    except (SecurityError, OSError) as error:
        host = config.listen.rpartition(":")[0]
        remedy = f"quietcell certs issue {folder} --controller {config.controller} --host {host}"
        yield Finding("certificates", "fail", str(error), remedy)
        return
    if role is not Role.CONTROLLER:
        yield Finding(
            "certificates", "fail", f"{config.controller} is an {role}", "issue it with --controller"
        )
    for path in files.paths[:2]:
        one = seen[path]
        left = "" if one.left_days is None else f", {one.left_days:.1f} days left"
        verdict: Verdict = {State.GOOD: "ok", State.ENDS_SOON: "warn"}.get(one.state, "fail")  # type: ignore[assignment]
        yield Finding(f"certificate {path.name}", verdict, f"{one.holder}: {one.state}{left}", one.remedy)
    hosts, host = seen[files.paths[1]].hosts, config.listen.rpartition(":")[0].strip("[]")
    if not config.listen.startswith("unix:") and host not in hosts and host not in ("0.0.0.0", "::"):
        text = f"{files.paths[1].name} does not name {host}, where the controller listens"
        remedy = f"quietcell certs issue {folder} --controller {config.controller} --host {host}"
        yield Finding("certificate host", "warn", text, remedy)


def _journal(config: LiveConfig, n_cells: int) -> Iterator[Finding]:
    path = Path(config.journal)
    folder = path.parent
    nearest = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not os.access(nearest, os.W_OK):
        yield Finding(
            "journal", "fail", f"{nearest} cannot be written", "give the folder to the controller's user"
        )
        return
    if path.exists():
        yield _journal_file(path)
    else:
        yield Finding("journal", "ok", f"{path} will be made at the first start")
    holder = _holder(path)
    if holder:
        yield Finding("journal lock", "ok", f"held by {holder}")
    found = os.statvfs(nearest)
    free = found.f_bavail * found.f_frsize
    needs = n_cells * JOURNAL_BYTES_PER_CELL_DAY * config.retention_days
    text = f"{free / 1e9:.1f} GB free, {needs / 1e9:.1f} GB are kept after {config.retention_days} days"
    remedy = "make room, or lower retention_days"
    verdict: Verdict = (
        "fail" if free < FREE_FAIL_BYTES else "warn" if free < FREE_WARN_BYTES + needs else "ok"
    )
    yield Finding("disk", verdict, text, "" if verdict == "ok" else remedy)


def _journal_file(path: Path) -> Finding:
    try:
        reader = open_reader(path)
        try:
            runs, size = len(reader.runs()), reader.size_bytes()
        finally:
            reader.close()
    except (JournalError, OSError) as error:
        return Finding("journal", "fail", str(error), "look at it with `quietcell journal check`")
    text = f"{size / 1e6:.1f} MB, {runs} runs"
    if not head_path(path).exists():
        remedy = "copy the .head file with the journal; without it a lost end is not seen"
        return Finding("journal", "warn", f"{text}; {head_path(path).name} is missing", remedy)
    return Finding("journal", "ok", text)


def _holder(path: Path) -> str:
    """Who holds the lock of a journal, empty for nobody."""
    try:
        file = os.open(path.with_name(f"{path.name}.lock"), os.O_RDONLY)
    except OSError:
        return ""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(file, 200, 0).decode(errors="replace").strip() or "another process"
    finally:
        os.close(file)
    return ""


def _ports(config: LiveConfig) -> Iterator[Finding]:
    """Whether the controller's own ports are free, or taken by itself while it runs."""
    runs = bool(_holder(Path(config.journal)))
    for field, address in (("listen", config.listen), ("metrics", config.metrics)):
        if address is None or address.startswith("unix:"):
            continue
        taken = _is_taken(address)
        if taken and not runs:
            text = f"{address} is taken by another process"
            yield Finding(field, "fail", text, f"stop that process or choose another port for {field}")
        elif runs and not taken:
            yield Finding(
                field, "warn", f"the controller runs, yet nobody listens at {address}", "restart it"
            )
        else:
            yield Finding(field, "ok", f"{address} is {'served' if taken else 'free'}")


def _is_taken(address: str) -> bool:
    host, _, port = address.rpartition(":")
    if host in ("0.0.0.0", "[::]", ""):
        host = "127.0.0.1"
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=1.0):
            return True
    except (OSError, ValueError):
        return False


def soon(left_days: float) -> bool:
    """Whether a certificate is to be renewed."""
    return left_days < SOON_DAYS
