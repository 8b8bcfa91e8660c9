"""A part of a network set up for replay: its traffic inside the steps, its arrays and its clock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.worlds import EvaluatedWorld
from hw.plant import Figures, count_changes, execute
from hw.tables import Tables, pack
from policies.network import Network, build_network
from traces import Cells, Trace, TraceError
from traces.path import sample_path, samples_per_step

DAY_S = 86400
SMALLEST_DL = 1e-3  # below it the ratio of recorded uplink to downlink says nothing [ratio]


@dataclass(frozen=True, slots=True)
class Clock:
    """How a trace's steps, the samples inside them and the planning ticks fit together."""

    sample_s: int
    per_step: int  # samples in a step
    per_tick: int  # samples in a planning tick
    n_samples: int
    start: np.datetime64
    time_zone: str

    @property
    def tick_s(self) -> int:
        """Length of a planning tick. [s]"""
        return self.sample_s * self.per_tick

    @property
    def n_ticks(self) -> int:
        """Number of planning ticks, the last of which may be cut short."""
        return -(-self.n_samples // self.per_tick)

    @property
    def per_day(self) -> int:
        """Samples in 24 h from the start of the trace."""
        return max(1, DAY_S // self.sample_s)

    def tick_time(self, tick: int) -> np.datetime64:
        """Begin of a tick, UTC."""
        return self.start + np.timedelta64(tick * self.tick_s, "s")


def make_clock(trace: Trace, world: EvaluatedWorld) -> Clock:
    """Clock of a trace in a world. Raises TraceError where its step does not fit the samples."""
    sample_s = min(world.evaluation.traffic_path.sample_s, trace.step_s)
    tick_s = world.evaluation.plan_interval_s
    if tick_s % sample_s or DAY_S % sample_s:
        raise TraceError(
            f"{trace.source}: a step of {trace.step_s} s does not divide the planning interval of {tick_s} s; "
            "resample the trace"
        )
    per_step = samples_per_step(trace.step_s, sample_s)
    return Clock(
        sample_s=sample_s,
        per_step=per_step,
        per_tick=tick_s // sample_s,
        n_samples=trace.n_steps * per_step,
        start=trace.start,
        time_zone=trace.time_zone,
    )


@dataclass(frozen=True, slots=True)
class Scene:
    """A block of whole groups, ready to be replayed. n cells."""

    cell_id: NDArray[np.str_]
    site: NDArray[np.int32]  # (n,) number of each cell's site
    network: Network
    tables: Tables
    clock: Clock
    path: NDArray[np.float32]  # (n, samples) offered traffic [ratio of full rate]
    ul_per_dl: NDArray[np.float32]  # (n, steps) or (n, 1)
    sigma: float  # log standard deviation of the noise in the path
    correlation_samples: float  # after which the noise has fallen to 1/e

    def execute(
        self,
        plan: NDArray[np.uint8],
        *,
        served: NDArray[np.uint8] | None = None,
        tables: Tables | None = None,
        energy_per_tick: bool = False,
    ) -> Figures:
        """Carry out a plan: one level per planning tick, or one per sample. (n, ticks) or (n, samples)

        ``served`` (n, samples): levels with the guard loop, never deeper. Only changes of the plan count as such.
        """
        clock = self.clock
        carried_out = plan if served is None else self.by_sample(plan, served)
        figures = execute(
            tables or self.tables,
            self.network.groups,
            self.path,
            self.ul_per_dl,
            carried_out,
            samples_per_tick=1 if carried_out.shape[1] == clock.n_samples else clock.per_tick,
            samples_per_day=clock.per_day,
            energy_per_tick=energy_per_tick,
        )
        if served is not None:
            count_changes(self.path, plan, served, clock.per_tick, clock.per_day, figures.table)
        return figures

    def by_sample(self, plan: NDArray[np.uint8], served: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The levels that are carried out, sample by sample. (n, samples)"""
        level = np.repeat(plan, self.clock.per_tick, axis=1)[:, : self.clock.n_samples]
        return np.minimum(level, served)


def make_network(trace: Trace, world: EvaluatedWorld) -> Network:
    """Arrays of the cells, allowed levels and groups of a trace in a world."""
    return network_of(trace.cells, world)


def network_of(cells: Cells, world: EvaluatedWorld) -> Network:
    """Arrays of cells, their allowed levels and groups in a world. Raises WorldError for an unknown product."""
    model = world.world.models_of(cells.product, cells.cell_id)
    return build_network(
        world.world,
        model,
        cells.is_capacity,
        cells.candidate_start,
        cells.candidate,
        overlap=cells.candidate_overlap,
        anchor=cells.anchor,
    )


def make_tables(world: EvaluatedWorld, clock: Clock, target_mbit_s: float | None = None) -> Tables:
    """Tables of a world for a clock, at the world's own throughput target unless another is given."""
    service = world.evaluation.service
    return pack(
        world.world,
        sample_s=clock.sample_s,
        target_mbit_s=target_mbit_s or service.target_mbit_s,
        target_share=service.target_share_of_none,
        object_mbit=service.latency_object_mbit,
    )


def make_scene(trace: Trace, world: EvaluatedWorld, *, seed: int, sigma: float | None = None) -> Scene:
    """Set up a trace, or a part of one made of whole groups. ``sigma`` replaces the world's own."""
    clock = make_clock(trace, world)
    assumed = world.evaluation.traffic_path
    sigma = assumed.sigma if sigma is None else sigma
    correlation_samples = assumed.correlation_s / clock.sample_s
    path = sample_path(
        trace.dl_prb_ratio,
        trace.cells.cell_id,
        per_step=clock.per_step,
        sigma=sigma,
        correlation_samples=correlation_samples,
        seed=seed,
    )
    return Scene(
        cell_id=trace.cells.cell_id,
        site=trace.cells.site_numbers(),
        network=make_network(trace, world),
        tables=make_tables(world, clock),
        clock=clock,
        path=path,
        ul_per_dl=_ul_per_dl(trace, world),
        sigma=sigma,
        correlation_samples=correlation_samples,
    )


def _ul_per_dl(trace: Trace, world: EvaluatedWorld) -> NDArray[np.float32]:
    """Recorded uplink over downlink load, the world's assumption where uplink is not recorded."""
    assumed = np.float32(world.world.ul_per_dl)
    if trace.ul_prb_ratio is None:
        return np.full((trace.n_cells, 1), assumed, np.float32)
    with np.errstate(invalid="ignore"):
        ratio = trace.ul_prb_ratio / np.maximum(trace.dl_prb_ratio, SMALLEST_DL)
    return np.ascontiguousarray(np.where(np.isnan(ratio), assumed, ratio), np.float32)
