"""From a source to traces: one scan of all rows, then the wanted cells' rows, in one piece or in several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traces.columns import ACTIVATION, CELL_ID, LOAD, Column
from traces.errors import Quarantine, TraceError
from traces.overlay import NOT_STATED, with_overlay
from traces.readers.celltable import read_cell_table
from traces.readers.fill import fill
from traces.readers.grid import Grid, find_grid
from traces.readers.rows import Keys
from traces.readers.scan import Keyed, Progress, Scan, scan
from traces.readers.source import ColumnFacts, Series, Source
from traces.readers.times import known_zone
from traces.trace import Cells, SiteEnergy, Trace, make_cells

SCAN_SHARE = 0.4  # of the work of reading a trace in one piece


@dataclass(frozen=True, slots=True)
class Plan:
    """A source after its scan: its cells and its grid are known, and what is left is to fill arrays."""

    source: Source
    traffic: Keyed  # with the columns that hold something
    cells: Cells
    keys: Keys
    number_of_cell: NDArray[np.int32]  # (n_cells,) the number of each cell in ``keys``
    grid: Grid
    time_zone: str
    notes: tuple[str, ...]
    found: Scan
    scan_quarantine: Quarantine


def make_plan(source: Source, time_zone: str | None, assume_overlay: bool, progress: Progress) -> Plan:
    """Scan the source. Raises TraceError if it is empty, of another unit, or on no grid."""
    zone = known_zone(time_zone) if time_zone else None
    table = read_cell_table(source.cells, source.cell_names) if source.cells is not None else None
    cells = table.cells if table else None
    keys = Keys(cells.cell_id.tolist() if cells is not None else None)
    quarantine = Quarantine()
    found = scan(Keyed(source.traffic, CELL_ID, source.columns, zone), keys, quarantine, progress)
    grid = find_grid(found.times, source.step_s, source.likely_step_s, source.traffic.name)
    columns, notes = _used_columns(source, found.columns)
    notes = source.notes + (table.notes if table else ()) + notes
    if cells is None:
        cells = make_cells(np.sort(np.array(keys.names)))
    number = {name: i for i, name in enumerate(keys.names)}
    if found.unsorted_rows:
        notes += (f"{found.unsorted_rows} rows of {source.traffic.name} were out of time order.",)
    if assume_overlay:
        cells, overlay_note = with_overlay(cells)
        notes += (overlay_note,)
    elif table is None or not table.states_overlap:
        notes += (NOT_STATED,)
    local, zone_notes = _local_zone(
        time_zone or source.time_zone or (table.time_zone if table else ""), source
    )
    return Plan(
        source,
        Keyed(source.traffic, CELL_ID, columns, zone),
        cells,
        keys,
        np.array([number[cell] for cell in cells.cell_id.tolist()], np.int32),
        grid,
        local,
        tuple(dict.fromkeys(notes + zone_notes)),
        found,
        quarantine,
    )


def read_piece(plan: Plan, index: NDArray[np.intp], *, first: bool, progress: Progress) -> Trace | None:
    """The trace of the cells at ``index``, or None if nothing is recorded of them.

    The ``first`` piece also carries the rows that the scan set aside, because they belong to no cell.
    """
    quarantine = plan.scan_quarantine if first else Quarantine()
    wanted = plan.number_of_cell[index]
    row_of_key = np.full(len(plan.keys), -1, np.int32)
    row_of_key[wanted] = np.arange(len(index), dtype=np.int32)
    ranges = plan.found.chunk_range.items()
    chunks = {chunk for chunk, (low, high) in ranges if (row_of_key[low : high + 1] >= 0).any()}
    series = fill(
        plan.traffic,
        plan.keys,
        row_of_key,
        plan.grid,
        quarantine,
        chunks=chunks,
        count_misplaced=False,
        progress=progress,
    )
    if LOAD not in series and plan.source.load_from_volume is not None:
        series = plan.source.load_from_volume(series)
    if not np.isfinite(series[LOAD]).any():
        return None
    cells = plan.cells.select(index) if len(index) < len(plan.cells) else plan.cells
    return Trace(
        source=plan.source.name,
        cells=cells,
        start=np.datetime64(plan.grid.start_s, "s"),
        step_s=plan.grid.step_s,
        time_zone=plan.time_zone,
        site_energy=_site_energy(plan, cells, quarantine, first),
        notes=plan.notes,
        quarantine=quarantine,
        **_as_fields(series),
    )


def _used_columns(
    source: Source, facts: dict[str, ColumnFacts]
) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """The columns that hold something, and how the load comes about if it is not one of them."""
    used = tuple(
        c for c in source.columns if facts[c.name].recorded and (c.kept_if_zero or facts[c.name].not_zero)
    )
    if any(c.is_load for c in used):
        return used, ()
    if source.load_from_volume is not None and any(c.measure == "dl_volume_bit" for c in used):
        return used, (source.volume_note,)
    needed = next((c.name for c in source.columns if c.is_load), "dl_bytes")
    raise TraceError(f"{source.traffic.name}: the trace is empty; column {needed} holds no number")


def _local_zone(stated: str, source: Source) -> tuple[str, tuple[str, ...]]:
    if stated:
        return known_zone(stated).key, ()
    likely = source.likely_time_zone
    if likely != "UTC":
        return likely, (
            f"The source names no time zone; {likely} is probable and taken (--time-zone sets another).",
        )
    return likely, (
        "The source names no time zone: local hours are those of UTC (--time-zone sets another).",
    )


def _site_energy(plan: Plan, cells: Cells, quarantine: Quarantine, first: bool) -> SiteEnergy | None:
    """Energy of the sites of ``cells`` that have some recorded, in the order of their first cells."""
    energy = plan.source.energy
    if energy is None:
        return None
    all_sites = list(dict.fromkeys(plan.cells.site_id.tolist()))
    sites = list(dict.fromkeys(cells.site_id.tolist()))
    row = {site: i for i, site in enumerate(sites)}
    values = fill(
        Keyed(energy.table, energy.site_column, (energy.column,), plan.traffic.zone),
        Keys(all_sites),
        np.array([row.get(site, -1) for site in all_sites], np.int32),
        plan.grid,
        quarantine,
        chunks=None,
        count_misplaced=first,
        progress=lambda _: None,
    )[energy.column.measure]
    kept = ~np.isnan(values).all(axis=1)
    return SiteEnergy(np.array(sites, np.str_)[kept], values[kept], energy.unit) if kept.any() else None


def _as_fields(series: Series) -> dict[str, Any]:
    """The series as arguments of ``Trace``."""
    levels = {k.removeprefix(ACTIVATION): v for k, v in series.items() if k.startswith(ACTIVATION)}
    return {k: v for k, v in series.items() if not k.startswith(ACTIVATION)} | {"activation": levels}
