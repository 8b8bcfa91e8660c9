"""Timestamps of any accepted kind to seconds since 1970-01-01 UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from traces.errors import TraceError

FAULTS = {  # what can be wrong with a single timestamp
    1: "timestamp is empty",
    2: "timestamp is not ISO 8601",
    3: "local time happens twice (clock set back)",
    4: "local time does not exist (clock set forward)",
}
Seconds = NDArray[np.int64]
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def known_zone(name: str) -> ZoneInfo:
    """The IANA time zone called ``name``. Raises TraceError if there is none."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise TraceError(
            f"time zone {name!r} is not known; use an IANA name such as Asia/Shanghai"
        ) from error


def to_utc_seconds(column: Any, zone: ZoneInfo | None, where: str) -> tuple[Seconds, NDArray[np.int8]]:
    """Seconds since 1970 UTC, and the number of the fault of each row (0: none). Both of shape (n,).

    ``column`` is a pyarrow array of timestamps or ISO 8601 text. Times without an offset are local times of
    ``zone``; without a zone they are refused. Raises TraceError for them and for columns that hold no time.
    """
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        ticks = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        fault = column.is_null().to_numpy(zero_copy_only=False).astype(np.int8)
        return ticks // _PER_SECOND[kind.unit], fault
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("s"), safe=False)
    elif not (pa.types.is_dictionary(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise TraceError(
            f"{where}: column timestamp is of type {kind}; write UTC times, as a Parquet timestamp with time "
            "zone or as ISO 8601 text such as 2024-01-31T13:00:00Z"
        )
    encoded = column if pa.types.is_dictionary(kind) else column.dictionary_encode()
    parsed = [_parse(value, zone, where) for value in encoded.dictionary.to_pylist()]
    parsed.append((0, 1))  # empty
    index = encoded.indices.fill_null(len(parsed) - 1).to_numpy(zero_copy_only=False)
    table = np.array(parsed, np.int64)
    return table[index, 0], table[index, 1].astype(np.int8)


def _parse(value: str | datetime | None, zone: ZoneInfo | None, where: str) -> tuple[int, int]:
    """Seconds and fault of one distinct value."""
    if value is None or value == "":
        return 0, 1
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return 0, 2
    if value.tzinfo is not None:
        return int(value.timestamp() // 1), 0
    if zone is None:
        raise TraceError(
            f"{where}: timestamp {value.isoformat(' ')} names no time zone; write UTC times with an offset "
            "(2024-01-31T13:00:00Z), or say with time_zone (--time-zone) which local time it is"
        )
    return _from_local(value, zone)


def _from_local(value: datetime, zone: ZoneInfo) -> tuple[int, int]:
    first, second = (value.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return int(first.timestamp() // 1), 0
    exists = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == value
    return 0, 3 if exists else 4
