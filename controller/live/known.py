"""What the files of a configuration say of the network. Each is read once, for the radios and for site power."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from controller.errors import ConfigError
from controller.live.config import LiveConfig
from controller.worlds import EvaluatedWorld, world_for
from traces import Cells, Trace
from traces.overlay import with_overlay
from traces.readers.celltable import read_cell_table
from traces.readers.tables import open_table
from traces.reading import read_trace
from traces.sample import sample_path as bundled_sample


@dataclass(frozen=True, slots=True)
class Known:
    """The network, its hardware and its past."""

    cells: Cells
    time_zone: str
    world: EvaluatedWorld
    history: Trace | None  # what to learn from before the first tick


def known_of(config: LiveConfig) -> Known:
    """What a configuration names. Raises ConfigError, TraceError and WorldError for it."""
    cells, time_zone, trace = cells_of(config)
    world = world_for(config.world, trace, config.levers)
    history = None
    if config.history is not None:
        history = read_trace(_resolved(config.history), time_zone=config.time_zone)
    return Known(cells, time_zone, world, history)


def cells_of(config: LiveConfig) -> tuple[Cells, str, Trace | None]:
    """The cells, their time zone, and the trace they were taken from, if any."""
    if config.trace is not None:
        trace = read_trace(
            _resolved(config.trace), time_zone=config.time_zone, assume_overlay=config.assume_overlay
        )
        return trace.cells, trace.time_zone, trace
    assert config.cells is not None
    path = Path(config.cells)
    if not path.is_file():
        raise ConfigError(f"cells: {config.cells!r} is no file; give the path of a cell table")
    table = read_cell_table(open_table(path))
    cells = with_overlay(table.cells)[0] if config.assume_overlay else table.cells
    zone = config.time_zone or table.time_zone
    if not zone:
        raise ConfigError(
            f"cells: {config.cells} does not say which time zone local hours are in; give time_zone"
        )
    return cells, zone, None


def _resolved(trace: str) -> Path:
    """The path of a trace; ``sample`` is the bundled one."""
    path = Path(trace)
    return bundled_sample() if trace == "sample" and not path.exists() else path
