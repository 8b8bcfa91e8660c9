"""Ten million adversarial decisions through the guards: no invariant may break. Also what one tick of them takes."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np

from benchmarks.guard_adversary import OPEN, STRICT, Adversary, Patch, make_guards, make_patch
from benchmarks.guard_invariants import Watcher
from benchmarks.rows import print_row
from controller.config import load_profile
from controller.worlds import DEFAULT_WORLD, load_world
from policies.profile import GuardProfile

CELLS, TICKS, SEEDS = 2000, 500, range(10)
SPEED_CELLS, SPEED_TICKS, WARM_UP = 10_000, 310, 10  # kernels compile in the first ticks


def attack(patch: Patch, limits: GuardProfile, seed: int, ticks: int) -> Watcher:
    """One run of guards against an adversary, from its first tick, under watch."""
    guards = make_guards(patch, limits)
    adversary = Adversary(patch, np.random.default_rng(seed))
    watcher = Watcher(patch.network, patch.asleep, patch.site, limits)
    for asked, facts in adversary.ticks(ticks):
        got = guards.apply(asked, facts)
        watcher.check(asked, got, facts)
        adversary.commanded(got.level)
    return watcher


def apply_ms(patch: Patch, limits: GuardProfile) -> np.ndarray:
    """Time of the guards alone in each tick of an attack. [ms]"""
    guards, adversary = make_guards(patch, limits), Adversary(patch, np.random.default_rng(0))
    spent = []
    for asked, facts in adversary.ticks(SPEED_TICKS):
        began = time.perf_counter()
        got = guards.apply(asked, facts)
        spent.append(1000 * (time.perf_counter() - began))
        adversary.commanded(got.level)
    return np.array(spent[WARM_UP:])


def main() -> None:
    world, began = load_world(DEFAULT_WORLD).world, time.perf_counter()
    profiles = {"strict": STRICT, "open": OPEN, "balanced": load_profile(None).guards}
    violations, acted, decisions, alarms = Counter[str](), Counter[str](), 0, 0
    for seed in SEEDS:
        patch = make_patch(world, CELLS, np.random.default_rng(seed))
        limits = STRICT if seed % 2 else list(profiles.values())[seed // 2 % 3]
        found = attack(patch, limits, seed, TICKS)
        violations, acted = violations + found.violations, acted + found.acted
        decisions, alarms = decisions + found.decisions, alarms + found.alarms
    conditions = (
        f"{decisions} decisions: {len(SEEDS)} seeds x {CELLS} cells x {TICKS} ticks, limits {', '.join(profiles)}; "
        f"{time.perf_counter() - began:.0f} s; {dict(violations) or 'none broken'}"
    )
    print_row("violations", violations.total(), "cells", conditions, bar=("==", 0))
    for why, count in sorted(acted.items()):
        print_row(
            f"acted_{why.removeprefix('GUARD_').lower()}", count, "decisions", "as above", bar=(">=", 1)
        )
    print_row("alarms", alarms, "lock-outs", "as above", bar=(">=", 1))
    patch = make_patch(world, SPEED_CELLS, np.random.default_rng(99))
    spent = apply_ms(patch, STRICT)
    conditions = f"{SPEED_CELLS} cells, all limits binding, {len(spent)} ticks of an attack, one thread"
    print_row("guards_apply_ms_median", round(float(np.median(spent)), 3), "ms", conditions, bar=("<=", 3))
    print_row("guards_apply_ms_p99", round(float(np.quantile(spent, 0.99)), 3), "ms", conditions)


if __name__ == "__main__":
    main()
