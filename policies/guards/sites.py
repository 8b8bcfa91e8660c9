"""The two guards that count over a site: how many of its cells may go deeper at once, and how many stay on air."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hw.sharing import Groups
from policies.profile import GuardProfile

ROUNDING = 1e-9  # of a share times a number of cells


class Sites(NamedTuple):
    """Sites, for kernels. n cells, g groups, S sites."""

    of_cell: NDArray[np.intp]  # (n,)
    group_start: NDArray[np.int32]  # (g + 1,), as in ``Groups``
    member: NDArray[np.int32]  # (n,)
    home_start: NDArray[np.intp]  # (S + 1,): groups that begin at site s: home[start[s]:start[s + 1]]
    home: NDArray[np.intp]  # (g,)
    most_deeper: NDArray[np.int64]  # (S,) cells that may go deeper in one tick
    least_on_air: NDArray[np.int64]  # (S,)


def build_sites(groups: Groups, site: NDArray[np.intp] | NDArray[np.int32], limits: GuardProfile) -> Sites:
    """Sites from the number of each cell's site. (n,)

    A joint plan is all or none, so at every site at least the cells of its largest group may go deeper together.
    """
    of_cell = np.unique(site, return_inverse=True)[1].astype(np.intp)
    size = np.bincount(of_cell)
    n_groups = len(groups.group_start) - 1
    group_of = np.empty(len(of_cell), np.intp)
    group_of[groups.member] = np.repeat(np.arange(n_groups), np.diff(groups.group_start))
    part, count = np.unique(np.stack([group_of, of_cell]), axis=1, return_counts=True)
    largest = np.zeros(len(size), np.int64)
    np.maximum.at(largest, part[1], count)
    most = np.floor(limits.max_deeper_share * size + ROUNDING).astype(np.int64)
    first_site = of_cell[groups.member[groups.group_start[:-1]]]
    return Sites(
        of_cell=of_cell,
        group_start=groups.group_start,
        member=groups.member,
        home_start=np.concatenate([[0], np.cumsum(np.bincount(first_site, minlength=len(size)))]),
        home=np.argsort(first_site, kind="stable"),
        most_deeper=np.maximum(most, largest),
        least_on_air=np.ceil(limits.least_on_air_share * size - ROUNDING).astype(np.int64),
    )


def beyond_share(sites: Sites, deeper: NDArray[np.bool_], turn: int) -> NDArray[np.bool_]:
    """Cells of groups that would go deeper beyond the share of a site. ``deeper`` (n,), result (n,).

    The groups of a site are asked in their order, from another one in each ``turn``.
    """
    beyond = np.zeros(len(deeper), np.bool_)
    together = np.bincount(sites.of_cell[deeper], minlength=len(sites.most_deeper))
    if (together > sites.most_deeper).any():
        _beyond_share(sites, deeper, turn, np.zeros_like(together), beyond)
    return beyond


def below_floor(sites: Sites, off: NDArray[np.bool_], off_now: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Cells off air to wake so that enough of each site are on air: first those on air now. (n,)"""
    wake = np.zeros(len(off), np.bool_)
    missing = sites.least_on_air - np.bincount(sites.of_cell[~off], minlength=len(sites.least_on_air))
    _below_floor(sites.of_cell, off, off_now, missing, wake)
    return wake


@njit(inline="always")
def _fits(members, deeper, of_cell, most, used):  # type: ignore[no-untyped-def]
    """Count the cells of a group that go deeper in ``used``, or take them back if a site has no room for them."""
    fits = True
    for i in members:
        if deeper[i]:
            used[of_cell[i]] += 1
    for i in members:
        if deeper[i]:
            fits = fits and used[of_cell[i]] <= most[of_cell[i]]
    if not fits:
        for i in members:
            if deeper[i]:
                used[of_cell[i]] -= 1
    return fits


@njit(cache=True)
def _beyond_share(sites, deeper, turn, used, beyond):  # type: ignore[no-untyped-def]
    of_cell, most, start, member = sites.of_cell, sites.most_deeper, sites.group_start, sites.member
    for s in range(len(sites.home_start) - 1):
        first, count = sites.home_start[s], sites.home_start[s + 1] - sites.home_start[s]
        for k in range(count):
            g = sites.home[first + (turn + k) % count]
            members = member[start[g] : start[g + 1]]
            if not _fits(members, deeper, of_cell, most, used):
                beyond[members] = True


@njit(cache=True)
def _below_floor(of_cell, off, off_now, missing, wake):  # type: ignore[no-untyped-def]
    for anyone in (False, True):
        for i in range(len(off)):
            s = of_cell[i]
            if missing[s] > 0 and off[i] and not wake[i] and (anyone or not off_now[i]):
                wake[i] = True
                missing[s] -= 1
