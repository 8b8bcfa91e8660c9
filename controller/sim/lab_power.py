"""Batteries of a lab: which of its sites have them, and which power agents hold them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from controller.sim.assign import assign_evenly
from controller.site.sites_file import SitesFile
from traces.trace import Cells

ABOUT = "# Batteries of the sites of an invented network, equipped as the bundled sample's."


class LabPower(NamedTuple):
    """Site power of a lab."""

    sites: Path | None  # the sites file that plant and controller read; None: no batteries
    beside: tuple[str, ...]  # site agents that have a power agent beside them

    @property
    def agents(self) -> tuple[str, ...]:
        """Names of the power agents."""
        return tuple(f"{name}-power" for name in self.beside)


def equip(
    folder: Path, cells: Cells, n_agents: int, given: Path | None, first_agents: int | None
) -> LabPower:
    """Say which sites have power.

    Parameters
    ----------
    folder : of the lab.
    given : a sites file; None: no site has a battery.
    first_agents : the sites of so many agents get the defaults of ``given``; None: it holds as it is.

    Raises
    ------
    ConfigError
        If the file is not valid.
    """
    if given is None:
        return LabPower(None, ())
    file = SitesFile(given)
    agents, agent_of_cell = assign_evenly(cells.site_id, n_agents)
    if first_agents is None:
        named = file.with_power(np.unique(cells.site_id).tolist())
        having = np.unique(agent_of_cell[np.isin(cells.site_id, named)])
        return LabPower(given.resolve(), tuple(agents[k] for k in having.tolist()))
    first = np.unique(cells.site_id[agent_of_cell < first_agents]).tolist()
    path = folder.resolve() / "sites.yaml"
    path.write_text(f"{ABOUT}\n{_only_at(file, first)}", encoding="utf-8")
    return LabPower(path, agents[:first_agents])


def _only_at(file: SitesFile, site_ids: list[str]) -> str:
    """The text of a sites file whose defaults hold for some sites alone."""
    told = file.spec.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"sites"})
    entry = {"match": site_ids, **told.pop("defaults", {})}
    lines = [f"{name}: {json.dumps(value)}" for name, value in told.items()]
    own = [f"    {name}: {json.dumps(value)}" for name, value in entry.items()]
    return "\n".join([*lines, "sites:", f"  - {own[0].lstrip()}", *own[1:], ""])
