"""Every plan of a tiny group, carried out by the plant: the twin of the oracle's dynamic programme."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from hw.plant import BELOW, CHANGES, UNSERVED, execute
from hw.sharing import Groups
from hw.world import SYMBOL
from policies.network import Network
from tests.hw.random_cells import Case


def all_plans(allowed: NDArray[np.bool_], ticks: int) -> NDArray[np.uint8]:
    """Every plan of the cells over the ticks, without ``full``. Shape (K, n, ticks)."""
    choices = [np.flatnonzero(row[SYMBOL:]) + SYMBOL for row in allowed]
    states = list(product(*choices))
    return np.array(list(product(states, repeat=ticks)), np.uint8).transpose(0, 2, 1)


def plant_totals(case: Case, plans: NDArray[np.uint8], per_tick: int) -> NDArray[np.float64]:
    """What each plan of one group does: energy, unserved, below target, changes. Shape (K, 4).

    The group is copied once for every plan, so that one call carries all of them out.
    """
    count, n, ticks = plans.shape
    groups = case.groups
    assert groups.group_start.tolist() == [0, n]
    n_candidates = len(groups.candidate)
    copies = Groups(
        model=np.tile(groups.model, count),
        candidate_start=np.concatenate(
            [[0], (groups.candidate_start[1:] + n_candidates * np.arange(count)[:, None]).ravel()]
        ).astype(np.int32),
        candidate=(groups.candidate + n * np.arange(count)[:, None]).ravel().astype(np.int32),
        group_start=(n * np.arange(count + 1)).astype(np.int32),
        member=(groups.member + n * np.arange(count)[:, None]).ravel().astype(np.int32),
    )
    figures = execute(
        case.tables,
        copies,
        np.tile(case.path, (count, 1)),
        np.tile(case.ul_per_dl, (count, 1)),
        np.ascontiguousarray(plans.reshape(count * n, ticks)),
        samples_per_tick=per_tick,
        samples_per_day=case.path.shape[1],
    )
    totals = np.concatenate([figures.energy, figures.table[:, 0, [UNSERVED, BELOW, CHANGES]]], axis=1)
    return np.asarray(totals.reshape(count, n, 4).sum(1))


def network_of(groups: Groups, allowed: NDArray[np.bool_], asleep: NDArray[np.bool_]) -> Network:
    """The network that a planner sees."""
    return Network(groups, allowed, allowed[:, asleep].any(1))


def of_group(case: Case, g: int) -> Case:
    """The part of a case that is group g, whose members follow each other in ascending order."""
    groups = case.groups
    members = groups.member[groups.group_start[g] : groups.group_start[g + 1]]
    number = {int(i): k for k, i in enumerate(members)}
    start = groups.candidate_start
    candidates = [[number[int(c)] for c in groups.candidate[start[i] : start[i + 1]]] for i in members]
    return case._replace(
        groups=Groups(
            groups.model[members],
            np.cumsum([0, *map(len, candidates)]).astype(np.int32),
            np.array([c for own in candidates for c in own], np.int32),
            np.array([0, len(members)], np.int32),
            np.arange(len(members), dtype=np.int32),
        ),
        path=case.path[members],
        ul_per_dl=case.ul_per_dl[members],
        plan=case.plan[members],
    )
