"""What the guards hold a network to: its allowed levels, groups, candidates and sites, and the operator's limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.guards.sites import Sites, build_sites
from policies.network import Network
from policies.profile import GuardProfile


@dataclass(frozen=True, slots=True)
class Terms:
    """A network as the guards see it. n cells, L levels, c candidate pairs."""

    network: Network
    asleep: NDArray[np.bool_]  # (L,) levels off air
    source: NDArray[np.intp]  # (c,) the cell of each pair
    candidate: NDArray[np.int32]  # (c,) its candidate
    group_of: NDArray[np.intp]  # (n,)
    n_groups: int
    sites: Sites
    limits: GuardProfile

    def may_use(self, level: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Whether each cell may use ``level`` (n,); a level that does not exist it may not."""
        n_levels = len(self.asleep)
        known = np.minimum(level, n_levels - 1)
        return np.asarray(self.network.allowed[np.arange(len(level)), known] & (level < n_levels))

    def anywhere_in_group(self, cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """True for every cell of a group in which ``cells`` holds somewhere. (n,)"""
        found = np.zeros(self.n_groups, np.bool_)
        found[self.group_of[cells]] = True
        return found[self.group_of]


def make_terms(
    network: Network, asleep: NDArray[np.bool_], limits: GuardProfile, site: NDArray[np.int32] | None
) -> Terms:
    """Terms of a network. ``site`` (n,) numbers the site of each cell; without it each group is a site."""
    groups = network.groups
    group_of = network.group_of
    return Terms(
        network=network,
        asleep=asleep,
        source=np.repeat(np.arange(network.n_cells), np.diff(groups.candidate_start)),
        candidate=groups.candidate,
        group_of=group_of,
        n_groups=network.n_groups,
        sites=build_sites(groups, group_of if site is None else site, limits),
        limits=limits,
    )
