"""Mains outages as they were recorded: site, begin, end."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from traces.errors import Quarantine, TraceError
from traces.grid.reading import open_with, whole_table
from traces.readers.rows import RowCheck
from traces.readers.times import FAULTS, known_zone, to_utc_seconds


@dataclass(frozen=True, slots=True, eq=False)
class Outages:
    """Outages of the mains, ordered by site and begin; those of one site do not overlap."""

    site: NDArray[np.str_]  # (k,)
    begin_s: NDArray[np.int64]  # seconds since 1970 UTC (k,)
    end_s: NDArray[np.int64]  # (k,)
    quarantine: Quarantine = field(default_factory=Quarantine)


def read_outages(path: Path, *, time_zone: str | None = None) -> Outages:
    """A CSV or Parquet file with columns site, begin, end. Rows that cannot be used are set aside and counted.

    Raises TraceError for a missing file or column, or times without a zone where ``time_zone`` names none.
    """
    columns = ("site", "begin", "end")
    batch = whole_table(open_with(Path(path), columns), columns)
    quarantine = Quarantine()
    check = RowCheck(batch, quarantine)
    zone = None if time_zone is None else known_zone(time_zone)
    times = []
    for column in ("begin", "end"):
        seconds, fault = to_utc_seconds(batch.columns[column], zone, batch.table.name)
        for number, reason in FAULTS.items():
            check.reject(fault == number, column, reason.replace("timestamp", column))
        times.append(seconds)
    begin_s, end_s = times
    site = np.array([name or "" for name in batch.columns["site"].to_pylist()], np.str_)
    check.reject(site == "", "site", "site is empty")
    check.reject(end_s <= begin_s, "end", "end is not after begin")
    order = np.lexsort((begin_s, site))
    order = order[check.ok[order]]
    inside = np.zeros(len(site), np.bool_)
    for earlier, later in zip(order[:-1].tolist(), order[1:].tolist(), strict=True):
        inside[later] = site[earlier] == site[later] and begin_s[later] < end_s[earlier]
    check.reject(inside, "begin", "begins before the outage before it has ended")
    order = order[check.ok[order]]
    if not check.ok.any() and quarantine.total:
        first = quarantine.examples[0]
        raise TraceError(
            f"{batch.table.name}: no outage can be used; the first, {first.place}: {first.reason}"
        )
    return Outages(site[order], begin_s[order], end_s[order], quarantine)
