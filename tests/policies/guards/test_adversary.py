"""Guards under attack: no invariant breaks, none holds without its guard, and a twin in plain Python agrees."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.guard_adversary import OPEN, STRICT, Adversary, Patch, make_guards, make_patch
from benchmarks.guard_cases import attack
from controller.worlds import EvaluatedWorld
from hw.world import SYMBOL
from policies.guards import Facts, rules
from policies.guards.composition import compose
from policies.guards.facts import situation
from policies.policy import Decision, Reason
from policies.profile import GuardProfile, Profile
from tests.policies.guards.naive_guards import NaiveGuards

STAGES = ("CAPS", "HOLDS", "FLOORS")
ALL = [(stage, guard) for stage in STAGES for guard in getattr(rules, stage)]
seeds = st.integers(0, 2**32 - 1)


def patch_of(world: EvaluatedWorld, n_cells: int, seed: int) -> Patch:
    return make_patch(world.world, n_cells, np.random.default_rng(seed))


def any_limits(rng: np.random.Generator) -> GuardProfile:
    """Each limit strict or open."""
    strict, free = STRICT.model_dump(), OPEN.model_dump()
    return GuardProfile(**{name: (strict if rng.random() < 0.6 else free)[name] for name in strict})


@pytest.mark.parametrize("name", ["strict", "balanced", "open"])
def test_no_invariant_breaks_under_attack(name: str, world: EvaluatedWorld, profile: Profile) -> None:
    """The short form of benchmarks/guard_cases.py, on seeds that it does not use."""
    limits = {"strict": STRICT, "balanced": profile.guards, "open": OPEN}[name]
    for seed in (101, 102):
        watcher = attack(patch_of(world, 600, seed), limits, seed, 250)
        assert watcher.violations == {}
        assert watcher.decisions == 150_000
        if name == "strict":
            assert watcher.acted.keys() == {guard.reason.name for _, guard in ALL}, "every guard had to act"
            assert watcher.alarms > 100


@pytest.mark.parametrize(("stage", "guard"), ALL, ids=[guard.name for _, guard in ALL])
def test_every_guard_is_needed(
    stage: str, guard: rules.Guard, world: EvaluatedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it its own invariant breaks, and those of no other guard."""
    kept = tuple(one for one in getattr(rules, stage) if one is not guard)
    assert len(kept) == len(getattr(rules, stage)) - 1
    monkeypatch.setattr(rules, stage, kept)
    monkeypatch.setattr(Adversary, "unreal_share", 0.0)  # what no guard stopped would end in an IndexError
    watcher = attack(patch_of(world, 300, 7), STRICT, 7, 80)
    assert watcher.violations[guard.name] > 0
    others = {one.name for _, one in ALL} - {guard.name}
    assert not others & watcher.violations.keys()


@given(seed=seeds, n_cells=st.integers(1, 14))
@settings(max_examples=40, deadline=None)
def test_hypothesis_finds_no_broken_invariant(seed: int, n_cells: int, world: EvaluatedWorld) -> None:
    limits = any_limits(np.random.default_rng(seed))
    assert attack(patch_of(world, n_cells, seed), limits, seed, 40).violations == {}


levels = st.integers(0, 255)
jumps = st.sampled_from([-(40 * 86400), -86400, -900, 0, 1, 899, 900, 901, 3600, 86400, 10**7])
bits = st.lists(st.booleans(), min_size=7, max_size=7)
cells = st.lists(levels, min_size=7, max_size=7)
moments = st.lists(st.tuples(cells, cells, bits, bits, jumps, st.integers(-1, 1)), max_size=10)


@pytest.mark.kernel
@given(moments=moments, seed=st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_guards_are_their_naive_twin_whatever_comes(moments: Any, seed: int, world: EvaluatedWorld) -> None:
    """Any planner, report, gap, clock and date: each drawn freely."""
    patch, limits = patch_of(world, 7, seed), any_limits(np.random.default_rng(seed))
    guards, twin = make_guards(patch, limits), twin_of(patch, limits)
    locks, now_s = Adversary(patch, np.random.default_rng(seed)), 10**9
    for (wanted, reported, fresh, busy, jump, days), (_, drawn) in zip(
        moments, locks.ticks(10), strict=False
    ):
        now_s += jump
        asked = Decision(np.array(wanted, np.uint8), np.full(7, Reason.DEEPEST, np.uint8))
        facts = Facts(
            np.array(reported, np.uint8),
            np.array(fresh),
            np.array(busy),
            drawn.locks,
            now_s,
            now_s // 86400 + days,
        )
        agree(asked, facts, guards, twin)
        assert asked.level.tolist() == wanted, "the input stays as it was"
        assert (asked.reason == Reason.DEEPEST).all()
        assert facts.level.tolist() == reported


@pytest.mark.kernel
@pytest.mark.parametrize("seed", range(12))
def test_guards_are_their_naive_twin_over_long_runs(seed: int, world: EvaluatedWorld) -> None:
    """Ticks that follow from each other, so that wishes, dwells, budgets and lock-outs come to bear."""
    patch, limits = patch_of(world, 40, seed), any_limits(np.random.default_rng(seed))
    guards, twin = make_guards(patch, limits), twin_of(patch, limits)
    adversary = Adversary(patch, np.random.default_rng(seed))
    for asked, facts in adversary.ticks(60):
        adversary.commanded(agree(asked, facts, guards, twin))


def twin_of(patch: Patch, limits: GuardProfile) -> NaiveGuards:
    return NaiveGuards(patch.network, patch.asleep.tolist(), limits, patch.site.tolist())


def agree(asked: Decision, facts: Facts, guards: Any, twin: NaiveGuards) -> np.ndarray:
    got = guards.apply(asked, facts)
    level, reason, alarm = twin.apply(asked, facts)
    assert got.level.tolist() == level
    assert got.reason.tolist() == reason
    assert got.alarm.tolist() == alarm
    assert guards.state.changes.tolist() == [m.spent for m in twin.memory]
    return got.level  # type: ignore[no-any-return]


@pytest.mark.parametrize("seed", range(5))
def test_a_second_pass_changes_nothing(seed: int, world: EvaluatedWorld) -> None:
    """One pass through the stages is a fixed point; docs in ``policies.guards`` say why."""
    patch = patch_of(world, 200, seed)
    guards, adversary = make_guards(patch, STRICT), Adversary(patch, np.random.default_rng(seed))
    for asked, facts in adversary.ticks(80):
        kept = copy.deepcopy(guards.state)
        now = situation(facts, kept, guards.terms)
        kept.open_tick(facts.now_s, facts.day, now.level, facts.fresh, STRICT)
        once = compose(asked, now)
        again = compose(Decision(once[0], once[1]), now)
        assert (once[0] == again[0]).all()
        assert (once[1] == again[1]).all()
        got = guards.apply(asked, facts)
        assert (got.level == once[0]).all(), "and apply is that pass"
        adversary.commanded(got.level)


@pytest.mark.parametrize("seed", range(5))
def test_a_shallower_wish_never_ends_deeper(seed: int, world: EvaluatedWorld) -> None:
    """Where a planner asks for less sleep the result is at most what it asks for, and a wake-up waits for nothing."""
    patch = patch_of(world, 200, seed)
    guards, adversary = make_guards(patch, STRICT), Adversary(patch, np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    for asked, facts in adversary.ticks(60):
        other = copy.deepcopy(guards)
        less = np.where(rng.random(200) < 0.5, asked.level, np.minimum(asked.level, rng.integers(0, 7, 200)))
        got = other.apply(Decision(less.astype(np.uint8), asked.reason), facts)
        assert (got.level <= less).all()
        assert (got.level[less <= SYMBOL] == less[less <= SYMBOL]).all()
        adversary.commanded(guards.apply(asked, facts).level)


def test_same_inputs_same_decisions(world: EvaluatedWorld) -> None:
    patch, decided = patch_of(world, 100, 3), []
    for _ in range(2):
        guards, adversary = make_guards(patch, STRICT), Adversary(patch, np.random.default_rng(3))
        decided.append([])
        for asked, facts in adversary.ticks(50):
            got = guards.apply(asked, facts)
            adversary.commanded(got.level)
            decided[-1].append((got.level.tolist(), got.reason.tolist()))
    assert decided[0] == decided[1]


def test_a_state_that_is_kept_resumes_where_it_was(world: EvaluatedWorld) -> None:
    """Half of a run on one object, the rest on another one with its state."""
    patch = patch_of(world, 100, 4)
    whole, adversary = make_guards(patch, STRICT), Adversary(patch, np.random.default_rng(4))
    resumed = make_guards(patch, STRICT)
    for tick, (asked, facts) in enumerate(adversary.ticks(60)):
        if tick == 30:
            resumed.state = copy.deepcopy(whole.state)
        got = whole.apply(asked, facts)
        if tick >= 30:
            assert (resumed.apply(asked, facts).level == got.level).all()
        adversary.commanded(got.level)
