"""Which agent has which sites: evenly, or as a file says."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from controller.errors import ConfigError
from controller.strict_yaml import load_yaml

Name = Annotated[str, Field(min_length=1)]
MAX_SHOWN = 10  # names in a message


class Assignment(NamedTuple):
    """Agents and their cells. n cells."""

    agents: tuple[str, ...]
    agent_of_cell: NDArray[np.int64]  # (n,) place in ``agents``


class AgentsFile(BaseModel):
    """A file that says which sites each agent has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # "schema" would shadow a method of pydantic's BaseModel, hence the alias
    schema_name: Annotated[Literal["quietcell.agents/1"], Field(alias="schema")]
    agents: Annotated[dict[Name, tuple[Name, ...]], Field(min_length=1)]  # sites, or with wildcards * ? [...]


def agent_names(n_agents: int) -> tuple[str, ...]:
    """Names of agents: site-001, site-002, ..."""
    width = max(3, len(str(n_agents)))
    return tuple(f"site-{k:0{width}d}" for k in range(1, n_agents + 1))


def assign_agents(site_of_cell: NDArray[Any], n_agents: int) -> NDArray[np.int64]:
    """Agent of each cell: whole sites in the order of their names, equally many an agent. (n,) of 0 .. n_agents - 1

    Parameters
    ----------
    site_of_cell : name or number of each cell's site. Shape (n,).
    n_agents : at least 1 and at most the number of sites.

    Raises
    ------
    ConfigError
        If there are fewer sites than agents.
    """
    sites, number = np.unique(site_of_cell, return_inverse=True)
    if not 1 <= n_agents <= len(sites):
        raise ConfigError(
            f"{n_agents} agents for {len(sites)} sites: an agent has whole sites; choose 1 .. {len(sites)}"
        )
    return np.asarray(number.astype(np.int64) * n_agents // len(sites))


def assign_evenly(site_of_cell: NDArray[Any], n_agents: int | None) -> Assignment:
    """Named agents by ``assign_agents``; None: one a site."""
    n = len(np.unique(site_of_cell)) if n_agents is None else n_agents
    return Assignment(agent_names(n), assign_agents(site_of_cell, n))


def read_assignment(path: Path, site_of_cell: NDArray[np.str_]) -> Assignment:
    """Agents as a file names them.

    Raises ConfigError for a pattern that fits no site, and for a site of no agent or of two.
    """
    told = load_yaml(path, AgentsFile).agents
    sites, number = np.unique(site_of_cell, return_inverse=True)
    agent_of_site = np.full(len(sites), -1, np.int64)
    for k, (agent, patterns) in enumerate(told.items()):
        for pattern in patterns:
            fits = np.array([fnmatchcase(str(site), pattern) for site in sites])
            if not fits.any():
                raise ConfigError(f"{path}: agents.{agent}: {pattern!r} fits no site; correct or remove it")
            taken = sites[fits & (agent_of_site >= 0) & (agent_of_site != k)]
            if len(taken):
                raise ConfigError(
                    f"{path}: agents.{agent}: site {taken[0]} has another agent already; keep one"
                )
            agent_of_site[fits] = k
    left = sites[agent_of_site < 0]
    if len(left):
        shown = ", ".join(left[:MAX_SHOWN])
        raise ConfigError(f"{path}: no agent has {len(left)} sites ({shown}); name them under agents")
    return Assignment(tuple(told), agent_of_site[number])
