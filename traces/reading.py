"""Read a trace: a file or a folder in any known layout, whole or in pieces that fit in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from traces.errors import Quarantine, TraceError
from traces.groups import independent_groups, pack_groups
from traces.overlay import with_overlay
from traces.pm import load_mapping, read_pm
from traces.readers.layouts import find_source
from traces.readers.plan import SCAN_SHARE, make_plan, read_piece
from traces.readers.scan import Progress
from traces.trace import Trace

MAX_CELL_STEPS = 20_000_000  # of one piece; 80 MB for each measure


def read_trace(
    path: Path,
    *,
    time_zone: str | None = None,
    assume_overlay: bool = False,
    counter_mapping: Path | None = None,
    progress: Progress | None = None,
) -> Trace:
    """Read a file or a folder whose layout is told by its content.

    Parameters
    ----------
    path : a tidy, ITU or volume table or folder, or 3GPP PM XML; see docs/trace-schema.md.
    time_zone : IANA name of the zone of local hours. Replaces what the source says; timestamps without an
        offset are local times of this zone, and are refused without it.
    assume_overlay : where the source states no overlap, take the cells of one base station after its first as
        capacity cells, with the other cells of the station as candidates.
    counter_mapping : YAML file that says what the counters of PM files mean; default the bundled one that fits.
    progress : called with the share of the work that is done.

    Rows that cannot be used are counted in the ``quarantine`` of the trace; what was assumed is in its
    ``notes``. Raises UnknownLayoutError, and TraceError with file, place and remedy for a trace that cannot
    be used.
    """
    tell = progress or _silent
    source = find_source(Path(path))
    if isinstance(source, Path):
        return _read_pm(source, time_zone, assume_overlay, counter_mapping)
    if counter_mapping is not None:
        raise TraceError(f"{path}: a counter mapping is for 3GPP PM files, which this is not; leave it out")
    plan = make_plan(source, time_zone, assume_overlay, lambda done: tell(SCAN_SHARE * done))
    everything = np.arange(len(plan.cells))
    trace = read_piece(
        plan, everything, first=True, progress=lambda done: tell(SCAN_SHARE + (1 - SCAN_SHARE) * done)
    )
    if trace is None:
        counts = "; ".join(f"{reason}: {count}" for reason, count in plan.scan_quarantine.counts.items())
        raise TraceError(f"{source.traffic.name}: the trace is empty; all its rows were set aside ({counts})")
    return trace


def read_partitions(
    path: Path,
    max_cell_steps: int = MAX_CELL_STEPS,
    *,
    time_zone: str | None = None,
    assume_overlay: bool = False,
    progress: Progress | None = None,
) -> Iterator[Trace]:
    """Read a trace in pieces that can each be replayed on their own, for files larger than memory.

    A piece holds whole base stations and all cells that are tied by candidates, and at most
    ``max_cell_steps`` cells times steps unless one such group alone is larger. It equals the same cells of
    ``read_trace``. Rows set aside that belong to no cell are counted in the first piece; pieces in which
    nothing is recorded are left out. PM XML is read whole. Parameters and errors otherwise as in
    ``read_trace``.
    """
    tell = progress or _silent
    source = find_source(Path(path))
    if isinstance(source, Path):
        yield from _split(_read_pm(source, time_zone, assume_overlay), max_cell_steps)
        return
    plan = make_plan(source, time_zone, assume_overlay, lambda done: tell(SCAN_SHARE * done))
    n_cells, n_read, first = len(plan.cells), 0, True
    for index in pack_groups(independent_groups(plan.cells), max(1, max_cell_steps // plan.grid.n_steps)):
        piece = read_piece(plan, index, first=first, progress=_silent)
        n_read += len(index)
        tell(SCAN_SHARE + (1 - SCAN_SHARE) * n_read / n_cells)
        if piece is not None:
            yield piece
            first = False


def _read_pm(
    path: Path, time_zone: str | None, assume_overlay: bool, counter_mapping: Path | None = None
) -> Trace:
    mapping = None if counter_mapping is None else load_mapping(counter_mapping)
    trace = read_pm([path], mapping, time_zone=time_zone or "UTC")
    if not assume_overlay:
        return trace
    cells, note = with_overlay(trace.cells)
    return replace(trace, cells=cells, notes=(*trace.notes, note))


def _split(trace: Trace, max_cell_steps: int) -> Iterator[Trace]:
    first = True
    for index in pack_groups(independent_groups(trace.cells), max(1, max_cell_steps // trace.n_steps)):
        if np.isfinite(trace.dl_prb_ratio[index]).any():
            piece = trace.select_cells(index)
            yield piece if first else replace(piece, quarantine=Quarantine())
            first = False


def _silent(done: float) -> None:
    """No progress is wanted."""
    del done
