"""Every plan of a tiny group, carried out by the plant: the twin of the oracle's dynamic programme."""

from __future__ import annotations

from itertools import product

import numpy as np
from numba import config
from numpy.typing import NDArray

from hw.plant import BELOW, CHANGES, UNSERVED, execute
from hw.sharing import Groups
from hw.world import SYMBOL
from policies.network import NOTHING_BEYOND, Network
from policies.price_tables import PriceTables, wake_times
from tests.hw.random_cells import N_LEVELS, Case

PER_TICK = 4  # samples; longer than the longest wake-up
EXAMPLES = 8 if config.DISABLE_JIT else 60


def all_plans(allowed: NDArray[np.bool_], ticks: int) -> NDArray[np.uint8]:
    """Every plan of the cells over the ticks, without ``full``. Shape (K, n, ticks)."""
    choices = [np.flatnonzero(row[SYMBOL:]) + SYMBOL for row in allowed]
    states = list(product(*choices))
    return np.array(list(product(states, repeat=ticks)), np.uint8).transpose(0, 2, 1)


def plant_totals(case: Case, plans: NDArray[np.uint8]) -> NDArray[np.float64]:
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
        overlap=np.tile(groups.overlap, count),
    )
    figures = execute(
        case.tables,
        copies,
        np.tile(case.path, (count, 1)),
        np.tile(case.ul_per_dl, (count, 1)),
        np.ascontiguousarray(plans.reshape(count * n, ticks)),
        samples_per_tick=PER_TICK,
        samples_per_day=case.path.shape[1],
    )
    totals = np.concatenate([figures.energy, figures.table[:, 0, [UNSERVED, BELOW, CHANGES]]], axis=1)
    return np.asarray(totals.reshape(count, n, 4).sum(1))


def network_of(groups: Groups, allowed: NDArray[np.bool_], asleep: NDArray[np.bool_]) -> Network:
    """The network that a planner sees."""
    return Network(
        groups,
        allowed,
        allowed[:, asleep].any(1),
        np.full(len(allowed), -1, np.int32),
        NOTHING_BEYOND,
    )


def of_group(case: Case, g: int) -> Case:
    """The part of a case that is group g, whose members follow each other in ascending order."""
    groups = case.groups
    members = members_of(groups, g)
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
            np.concatenate([groups.overlap[start[i] : start[i + 1]] for i in members]),
        ),
        path=case.path[members],
        ul_per_dl=case.ul_per_dl[members],
        plan=case.plan[members],
    )


def allowed_levels(rng: np.random.Generator, groups: Groups) -> NDArray[np.bool_]:
    """Symbol for all, two more levels each; only cells with candidates may leave the air."""
    n = len(groups.model)
    may_sleep = np.diff(groups.candidate_start) > 0
    allowed = np.zeros((n, N_LEVELS), np.bool_)
    allowed[:, 1] = True
    for i in range(n):
        deeper = np.arange(2, N_LEVELS if may_sleep[i] else 4)
        allowed[i, rng.choice(deeper, 2, replace=False)] = True
    return allowed


def members_of(groups: Groups, g: int) -> NDArray[np.int32]:
    """Cells of group g."""
    return groups.member[groups.group_start[g] : groups.group_start[g + 1]]


def priced(case: Case, network: Network, ticks: int) -> PriceTables:
    """The tables from which the oracle plans."""
    tables = PriceTables(ticks, wake_times(case.tables, network.allowed))
    tables.add(case.tables, network, case.path, case.ul_per_dl, PER_TICK)
    return tables
