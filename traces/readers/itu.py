"""The layout of the ITU AI/ML in 5G Challenge 2023 (energy consumption of 5G base stations).

``cells``: bs_id, cell_id, ru_type, ...; ``cell_load``: cell_id, timestamp, prb_load, es_mode1..6;
``bs_energy``: bs_id, timestamp, energy_norm. Only cell_id, timestamp, prb_load and a cell table are needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from traces.columns import ACTIVATION, CELL_ID, LOAD, TIMESTAMP, Column, energy_column, ratio
from traces.errors import TraceError
from traces.readers.source import Energy, Source, unread_note
from traces.readers.tables import Table

NEEDS = "ITU challenge: a folder with cells and cell_load.(parquet|csv) with cell_id, timestamp, prb_load"
SHUTDOWN_MODES = ("es_mode1", "es_mode2")  # they act together: one level
SYMBOL_MODE = "es_mode6"
_CELL_NAMES = {"site_id": "bs_id", "product": "ru_type", "carrier": "freq_anon", "txru": "antennas"}
_NOTES = (
    "es_mode1 and es_mode2 act together and are read as one level, night_shutdown: the larger of the two.",
    "Frequency, bandwidth and power are anonymised or scaled: bandwidth is unknown and the carrier is a label. "
    "The number of antennas is taken as TxRU.",
)
_ENERGY_NOTE = "Energy is normalised (maximum of the whole set = 100); it is not in Wh."


def recognise(tables: Mapping[str, Table], name: str) -> Source | None:
    """The files as an ITU trace, or None. Raises TraceError if files or columns of it are missing."""
    alone = tables.get("traffic")
    if alone is not None and "prb_load" in alone.columns:
        raise TraceError(f"{alone.name}: this is one file of the ITU layout; give the folder that holds it")
    load = tables.get("cell_load")
    if load is None or "prb_load" not in load.columns:
        return None
    missing = [column for column in (CELL_ID, TIMESTAMP) if column not in load.columns]
    if missing:
        raise TraceError(f"{load.name}: column {missing[0]} is missing; it has {', '.join(load.columns)}")
    if "cells" not in tables:
        raise TraceError(
            f"{name}: cells.parquet or cells.csv is missing beside {load.name}; add the cell table"
        )
    columns = _columns(load)
    energy = _energy(tables.get("bs_energy"))
    return Source(
        name=name,
        traffic=load,
        columns=columns,
        cells=tables["cells"],
        cell_names=_CELL_NAMES,
        energy=energy,
        likely_time_zone="Asia/Shanghai",
        likely_step_s=3600,
        notes=(
            *_NOTES,
            *((_ENERGY_NOTE,) if energy else ()),
            *unread_note(load, [*(c.name for c in columns), "bs_id"]),
        ),
    )


def _columns(load: Table) -> tuple[Column, ...]:
    columns = [ratio("prb_load", LOAD)]
    for mode in sorted(name for name in load.columns if re.fullmatch(r"es_mode\d+", name)):
        level = "night_shutdown" if mode in SHUTDOWN_MODES else mode
        columns.append(ratio(mode, ACTIVATION + level, kept_if_zero=mode in (*SHUTDOWN_MODES, SYMBOL_MODE)))
    return tuple(columns)


def _energy(table: Table | None) -> Energy | None:
    if table is None:
        return None
    missing = [column for column in ("bs_id", TIMESTAMP, "energy_norm") if column not in table.columns]
    if missing:
        raise TraceError(f"{table.name}: column {missing[0]} is missing; it has {', '.join(table.columns)}")
    column, unit = energy_column("energy_norm")
    return Energy(table, "bs_id", column, unit)
