"""Cells, sites, regions and levels by the names that operators use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from controller.live.events import Scope

Mask = NDArray[np.bool_]


class PlacesError(Exception):
    """A name that nothing has. The message says what there is."""


class Places:
    """Names of a network with n cells."""

    def __init__(
        self,
        cell_id: NDArray[np.str_],
        site_id: NDArray[np.str_],
        regions: Mapping[str, Sequence[str]],
        level_names: Sequence[str],
    ) -> None:
        """``regions``: sites of each. Raises PlacesError where a region names a site that no cell has."""
        self._cell_id, self.site_id = cell_id, site_id
        self._levels = {name: level for level, name in enumerate(level_names)}
        self._regions: dict[str, Mask] = {}
        for region, sites in regions.items():
            missing = sorted(set(sites) - set(site_id.tolist()))
            if missing:
                raise PlacesError(f"regions.{region}: no cell is of site {missing[0]!r}; correct its name")
            self._regions[region] = np.isin(site_id, list(sites))

    def cells(self, scope: Scope) -> Mask:
        """Cells of a scope. (n,) Raises PlacesError where there are none."""
        match scope.kind:
            case "network":
                return np.ones(len(self._cell_id), np.bool_)
            case "cell":
                found = self._cell_id == scope.name
            case "site":
                found = self.site_id == scope.name
            case "region":
                found = self._regions.get(scope.name, np.zeros(len(self._cell_id), np.bool_))
            case _:
                raise PlacesError(f"{scope.kind!r} is no scope; give cell, site, region or network")
        if not found.any():
            raise PlacesError(f"there is no {scope}; correct its name")
        return np.asarray(found)

    def sites(self, scope: Scope) -> frozenset[str]:
        """Sites that a scope touches. Raises PlacesError."""
        return frozenset(self.site_id[self.cells(scope)].tolist())

    def level(self, name: str) -> int:
        """Number of a level in the world. Raises PlacesError."""
        if name not in self._levels:
            raise PlacesError(f"{name!r} is no level of this world; there are {', '.join(self._levels)}")
        return self._levels[name]
