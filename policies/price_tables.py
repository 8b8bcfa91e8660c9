"""The tables from which the oracle plans: energy and service of every joint state in every tick, block by block."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.sharing import Groups
from hw.tables import Tables
from policies.hindsight import N_SUMS, Wakes, price_states
from policies.joint import States, joint_states
from policies.network import Network
from policies.watched import price_watched, served_of


class Traffic(NamedTuple):
    """What a block is offered: tables of its world, path (n, samples), uplink (n, steps), samples a tick and a step."""

    tables: Tables
    path: NDArray[np.float32]
    ul_per_dl: NDArray[np.float32]
    clock: tuple[int, int]


class Block(NamedTuple):
    """The priced states of a part of the network."""

    states: States
    groups: Groups
    table: NDArray[np.float32]  # see policies.hindsight
    traffic: Traffic | None  # with the guard loop, from which ``table`` is made anew for other prices


class Levels(NamedTuple):
    """The plan of a block. n cells."""

    plan: NDArray[np.uint8]  # (n, ticks)
    served: NDArray[np.uint8] | None  # (n, samples) level with its wakes; None without guard loop


@dataclass(slots=True)
class PriceTables:
    """The priced blocks of a network; with ``guard`` cells may wake in any sample, with ``full_wakes`` to full only."""

    ticks: int
    wakes: Wakes
    guard: bool = False
    full_wakes: bool = False
    blocks: list[Block] = field(default_factory=list)

    def add(
        self,
        tables: Tables,
        network: Network,
        path: NDArray[np.float32],
        ul_per_dl: NDArray[np.float32],
        spt: int,
    ) -> None:
        """Price one block of whole groups. ``path`` (n, samples), ``ul_per_dl`` (n, steps), ``spt`` samples a tick."""
        states = joint_states(network, tables.asleep)
        columns = N_SUMS + 2 * len(self.wakes.samples)
        table = np.zeros((int(states.state_start[-1]) * self.ticks, columns), np.float32)
        clock = (spt, path.shape[1] // ul_per_dl.shape[1])
        traffic = Traffic(tables, path, ul_per_dl, clock) if self.guard else None
        if traffic is None:
            price_states(
                tables, network.groups, states, path, ul_per_dl, clock, self.wakes, self.ticks, table
            )
        self.blocks.append(Block(states, network.groups, table, traffic))

    def reprice(self, block: Block, prices: NDArray[np.float64]) -> None:
        """Make the table of a block anew where it depends on prices (2,) of unserved and below-target traffic."""
        traffic = block.traffic
        if traffic is not None:
            price_watched(
                traffic.tables,
                block.groups,
                block.states,
                traffic.path,
                traffic.ul_per_dl,
                traffic.clock,
                self.wakes,
                self.full_wakes,
                prices[:2],
                self.ticks,
                block.table,
            )

    def served(
        self, block: Block, prices: NDArray[np.float64], plans: NDArray[np.uint16]
    ) -> NDArray[np.uint8] | None:
        """Level of each cell in each sample under ``plans`` (g, ticks) at ``prices`` (g, 2); None without guard loop.

        (n, samples)
        """
        traffic = block.traffic
        if traffic is None:
            return None
        served = np.zeros(traffic.path.shape, np.uint8)
        served_of(
            traffic.tables,
            block.groups,
            block.states,
            traffic.path,
            traffic.ul_per_dl,
            traffic.clock,
            self.wakes,
            self.full_wakes,
            prices,
            plans,
            served,
        )
        return served


def wake_times(tables: Tables, allowed: NDArray[np.bool_]) -> Wakes:
    """Wake-up times of the levels that some cell of ``allowed`` (n, L) may use."""
    used = allowed.any(0) & (tables.wake_samples > 0)
    samples = np.unique(tables.wake_samples[used]).astype(np.int64)
    of_level = np.where(used, np.searchsorted(samples, tables.wake_samples), -1)
    return Wakes(samples, of_level.astype(np.int64))
