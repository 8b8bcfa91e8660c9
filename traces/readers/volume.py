"""Hourly volume per cell: ``traffic`` with cell_id, timestamp, dl_bytes, prb_util if known; ``cells`` too.

Where PRB utilisation is not recorded, the load is derived from the volume.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from traces.columns import CELL_ID, LOAD, TIMESTAMP, Column, ratio
from traces.errors import TraceError
from traces.readers.source import Series, Source, unread_note
from traces.readers.tables import Table

NEEDS = "volume: traffic.(parquet|csv), or one file, with cell_id, timestamp, dl_bytes, optionally prb_util"
REFERENCE_QUANTILE, REFERENCE_LOAD = 0.999, 0.8
_CELL_NAMES = {"carrier": "band_mhz", "latitude_deg": "lat", "longitude_deg": "lon"}
_VOLUME_NOTE = (
    f"No PRB utilisation is recorded: the load is the downlink volume over that of the cell's own "
    f"{100 * REFERENCE_QUANTILE:g}th percentile, which is taken as load {REFERENCE_LOAD}; it is capped at 1."
)


def recognise(tables: Mapping[str, Table], name: str) -> Source | None:
    """The files as a volume trace, or None. Raises TraceError for volumes that are not of cells."""
    traffic = tables.get("traffic")
    if traffic is None or "dl_bytes" not in traffic.columns:
        return None
    missing = [column for column in (CELL_ID, TIMESTAMP) if column not in traffic.columns]
    if missing:
        raise TraceError(
            f"{traffic.name}: column {missing[0]} is missing; it has {', '.join(traffic.columns)}"
        )
    if "parent" in traffic.columns:
        raise TraceError(
            f"{traffic.name}: its rows are sums over clusters of base stations (column parent), not loads of "
            "cells; give a trace of single cells"
        )
    known = (
        ratio("prb_util", LOAD),
        Column("dl_bytes", "dl_volume_bit", scale=8.0),
        Column("ul_bytes", "ul_volume_bit", scale=8.0),
        Column("active_users", "active_users"),
    )
    columns = tuple(column for column in known if column.name in traffic.columns)
    return Source(
        name=name,
        traffic=traffic,
        columns=columns,
        cells=tables.get("cells"),
        cell_names=_CELL_NAMES,
        likely_step_s=3600,
        notes=unread_note(traffic, [c.name for c in columns]),
        load_from_volume=load_from_volume,
        volume_note=_VOLUME_NOTE,
    )


def load_from_volume(series: Series) -> Series:
    """The series with ``dl_prb_ratio`` derived from ``dl_volume_bit``, each cell on its own."""
    volume = series["dl_volume_bit"]
    load = np.full_like(volume, np.nan)
    for cell, own in enumerate(volume):
        load[cell] = _load(own)
    return {LOAD: load} | series


def _load(volume_bit: NDArray[np.float32]) -> NDArray[np.float32]:
    recorded = ~np.isnan(volume_bit)
    if not recorded.any():
        return volume_bit
    reference = np.quantile(volume_bit[recorded], REFERENCE_QUANTILE)
    if reference == 0:
        return volume_bit * np.float32(0)
    load: NDArray[np.float32] = np.minimum(volume_bit * np.float32(REFERENCE_LOAD / reference), np.float32(1))
    return load
