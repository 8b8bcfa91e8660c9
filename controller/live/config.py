"""What the live controller is told by file: one strict YAML document, quietcell.live/1."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from controller.config import ConstraintsConfig
from controller.live.ladder_config import LadderConfig
from controller.live.roles import RoleConfig
from controller.strict_yaml import load_yaml
from hw.symbols.levers import Lever

Text = Annotated[str, Field(min_length=1)]
LARGEST_PORT = 65_535
LEAST_RENEWALS = 2  # guard ticks within a lease: one may fail


class AgentConfig(BaseModel):
    """A site agent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Text  # as its inventory and its certificate say
    address: Text  # host:port, or unix:path
    kind: Literal["ran", "power"] = "ran"


class StandbyConfig(BaseModel):
    """Two controllers of one network, of which one leads: docs/standby.md."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    term_s: Annotated[int, Field(ge=3, le=300)] = 30  # for which agents grant leadership
    peer: Text | None = None  # where the other controller listens, whose journal is followed; none: it is not


class LiveConfig(BaseModel):
    """One controller of one network."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_name: Annotated[Literal["quietcell.live/1"], Field(alias="schema")]
    controller: Text  # identity of this controller, as in its certificate
    agents: Annotated[tuple[AgentConfig, ...], Field(min_length=1)]
    cells: str | None = None  # a cell table, docs/trace-schema.md
    trace: str | None = None  # a trace to take the cells from instead
    time_zone: str | None = None  # of local hours, where the cells do not say
    assume_overlay: bool = False
    world: str | None = None
    levers: tuple[Lever, ...] = ()
    profile: str | None = None
    policy: Text = "predictive"
    model: str | None = None
    constraints: ConstraintsConfig | None = None
    sites: str | None = None  # a sites file, docs/site-power.md: what power agents command by
    ladder: LadderConfig = LadderConfig()
    roles: tuple[RoleConfig, ...] = ()  # none: as certificates say, docs/ladder.md
    history: str | None = None  # a trace that the forecaster learns from before it starts
    lease_s: Annotated[int, Field(ge=1, le=3600)] = 60
    guard_every_s: Annotated[int, Field(ge=1, le=600)] = 20
    standby: StandbyConfig | None = None  # none: it leads alone
    journal: Text
    retention_days: Annotated[int, Field(ge=1)] = 30
    tls: str | None = None  # folder with the certificates
    listen: Text = "127.0.0.1:50050"  # health, readiness, status and alarms
    metrics: str | None = None  # host:port on loopback at which Prometheus scrapes
    metrics_by_agent: bool = False  # two more gauges for each agent
    seed: Annotated[int, Field(ge=0)] = 0

    @property
    def retention_us(self) -> int:
        """How long the journal keeps what it holds."""
        return self.retention_days * 86_400_000_000

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.cells is None) == (self.trace is None):
            raise ValueError("give either cells or trace, to say which cells there are")
        if self.lease_s < LEAST_RENEWALS * self.guard_every_s:
            raise ValueError(f"lease_s must be at least {LEAST_RENEWALS} times guard_every_s")
        if self.metrics is not None and not _is_loopback(self.metrics):
            raise ValueError(
                f"metrics: {self.metrics!r} must be host:port on loopback, such as 127.0.0.1:9464, as it has no TLS;"
                " let a proxy or an agent of the monitoring carry it further"
            )
        kinds = {agent.kind for agent in self.agents}
        if self.sites is not None and "power" not in kinds:
            raise ValueError("sites: no agent is of kind power; name those that command the sites")
        names = [agent.id for agent in self.agents]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"agents: {twice[0]!r} is there twice; keep one of them")
        unknown = sorted(
            {region for role in self.roles for region in role.regions} - set(self.ladder.regions)
        )
        if unknown:
            raise ValueError(f"roles: ladder.regions has no {unknown[0]!r}; name it there")
        return self


def _is_loopback(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        return ip_address(host.strip("[]")).is_loopback and 0 <= int(port) <= LARGEST_PORT
    except ValueError:
        return False


def load_live(path: Path) -> LiveConfig:
    """The configuration of a live controller. Raises ConfigError naming file, line, field and remedy."""
    return load_yaml(path, LiveConfig)
