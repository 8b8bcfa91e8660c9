"""What goes wrong in a run of benchmarks/split_brain.py. Each fault lasts a while and is then over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from benchmarks.chaos_wire import Network

if TYPE_CHECKING:
    from benchmarks.split_brain_run import Instance, Simulation


async def kill(sim: Simulation, instance: Instance) -> None:
    """It dies and is started again."""
    await instance.kill()
    await sim.last(1, 200)
    instance.start()


async def cut_off(sim: Simulation, instance: Instance) -> None:
    """It reaches no agent any more; streams seem open."""
    await _part(sim, instance, list(instance.networks.values()))


async def partition(sim: Simulation, instance: Instance) -> None:
    """It reaches some agents only."""
    networks = list(instance.networks.values())
    await _part(sim, instance, sim.random.sample(networks, sim.random.randint(1, len(networks) - 1)))


async def _part(sim: Simulation, _instance: Instance, networks: list[Network]) -> None:
    for network in networks:
        network.is_up = False
    await sim.last(20, 250)
    for network in networks:
        network.is_up = True
        network.cut()  # a transport gives up what was not heard for so long


async def freeze(sim: Simulation, instance: Instance) -> None:
    """It stands still with what it was about to send, and goes on as if nothing had been."""
    instance.frozen.clear()
    await sim.last(5, 150)
    instance.frozen.set()


async def hold_up(sim: Simulation, instance: Instance) -> None:
    """What it says and hears is held up, doubled and reordered."""
    for network in instance.networks.values():
        network.held_share, network.held_s = sim.random.uniform(0.1, 1), sim.random.uniform(1, 60)
        network.double_share = network.reorder_share = 0.3
    await sim.last(20, 200)
    for network in instance.networks.values():
        network.held_share = network.double_share = network.reorder_share = 0.0


async def set_clock(sim: Simulation, instance: Instance) -> None:
    """A wall clock is set."""
    step_us = sim.random.choice((-3600, -30, 30, 3600)) * 1_000_000
    host = sim.random.choice((instance.host, sim.random.choice(sim.sites).host))
    host.wall_us += step_us
    await sim.last(60, 300)
    host.wall_us -= step_us


async def restart_agent(sim: Simulation, instance: Instance) -> None:
    """An agent dies and comes back."""
    site = sim.random.choice(sim.sites)
    if site.runner is None:
        return
    site.kill()
    for one in sim.instances:
        one.networks[site.site_id].cut()
    await sim.last(0.1, 60)
    await site.start()
    assert instance.name


FAULTS: tuple[Callable[[Simulation, Instance], Awaitable[None]], ...] = (
    kill, cut_off, partition, partition, freeze, freeze, hold_up, set_clock, restart_agent
)  # fmt: skip
LOSES_LEADER = (kill, cut_off)
