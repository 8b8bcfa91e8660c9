"""What a layout says about its files: which tables and columns to read, and what is assumed about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from traces.columns import CELL_ID, TIMESTAMP, Column
from traces.readers.tables import Table

Series = dict[str, NDArray[np.float32]]  # measure -> (n_cells, n_steps)


@dataclass(slots=True)
class ColumnFacts:
    """What one column holds, over all rows of its file. Values are measures, that is, scaled."""

    recorded: int = 0
    not_zero: int = 0
    above_highest: int = 0
    largest: float = 0.0


@dataclass(frozen=True, slots=True)
class Energy:
    """The table of measured energy per base station."""

    table: Table
    site_column: str
    column: Column
    unit: str


@dataclass(frozen=True, slots=True)
class Source:
    """Files in a known layout that are to be read as one trace."""

    name: str
    traffic: Table
    columns: tuple[Column, ...]  # of the traffic table
    cells: Table | None = None
    cell_names: Mapping[str, str] | None = None  # tidy column -> column of the cell table, where it differs
    energy: Energy | None = None
    time_zone: str = ""  # as the files say; "" if they do not
    likely_time_zone: str = "UTC"  # taken if neither the files nor the caller say
    step_s: int | None = None  # as the files say
    likely_step_s: int | None = None  # taken if the rows cannot tell
    notes: tuple[str, ...] = ()
    load_from_volume: Callable[[Series], Series] | None = None  # where no PRB utilisation is recorded
    volume_note: str = ""


def unread_note(table: Table, read: Iterable[str]) -> tuple[str, ...]:
    """A note that names the columns of a table that are not read."""
    unread = sorted(set(table.columns) - set(read) - {CELL_ID, TIMESTAMP})
    return (f"Not read from {table.name}: {', '.join(unread)}.",) if unread else ()
