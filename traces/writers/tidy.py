"""Write a trace in the tidy schema ``quietcell.trace/1``, as Parquet. See docs/trace-schema.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from traces.columns import CELL_ID, CELL_NUMBERS, CELL_TEXTS, TIMESTAMP, energy_column_name
from traces.errors import TraceError
from traces.trace import SCHEMA, Cells, Trace

ROW_GROUP_ROWS = 1 << 20


def write_tidy(trace: Trace, folder: Path) -> None:
    """Write ``cells``, ``traffic`` and, if recorded, ``site_energy`` into a new or empty folder.

    ``read_trace`` of the folder gives the same trace, but for its quarantine, which belongs to the files it
    was read from. Raises TraceError if the folder holds files already.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise TraceError(f"{folder}: the folder is not empty; name a new one")
    metadata = {
        "quietcell.schema": SCHEMA,
        "quietcell.time_zone": trace.time_zone,
        "quietcell.step_s": str(trace.step_s),
        "quietcell.source": trace.source,
        "quietcell.notes": json.dumps(trace.notes),
    }
    pq.write_table(_cell_table(trace.cells), folder / "cells.parquet", compression="zstd")
    ids = trace.cells.cell_id
    _write_series(folder / "traffic.parquet", CELL_ID, ids, trace.series(), trace.times(), metadata)
    if trace.site_energy is not None:
        energy = {energy_column_name(trace.site_energy.unit): trace.site_energy.energy}
        sites = trace.site_energy.site_id
        _write_series(folder / "site_energy.parquet", "site_id", sites, energy, trace.times(), metadata)


def _cell_table(cells: Cells) -> Any:
    names = cells.cell_id.tolist()
    columns: dict[str, Any] = {CELL_ID: names}
    columns |= {text: getattr(cells, text).tolist() for text in CELL_TEXTS}
    columns |= {number: _nullable(getattr(cells, number)) for number in CELL_NUMBERS}
    columns["role"] = ["capacity" if capacity else "coverage" for capacity in cells.is_capacity.tolist()]
    candidates = [[names[j] for j in cells.candidates_of(i)] for i in range(len(cells))]
    columns["candidates"] = pa.array(candidates, pa.list_(pa.string()))
    if (cells.candidate_overlap < 1).any():
        shares = np.split(cells.candidate_overlap, cells.candidate_start[1:-1])
        columns["overlap"] = pa.array([own.tolist() for own in shares], pa.list_(pa.float32()))
    if (cells.anchor >= 0).any():
        columns["anchor"] = [names[i] if i >= 0 else "" for i in cells.anchor.tolist()]
    return pa.table(columns)


def _write_series(
    path: Path,
    key: str,
    keys: NDArray[np.str_],
    series: dict[str, NDArray[np.float32]],
    times: NDArray[np.datetime64],
    metadata: dict[str, str],
) -> None:
    """One row per key and step, key by key, in row groups of whole keys so that a reader can skip groups."""
    n_steps = len(times)
    group = max(1, ROW_GROUP_ROWS // n_steps)
    stamps = pa.array(times.astype("datetime64[ms]")).cast(pa.timestamp("ms", tz="UTC"))
    fields = [pa.field(key, pa.string()), pa.field(TIMESTAMP, stamps.type)]
    schema = pa.schema([*fields, *(pa.field(name, pa.float32()) for name in series)], metadata)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, len(keys), group):
            own = keys[start : start + group]
            number = pa.array(np.repeat(np.arange(len(own), dtype=np.int32), n_steps))
            columns = [
                pa.DictionaryArray.from_arrays(number, pa.array(own.tolist())).cast(pa.string()),
                pa.concat_arrays([stamps] * len(own)),
                *(_nullable(values[start : start + group].ravel()) for values in series.values()),
            ]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=len(number))


def _nullable(values: NDArray[Any]) -> Any:
    """A pyarrow array with null for NaN."""
    return pa.array(values, from_pandas=True)
