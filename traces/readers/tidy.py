"""The tidy schema ``quietcell.trace/1`` in Parquet or CSV. See docs/trace-schema.md."""

from __future__ import annotations

import json
from collections.abc import Mapping

from traces.columns import CELL_ID, ENERGY, LOAD, TIMESTAMP, energy_column, tidy_traffic_columns
from traces.errors import TraceError
from traces.readers.source import Energy, Source, unread_note
from traces.readers.tables import Table
from traces.trace import SCHEMA

NEEDS = f"tidy: traffic.(parquet|csv), or one file, with {CELL_ID}, {TIMESTAMP} and {LOAD} or dl_prb_percent"
KEY = "quietcell."


def recognise(tables: Mapping[str, Table], name: str) -> Source | None:
    """The files as a tidy trace, or None. Raises TraceError if they contradict the schema they state."""
    traffic = tables.get("traffic")
    if traffic is None:
        return None
    columns = tidy_traffic_columns(traffic.columns)
    declared = traffic.metadata.get(KEY + "schema")
    has_load = any(c.is_load for c in columns)
    if declared is None and not has_load:
        return None
    if declared not in (None, SCHEMA):
        raise TraceError(
            f"{traffic.name}: schema {declared!r} is not {SCHEMA!r}; write it anew in this version"
        )
    needed = (CELL_ID, TIMESTAMP) if has_load else (CELL_ID, TIMESTAMP, LOAD)
    missing = [column for column in needed if column not in traffic.columns]
    if missing:
        raise TraceError(
            f"{traffic.name}: column {missing[0]} is missing; it has {', '.join(traffic.columns)}"
        )
    measures = [c.measure for c in columns]
    for column in columns:
        if measures.count(column.measure) > 1:
            raise TraceError(
                f"{traffic.name}: {column.measure} is given as ratio and as percent; keep one of them"
            )
    step = traffic.metadata.get(KEY + "step_s")
    return Source(
        name=traffic.metadata.get(KEY + "source", name),
        traffic=traffic,
        columns=columns,
        cells=tables.get("cells"),
        energy=_energy(tables.get("site_energy")),
        time_zone=traffic.metadata.get(KEY + "time_zone", ""),
        step_s=_positive(traffic, step) if step is not None else None,
        notes=_notes(traffic) + unread_note(traffic, [c.name for c in columns]),
    )


def _energy(table: Table | None) -> Energy | None:
    if table is None:
        return None
    columns = [name for name in table.columns if name.startswith(ENERGY) and name != ENERGY]
    if len(columns) != 1 or not {"site_id", TIMESTAMP} <= set(table.columns):
        raise TraceError(
            f"{table.name}: needs site_id, {TIMESTAMP} and one column {ENERGY}<unit>, such as energy_wh; "
            f"it has {', '.join(table.columns)}"
        )
    column, unit = energy_column(columns[0])
    return Energy(table, "site_id", column, unit)


def _positive(table: Table, text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise TraceError(f"{table.name}: {KEY}step_s is {text!r}; it must be a whole number of seconds")
    return int(text)


def _notes(table: Table) -> tuple[str, ...]:
    try:
        notes = json.loads(table.metadata.get(KEY + "notes", "[]"))
        return tuple(str(note) for note in notes)
    except (ValueError, TypeError) as error:
        raise TraceError(f"{table.name}: {KEY}notes is no JSON list of sentences; remove it") from error
