"""What is replayed, cut into blocks of whole groups that fit in memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from controller.constraints import Constraints
from controller.energy_price import EnergyPrices
from controller.foreign import ForeignPolicy
from controller.replay.scene import Scene, make_clock, make_network, make_scene
from controller.worlds import EvaluatedWorld
from policies.profile import Profile
from traces import Trace
from traces.groups import independent_groups, pack_groups

if TYPE_CHECKING:
    from controller.forecast.model_file import LoadedModel

BLOCK_SAMPLES = 60_000_000  # cells x samples of one block: 240 MB of path

Progress = Callable[[str, float], None]


def quiet(what: str, share: float) -> None:
    """Progress that nobody watches, but a debug log."""
    logging.getLogger(__name__).debug("%s %.0f %%", what, 100 * share)


@dataclass(frozen=True, slots=True)
class Task:
    """What is replayed."""

    trace: Trace
    world: EvaluatedWorld
    profile: Profile
    seed: int = 0
    model: LoadedModel | None = None  # forecasts for ``predictive``
    # whether policies run with the guard loop, and the oracle may wake cells in any minute
    guard: bool = False
    constraints: Constraints | None = None  # what the operator wants awake, for the cells of the trace
    foreign: Mapping[str, ForeignPolicy] = field(default_factory=dict)  # policies that are not ours, by name
    energy_price: EnergyPrices | None = None  # of the cells of the trace, where it is to weigh their sleep


class Stage:
    """A task cut into blocks of whole groups; the last block stays in memory."""

    def __init__(self, task: Task, *, sigma: float | None = None, profile: Profile | None = None) -> None:
        self.task, self._sigma = task, sigma
        self.profile = profile or task.profile
        self.network = network = make_network(task.trace, task.world)
        # number groups by their first cell, as pack_groups expects
        numbered = np.unique(network.group_of, return_inverse=True)[1].astype(np.int32)
        # a model looks at the other cells of a site, some guards count them, and a group is cut into the same parts
        # only as a whole
        if task.model is not None or self.profile.guards.counts_sites or network.too_large:
            numbered = independent_groups(task.trace.cells)
        self.clock = make_clock(task.trace, task.world)
        max_cells = max(1, BLOCK_SAMPLES // self.clock.n_samples)
        self.blocks = list(pack_groups(numbered, max_cells))
        self._last: tuple[int, Scene] | None = None

    def scene(self, block: int) -> Scene:
        """The scene of one block."""
        if self._last is None or self._last[0] != block:
            self._last = None
            part = self.task.trace.select_cells(self.blocks[block])
            self._last = (block, make_scene(part, self.task.world, seed=self.task.seed, sigma=self._sigma))
        return self._last[1]

    def scenes(self) -> Iterator[tuple[int, Scene]]:
        """All blocks in order."""
        for block in range(len(self.blocks)):
            yield block, self.scene(block)

    def constraints(self, block: int) -> Constraints | None:
        """The operator's constraints for the cells of one block."""
        made = self.task.constraints
        return None if made is None else made.select(self.blocks[block])

    def energy_price(self, block: int) -> EnergyPrices | None:
        """Prices of energy at the cells of one block."""
        made = self.task.energy_price
        return None if made is None else made.select(self.blocks[block])

    @property
    def order(self) -> NDArray[np.intp]:
        """Cells of the trace in the order of the blocks."""
        return np.concatenate(self.blocks)
