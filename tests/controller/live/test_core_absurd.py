"""Seeded fuzz: whatever agents say within the types, both cores go on and serve honest agents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.live.events import (
    Answered,
    Connected,
    Disconnected,
    Event,
    GuardTick,
    PlanTick,
    Renewed,
    Reported,
)
from controller.live.power.events import PowerAnswered, PowerConnected, PowerReported
from hw.adapters.power import PowerAnswers
from hw.adapters.radio import Answers, Inventory, RenewalAnswer, Report
from tests.controller.live.conftest import MakeCore
from tests.controller.live.doubles import LEVELS, SECOND_US, AgentDouble, Harness, two_agents
from tests.controller.live.power_trial import PowerTrial

QUIET = (0.03, 0.01, 0.05, 0.04, 0.02)
FLOATS = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, -1.0, 1.0, 1e30, -1e30, 1e-30, 3e38, -3e38])
INTS = (0, 1, 2**31 - 1, 2**32 - 1, 2**53, 2**63 - 1)
US = (0, 1, -(2**62), 2**62, 60 * SECOND_US, -60 * SECOND_US, 10**15)  # also added to a time


def twist(rng: np.random.Generator, value: Any, about: int = 0) -> Any:
    """A value of the same type and shape that no honest agent says; ``about`` is where a time might lie."""
    if isinstance(value, np.ndarray):
        shape, kind = value.shape, value.dtype.kind
        if kind == "f":
            wild = np.where(rng.random(shape) < 0.5, rng.choice(FLOATS, shape), rng.normal(0, 1e6, shape))
        elif kind == "b":
            wild = rng.random(shape) < 0.5
        else:
            info = np.iinfo(value.dtype)
            small = rng.integers(0, 10, shape)
            wild = np.where(
                rng.random(shape) < 0.7, small, rng.integers(info.min, info.max, shape, value.dtype)
            )
        kept = rng.random(shape) < 0.5
        with np.errstate(all="ignore"):
            return np.where(kept, value, wild).astype(value.dtype)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return int(rng.choice(INTS)) if rng.random() < 0.3 else max(0, about + int(rng.choice(US)))
    return value


def twisted(rng: np.random.Generator, said: Any, about: int = 0) -> Any:
    """A message of which a few fields are not as they should be."""
    names = [
        f.name for f in fields(said) if f.name not in ("agent_id", "boot_id", "abilities", "active_digest")
    ]
    chosen = rng.choice(names, int(rng.integers(1, 4)), replace=False).tolist()
    return replace(said, **{name: twist(rng, getattr(said, name), about) for name in chosen})


def reshaped(rng: np.random.Generator, known: Inventory, cells: list[str]) -> Inventory:
    """Another inventory of the same agent: other cells, also those of others and none, and levels of its own."""
    names = rng.permutation(cells)[: int(rng.integers(0, len(cells) + 1))].tolist()
    levels = tuple(rng.permutation([*LEVELS, "vendor", "nap"])[: int(rng.integers(1, 9))].tolist())
    levels = tuple(name for name in LEVELS if name in levels) if rng.random() < 0.6 else levels
    levels = levels or ("symbol",)
    levels = (*levels, "vendor_nap") if rng.random() < 0.5 else levels
    n, n_levels = len(names), len(levels)
    abilities = replace(
        known.abilities,
        cell_id=tuple(names),
        site_id=("s",) * n,
        product=("",) * n,
        is_capacity=rng.random(n) < 0.5,
        level_names=levels,
        wake_ms=rng.integers(0, 2**31, n_levels),
        off_air=rng.random(n_levels) < 0.5,
        allowed=rng.random((n, n_levels)) < 0.7,
        has_dead_man=rng.random(n) < 0.5,
        full_service_level=int(rng.integers(0, n_levels)),
        is_simulated=bool(rng.random() < 0.8),
    )
    return replace(known, abilities=abilities, longest_term_ms=int(rng.choice(INTS[:4])))


class Measuring(AgentDouble):
    """An agent that measures users and energy too."""

    def report(self, now_us: int, carried: Sequence[float] | None) -> Report:
        report = super().report(now_us, carried)
        users = np.full_like(report.carried, 1000.0)
        return replace(report, throughput=users, energy_wh=np.ones_like(users))


def lies_of(rng: np.random.Generator, agent: AgentDouble, known: Inventory, now_us: int) -> Event:
    """Something that an agent of a known inventory says of itself."""
    n = known.abilities.n_cells
    match int(rng.integers(7)):
        case 0:
            return Disconnected(agent.agent_id)
        case 1:
            answer = RenewalAnswer(0, int(rng.integers(0, 9)), int(rng.integers(0, 20)), rng.bytes(32))
            return Renewed(agent.agent_id, answer)
        case 2:
            k = int(rng.integers(0, 5))
            byte = rng.integers(0, 256, (3, k)).astype(np.uint8)
            cells, revision = rng.integers(0, n + 2, k), rng.integers(0, 2**63, k).astype(np.uint64)
            return Answered(agent.agent_id, Answers(cells, revision, *byte))
        case _:
            agent.cell_id = known.abilities.cell_id
            load = rng.random(n).tolist() if rng.random() < 0.7 else None
            report = agent.report(now_us, load)
            level = rng.integers(0, len(known.abilities.level_names), (2, n)).astype(np.uint8)
            report = replace(report, level=level[0], commanded_level=level[1])
            return Reported(report if rng.random() < 0.3 else twisted(rng, report, now_us))


@pytest.mark.parametrize("seed", range(4))
def test_whatever_a_radio_agent_says_the_others_and_it_are_served_again(
    seed: int, live_core: MakeCore, restless: Path
) -> None:
    rng = np.random.default_rng(seed)
    made = Harness(
        live_core(profile=str(restless)),
        [Measuring(a.agent_id, a.cell_id, a.is_capacity) for a in two_agents()],
        lambda _: QUIET,
    )
    honest, liar = made.agents.values()
    own = liar.cell_id
    made.connect(honest.agent_id)
    made.drops = lambda agent_id, _: agent_id == liar.agent_id  # it is played here
    liar.is_down, known = True, liar.inventory()
    for _ in range(150):
        made.run(made.now_s + int(rng.choice([10, 20, 60])))
        for _ in range(int(rng.integers(1, 6))):
            if rng.random() < 0.3:
                liar.boot += int(rng.random() < 0.5)
                known = reshaped(rng, liar.inventory(), [*own, "a0", "a1", "nobody's"])
                made.feed(Connected(known if rng.random() < 0.7 else twisted(rng, known)))
            made.feed(lies_of(rng, liar, known, made.now_us))
    assert honest.lease, "it was served meanwhile"
    liar.cell_id, liar.is_down, liar.stuck, liar.boot = own, False, {}, liar.boot + 1
    liar.lease.clear()
    liar.revision.clear()
    made.drops = lambda _agent_id, _message: False
    made.connect()
    made.run(made.now_s + 7200)  # a lock-out for flapping lasts an hour
    assert honest.lease
    assert liar.lease


def of_some(rng: np.random.Generator, said: Any, places: list[int]) -> Any:
    """A message of an agent about some of its sites."""
    changed = {}
    for field in fields(said):
        value = getattr(said, field.name)
        if isinstance(value, np.ndarray):
            changed[field.name] = value[places]
    return replace(said, **changed)


def power_lies(rng: np.random.Generator, trial: PowerTrial, has: dict[str, list[int]]) -> list[Event]:
    """Something that one of two power agents says; ``has`` are the places of the sites that each last named."""
    agent_id = str(rng.choice(list(has)))
    inventory = trial.agent.core.inventory()
    match int(rng.integers(8)):
        case 0:
            return [Disconnected(agent_id)]
        case 1:
            answer = RenewalAnswer(0, int(rng.integers(0, 9)), int(rng.integers(0, 20)), rng.bytes(32))
            return [Renewed(agent_id, answer)]
        case 2:
            k = int(rng.integers(0, 4))
            byte = rng.integers(0, 20, (2, k)).astype(np.uint8)
            revision = rng.integers(0, 2**62, k).astype(np.uint64)
            return [PowerAnswered(agent_id, PowerAnswers(rng.integers(0, 3, k), revision, *byte))]
        case 3 | 4:
            has[agent_id] = rng.permutation(2)[: int(rng.integers(0, 3))].tolist()
            sites = of_some(rng, inventory.abilities, has[agent_id])
            sites = replace(sites, site_id=tuple(inventory.abilities.site_id[i] for i in has[agent_id]))
            wild = {"charge_max_w", "discharge_max_w", "capacity_wh", "reserve_wh", "import_cap_w"}
            if rng.random() < 0.5:
                names = rng.permutation(sorted(wild))[:2]
                values = {
                    name: np.full(len(has[agent_id]), rng.choice([0.0, 1e300, np.inf])) for name in names
                }
                sites = replace(sites, **values)
            boot = rng.bytes(16) if rng.random() < 0.5 else inventory.boot_id
            return [PowerConnected(replace(inventory, agent_id=agent_id, boot_id=boot, abilities=sites))]
        case _:
            samples = trial.agent.runner.samples.after(trial.agent.seen - int(rng.integers(0, 9)))[1]
            report = trial.agent.runner._report(samples, is_new=True)
            report = of_some(rng, replace(report, agent_id=agent_id), has[agent_id])
            return [
                PowerReported(report if rng.random() < 0.3 else twisted(rng, report, trial.clock.unix_us()))
            ]


@pytest.mark.parametrize("seed", range(2))
def test_whatever_power_agents_say_honest_sites_are_planned_again(seed: int, tmp_path: Path) -> None:
    trial = PowerTrial(tmp_path, others=("other",))
    rng, has = np.random.default_rng(seed), {"power": [0, 1], "other": list[int]()}
    trial.run(900)
    for _ in range(60):
        for _ in range(int(rng.integers(1, 8))):
            for event in power_lies(rng, trial, has):
                trial.feed(event)
        trial.run(60)
        if rng.random() < 0.1:
            trial.feed(PlanTick(trial.clock.unix_us() + 900 * SECOND_US))
            trial.feed(GuardTick(trial.clock.unix_us() + 3 * SECOND_US))
    trial.feed(PowerConnected(of_nobody(trial)))
    trial.start_agent()
    trial.run(2 * 3600)
    assert trial.power.leases.is_leased.all()


def of_nobody(trial: PowerTrial) -> Any:
    """The inventory of the other agent, without sites."""
    inventory = trial.agent.core.inventory()
    sites = replace(of_some(np.random.default_rng(0), inventory.abilities, []), site_id=())
    return replace(inventory, agent_id="other", abilities=sites)
