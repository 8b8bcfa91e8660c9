"""The first configuration of a controller, with a comment on each field, and the list of what is left to do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from controller.errors import ConfigError
from controller.live.config import LiveConfig
from controller.strict_yaml import parse_yaml
from controller.wholefile import whole_file

CONFIG, CHECKLIST = "live.yaml", "CHECKLIST.md"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked."""

    folder: Path  # of configuration and certificates
    state: Path  # folder of the journal
    controller: str
    source: Literal["cells", "trace"]
    network: str  # path of the table or trace
    agents: Sequence[tuple[str, str]]  # id and address
    tls: bool


def begin(wishes: Wishes) -> list[Path]:
    """Write both files into the folder. Raises ConfigError where one is there, or where the wishes do not fit."""
    paths = [wishes.folder / CONFIG, wishes.folder / CHECKLIST]
    for path in paths:
        if path.exists():
            raise ConfigError(f"{path}: it is there already; move it away, or choose another folder")
    text = config_text(wishes)
    parse_yaml(text, LiveConfig, str(paths[0]))
    wishes.folder.mkdir(parents=True, exist_ok=True)
    for path, content in zip(paths, (text, checklist_text(wishes)), strict=True):
        with whole_file(path) as part:
            part.write_text(content, encoding="utf-8")
    return paths


def config_text(wishes: Wishes) -> str:
    """The configuration."""
    agents = "\n".join(
        f"  - {{id: {json.dumps(name)}, address: {json.dumps(address)}}}" for name, address in wishes.agents
    )
    tls = f"tls: {_quoted(wishes.folder / 'certificates')}" if wishes.tls else "# tls: certificates"
    return f"""# What `quietcell run` is told; every field is in docs/live.md. Check it with `quietcell doctor`.
schema: quietcell.live/1

# Identity of this controller, as in its certificate.
controller: {json.dumps(wishes.controller)}

# Which cells there are: a cell table (cells) or a trace to take them from (trace).
{wishes.source}: {json.dumps(wishes.network)}
# time_zone: Europe/Brussels      # of local hours, where the cells do not say
# assume_overlay: true            # invents candidate cells; for trials only

# The site agents; kind: power for one that has batteries.
agents:
{agents}

# What is decided, and how boldly: gentle, balanced or bold.
policy: predictive
# profile: gentle
# model: model.onnx               # from `quietcell train`
# history: last-weeks             # a trace that the forecaster learns from before it starts

# Cells that must be awake, always or at times (docs/guards.md). Counts from the next plan after a reload.
# constraints:
#   protected: [A17-1]

# A lease ends so long after the report it was decided on; the guard loop renews it.
lease_s: 60
guard_every_s: 20

# What was decided and on which inputs; up to 180 MB a day for 10,000 cells.
journal: {_quoted(wishes.state / "journal.db")}
retention_days: 30

# Folder of ca.pem, {wishes.controller}.pem and {wishes.controller}.key (docs/security.md).
{tls}

# Health, status and alarms over gRPC; metrics for Prometheus, on loopback only.
listen: "127.0.0.1:50050"
metrics: "127.0.0.1:9464"
"""


def checklist_text(wishes: Wishes) -> str:
    """What is left to do."""
    config = wishes.folder / CONFIG
    insecure = "" if wishes.tls else " --insecure"
    certificates = wishes.folder / "certificates"
    issued = "\n".join(
        f"      quietcell certs issue {certificates} --agent {name} --host {address.rpartition(':')[0]}"
        for name, address in wishes.agents
    )
    secure = f"""- [ ] Certificates, unless your network issues them:

      quietcell certs init {certificates}
      quietcell certs issue {certificates} --controller {wishes.controller} --host 127.0.0.1
      quietcell certs issue {certificates} --operator NAME
      quietcell certs issue {certificates} --admin NAME
{issued}

- [ ] `ca.key` is kept away from this host; each agent has its own `.pem` and `.key` and `ca.pem`.
- [ ] Each key belongs to the user that its process runs as; nobody else can read it.
"""
    return f"""# Before quietcell commands anything

- [ ] The cells are right: `quietcell traces inspect` for a trace. Candidate cells are true overlaps, as only
      these let a capacity cell leave the air.
- [ ] What it would save: `quietcell replay` on a trace of this network, within the service limits.
{secure if wishes.tls else ""}- [ ] Each agent runs and its plant has a dead-man timer.
- [ ] The clocks of all hosts are synchronised.
- [ ] Kernels are compiled ahead, as the user that will run it: `quietcell warm-up`
- [ ] Nothing fails: `quietcell doctor --config {config}{insecure}`
- [ ] Everybody on duty knows: `quietcell stop --config {config}{insecure} --reason "..."` wakes all cells, without the
      controller.
- [ ] Prometheus scrapes 127.0.0.1:9464 with the rules of docs/operations/alerts.yaml.
- [ ] Start: `quietcell run --config {config}{insecure}`, then `quietcell status --config {config}{insecure}`
"""


def _quoted(path: Path) -> str:
    return json.dumps(str(path.absolute()))
