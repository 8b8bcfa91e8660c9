"""The ceiling: the least energy that perfect foresight could have reached under the same limits.

The oracle knows the true path, plans at the same instants, and spends the network's budgets of unserved traffic,
traffic below target and level changes. Prices on the three budgets split the network into groups, each solved exactly
by a dynamic programme; the best prices give a lower bound on the energy of any plan within the budgets (Lagrangian
duality), found with cutting planes. A plan within the budgets is then mixed from the groups' plans at nearby prices;
what it needs above the bound is the duality gap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from policies.cheapest import cheapest_plans
from policies.price_tables import Levels, PriceTables

GAP_WANTED = 1e-4
# price at which nothing is spent that need not be; the first answer, and always within budgets
FORBIDDING = 1e12
MAX_ROUNDS = 80
GROUP_PRICES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)  # tried on top, for groups that exceed their own limit
# least price of a budget in units of its scale: where a change is free it is made for nothing
TIE_BREAK = 1e-7


@dataclass(frozen=True, slots=True)
class Budgets:
    """What a plan may spend in all: traffic in full-rate samples, changes as a number.

    ``below_of_group`` is what each group alone may have below target, in the order of the blocks; all but
    ``groups_over`` groups must respect it.
    """

    unserved: float
    below: float
    changes: float
    below_of_group: NDArray[np.float64]  # (groups,)
    groups_over: int

    def as_array(self) -> NDArray[np.float64]:
        """(3,) unserved, below, changes."""
        return np.array([self.unserved, self.below, self.changes])


@dataclass(slots=True)
class _Answer:
    prices: NDArray[np.float64]
    totals: NDArray[np.float64]  # (groups, 4) energy, unserved, below, changes
    plans: list[NDArray[np.uint16]]

    @property
    def spent(self) -> NDArray[np.float64]:
        return np.asarray(self.totals[:, 1:].sum(0))

    @property
    def energy(self) -> float:
        return float(self.totals[:, 0].sum())

    def value(self, limit: NDArray[np.float64]) -> float:
        """Value of the dual at these prices: a lower bound on the energy of any plan within ``limit``."""
        return self.energy + float(self.prices @ (self.spent - limit))


@dataclass(slots=True)
class Solver:
    """The best prices of a network, from which plans for equal or tighter budgets are mixed."""

    tables: PriceTables
    answers: list[_Answer]
    bound: float  # least energy of any plan within the budgets [power_unit x samples]
    below_of_group: NDArray[np.float64]  # (groups,) infinite for the groups that may exceed their own limit

    def plans(self, budgets: Budgets) -> list[Levels]:
        """Nearly cheapest levels within ``budgets`` by the tables, block by block."""
        return _levels(self.tables, _mix(self.tables, self.answers, budgets.as_array(), self.below_of_group))


def solve(tables: PriceTables, budgets: Budgets, *, progress: Callable[[float], None]) -> Solver:
    """Find the best prices of ``budgets`` and with them the bound."""
    answers, bound = _maximise_dual(tables, budgets.as_array(), progress)
    best = max(answers, key=lambda a: a.value(budgets.as_array()))
    strict, lifted = _limit_groups(tables, best, budgets.below_of_group)
    # the limit on groups lets a few exceed it: those for which it would cost most are left out of the bound
    exempt = np.argsort(-lifted)[: budgets.groups_over]
    own = budgets.below_of_group.copy()
    own[exempt] = np.inf
    lifted[exempt] = 0
    return Solver(tables, [*answers, *strict], bound + float(lifted.sum()), own)


def _limit_groups(
    tables: PriceTables, best: _Answer, below_of_group: NDArray[np.float64]
) -> tuple[list[_Answer], NDArray[np.float64]]:
    """Answers at higher prices of below-target traffic, and how far each group's own limit lifts its bound.

    For any extra price m on its below-target traffic, a group that respects its limit costs at least the cheapest
    plan at the extra price less m times the limit (Lagrangian duality once more, group by group).
    """
    base = best.totals @ np.array([1.0, *best.prices])
    lifted = np.zeros(len(base))
    answers: list[_Answer] = []
    if (best.totals[:, 2] <= below_of_group).all():
        return answers, lifted
    unit = max(best.prices[1], best.prices[0] / 10)
    for extra in unit * np.array(GROUP_PRICES):
        answer = _ask(tables, best.prices + np.array([0.0, extra, 0.0]))
        answers.append(answer)
        limited = answer.totals @ np.array([1.0, *answer.prices]) - extra * below_of_group
        lifted = np.maximum(lifted, limited - base)
    return answers, lifted


def _ask(tables: PriceTables, prices: NDArray[np.float64]) -> _Answer:
    totals, plans = [], []
    for block in tables.blocks:
        states, groups, table = block.states, block.groups, block.table
        n_groups = len(states.n_states)
        tables.reprice(block, prices)
        plan, total = np.empty((n_groups, tables.ticks), np.uint16), np.empty((n_groups, 4))
        cheapest_plans(states, groups.group_start, tables.ticks, table, tables.wakes, prices, plan, total)
        totals.append(total)
        plans.append(plan)
    return _Answer(prices, np.concatenate(totals), plans)


def _maximise_dual(
    tables: PriceTables, limit: NDArray[np.float64], progress: Callable[[float], None]
) -> tuple[list[_Answer], float]:
    """Cutting planes on the concave dual; every answer is a cut. Returns the answers and the best dual value."""
    prices = np.zeros(3)
    answers = [_ask(tables, np.full(3, FORBIDDING))]
    scale = max(answers[0].energy, 1e-9) / np.maximum(limit, 1e-12)
    best, centre = -np.inf, prices
    radius = 4e-3
    for turn in range(MAX_ROUNDS):
        answer = _ask(tables, prices)
        answers.append(answer)
        value = answer.value(limit)
        if value > best:
            best, centre = value, prices
        upper, target = _model_peak(answers, limit, scale, centre, radius)
        progress(min(0.95, turn / 40))
        reaches_edge = (target >= centre + 0.999 * radius * scale).any()
        if not reaches_edge and upper - best <= GAP_WANTED * abs(best):
            break
        radius = radius * 4 if reaches_edge else radius
        prices = target
    return answers, best


def _model_peak(
    answers: list[_Answer],
    limit: NDArray[np.float64],
    scale: NDArray[np.float64],
    centre: NDArray[np.float64],
    radius: float,
) -> tuple[float, NDArray[np.float64]]:
    """Highest point of the cutting-plane model inside a box around the best prices so far."""
    energy = np.array([a.energy for a in answers])
    slope = np.array([a.spent - limit for a in answers]) * scale
    unit = float(np.abs(energy).max()) or 1.0
    rows = np.column_stack([np.ones(len(answers)), -slope / unit])
    box = [(None, None)] + [(max(TIE_BREAK, c - radius), c + radius) for c in centre / scale]
    found = linprog([-1, 0, 0, 0], A_ub=rows, b_ub=energy / unit, bounds=box, method="highs")
    return float(found.x[0] * unit), np.asarray(found.x[1:] * scale)


def _mix(
    tables: PriceTables, answers: list[_Answer], limit: NDArray[np.float64], own: NDArray[np.float64]
) -> list[_Answer]:
    """One answer per group so that the budgets hold: start within them, then take cheaper plans while they fit."""
    best = max(answers, key=lambda a: a.value(limit))
    low, high, safe = 1.0, 1.0, None
    while safe is None and high < 1e6:
        low, high = high, 1 + 4 * (high - 1) if high > 1 else 1.01
        tried = _ask(tables, best.prices * high)
        safe = tried if (tried.spent <= limit).all() else None
    safe = answers[0] if safe is None else safe
    for _ in range(4):
        middle = 0.5 * (low + high)
        tried = _ask(tables, best.prices * middle)
        if (tried.spent <= limit).all():
            safe, high = tried, middle
        else:
            low = middle
    chosen = [safe if safe.totals[g, 2] <= own[g] else answers[0] for g in range(len(own))]
    return _improve(chosen, [safe, *answers], limit, own, best.prices)


def _improve(
    start: list[_Answer],
    pool: list[_Answer],
    limit: NDArray[np.float64],
    own: NDArray[np.float64],
    prices: NDArray[np.float64],
) -> list[_Answer]:
    """Swap groups to cheaper plans of ``pool``, best saving per priced budget first, while the budgets hold."""
    chosen = list(start)
    totals = np.array([answer.totals[g] for g, answer in enumerate(chosen)])
    spent = totals[:, 1:].sum(0)
    moves = []
    for answer in pool:
        change = answer.totals - totals
        useful = np.flatnonzero((change[:, 0] < 0) & (answer.totals[:, 2] <= own))
        cost = np.maximum(change[useful, 1:] @ prices, 0) + 1e-12
        moves += [(float(change[g, 0] / c), int(g), answer) for g, c in zip(useful, cost, strict=True)]
    for _, g, answer in sorted(moves, key=lambda m: m[0]):
        change = answer.totals[g] - chosen[g].totals[g]
        if change[0] < 0 and (spent + change[1:] <= limit).all():
            spent += change[1:]
            chosen[g] = answer
    return chosen


def _levels(tables: PriceTables, chosen: list[_Answer]) -> list[Levels]:
    """Plans of joint states as levels of cells, block by block."""
    levels, g = [], 0
    for b, (states, groups, _, _) in enumerate(tables.blocks):
        plan = np.empty((len(groups.model), tables.ticks), np.uint8)
        mine = chosen[g : g + len(states.n_states)]
        served = tables.served(
            tables.blocks[b],
            np.array([answer.prices[:2] for answer in mine]),
            np.array([answer.plans[b][k] for k, answer in enumerate(mine)]),
        )
        for k in range(len(states.n_states)):
            members = groups.member[groups.group_start[k] : groups.group_start[k + 1]]
            first, n = states.level_start[k], len(members)
            table = states.levels[first : first + states.n_states[k] * n].reshape(-1, n)
            plan[members] = table[chosen[g].plans[b][k]].T
            g += 1
        levels.append(Levels(plan, served))
    return levels
