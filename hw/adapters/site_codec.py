"""Where sites with power stand, as messages, and back. Fields of values and messages bear the same names."""

from __future__ import annotations

from dataclasses import fields

from quietcell.control.v1 import control_pb2

from hw.adapters.control import AgentStatus, PowerStatus, SiteStatus

_SITE = tuple(field.name for field in fields(SiteStatus))
_AGENT = tuple(field.name for field in fields(AgentStatus))
_PLAIN = tuple(field.name for field in fields(PowerStatus) if field.name not in ("agents", "safe"))


def agent_to(agent: AgentStatus) -> control_pb2.AgentStatus:
    """An agent as a message."""
    return control_pb2.AgentStatus(**{name: getattr(agent, name) for name in _AGENT})


def agent_from(message: control_pb2.AgentStatus) -> AgentStatus:
    """An agent from its message."""
    return AgentStatus(**{name: getattr(message, name) for name in _AGENT})


def site_to(site: SiteStatus) -> control_pb2.SiteStatus:
    """A site as a message."""
    return control_pb2.SiteStatus(**{name: getattr(site, name) for name in _SITE})


def site_from(message: control_pb2.SiteStatus) -> SiteStatus:
    """A site from its message."""
    return SiteStatus(**{name: getattr(message, name) for name in _SITE})


def power_to(power: PowerStatus | None) -> control_pb2.PowerStatus | None:
    """Site power as a whole as a message."""
    if power is None:
        return None
    return control_pb2.PowerStatus(
        agents=map(agent_to, power.agents),
        safe=[control_pb2.SafeCount(reason=reason, sites=sites) for reason, sites in power.safe],
        **{name: getattr(power, name) for name in _PLAIN},
    )


def power_from(message: control_pb2.PowerStatus) -> PowerStatus:
    """Site power as a whole from its message."""
    return PowerStatus(
        agents=tuple(map(agent_from, message.agents)),
        safe=tuple((one.reason, one.sites) for one in message.safe),
        **{name: getattr(message, name) for name in _PLAIN},
    )
