"""What each planning tick showed of service and energy: as a row, as bytes of one length, and as what is looked at.

A row holds what comparisons need of a tick that has ended, as small as they can do with. Packed, it names the run that
wrote it, so that a run can be fed once more with exactly the rows that it began with. Their file:
controller/live/kpi_file.py.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from controller.localtime import local_time

Float16 = NDArray[np.float16]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

MAGIC = b"QKR1"
HEAD = struct.Struct("<4sqqI")  # magic, tick, run, checksum of the cells' names
CHECK = struct.Struct("<I")  # checksum of all before it
HISTORY_DAYS, ACTING_DAYS = 28, 7  # that are looked at
SPARE_DAYS = 1  # for which a row that is looked at no more stays as it was, for who still reads it
WHOLE_DAY = 0.9  # share of its ticks from which on a day counts


def by_tick(columns: Sequence[Float16]) -> Floats:
    """What T rows hold of n cells. (n, T)"""
    return np.stack(columns, axis=1).astype(np.float64)


class Row(NamedTuple):
    """One planning tick of n cells."""

    tick: int  # planning ticks from 1970 to its begin
    may: Mask  # (n,) cells that were allowed to rest
    load: Float16  # (n,) mean traffic, shared out as usual where the group had a cell off air; NaN unknown [ratio]
    kpi: Float16  # (n,) log of user throughput over what the tables promise; NaN unknown
    energy_wh: Float16  # (n,) NaN unknown

    @property
    def acts(self) -> bool:
        """Whether any cell was allowed to rest."""
        return bool(self.may.any())

    def packed(self, run: int, names: int) -> bytes:
        """As bytes."""
        body = np.packbits(self.may).tobytes()
        body += b"".join(a.astype("<f2").tobytes() for a in (self.load, self.kpi, self.energy_wh))
        row = HEAD.pack(MAGIC, self.tick, run, names) + body
        return row + CHECK.pack(zlib.crc32(row))


class Network(NamedTuple):
    """Whose rows they are: those of another network are none of ours."""

    n_cells: int
    names: int  # checksum of the cells' names in their order
    ticks_per_day: int

    @property
    def size(self) -> int:
        """Length of a packed row. [B]"""
        return HEAD.size + -(-self.n_cells // 8) + 6 * self.n_cells + CHECK.size


def rows_of(cell_id: Iterable[str], tick_s: int) -> Network:
    """The network of some cells, in the order of the cell table."""
    names = tuple(cell_id)
    return Network(len(names), zlib.crc32("\n".join(names).encode()), 86_400 // tick_s)


class RowHead(NamedTuple):
    """What a packed row says of itself."""

    run: int  # that wrote it
    acts: bool  # whether any cell was allowed to rest


def head_of(packed: bytes, of: Network) -> RowHead | None:
    """What a packed row says of itself; None where it is damaged or of another network."""
    magic, _, run, names = HEAD.unpack_from(packed)
    check = (zlib.crc32(packed[: -CHECK.size]),)
    if magic != MAGIC or names != of.names or CHECK.unpack_from(packed, len(packed) - CHECK.size) != check:
        return None
    return RowHead(run, any(packed[HEAD.size : HEAD.size + -(-of.n_cells // 8)]))


def unpacked(packed: bytes, of: Network) -> Row:
    """The row of a packed one that is sound."""
    n, n_bits = of.n_cells, -(-of.n_cells // 8)
    tick = HEAD.unpack_from(packed)[1]
    may = np.unpackbits(np.frombuffer(packed, np.uint8, n_bits, HEAD.size), count=n).astype(np.bool_)
    seen = np.frombuffer(packed, "<f2", 3 * n, HEAD.size + n_bits).reshape(3, n).astype(np.float16)
    return Row(tick, may, *seen)


def kept(acts: Sequence[int], of: Network, more_days: int = 0) -> list[int]:
    """Places of the latest days in which nobody might rest, and of the latest others, of rows that ``acts`` or not.

    ``more_days`` of each than is looked at.
    """
    room = [(days + more_days) * of.ticks_per_day for days in (HISTORY_DAYS, ACTING_DAYS)]
    found: list[int] = []
    for place in reversed(range(len(acts))):
        kind = acts[place]
        if room[kind] > 0:
            room[kind] -= 1
            found.append(place)
    return found[::-1]


class Rows:
    """The rows that are looked at, in memory that is there from the start: weeks of them would look like a leak."""

    def __init__(self, of: Network, rows: Iterable[Row]) -> None:
        """``rows`` of earlier runs, the oldest first."""
        self._most = [days * of.ticks_per_day for days in (HISTORY_DAYS, ACTING_DAYS)]
        n_places = sum(self._most) + SPARE_DAYS * of.ticks_per_day
        # written, or the system would lend it only later
        self._may = np.ones((n_places, of.n_cells), np.bool_)
        self._seen = np.full((n_places, 3, of.n_cells), np.nan, np.float16)
        self._free = deque(range(n_places))
        self._place: list[int] = []
        self.rows: list[Row] = []
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> None:
        """Take in the latest row, and let go of the oldest of its kind where there are more than are looked at."""
        place = self._free.popleft()
        self._may[place], self._seen[place] = row.may, (row.load, row.kpi, row.energy_wh)
        self._place.append(place)
        self.rows.append(Row(row.tick, self._may[place], *self._seen[place]))
        alike = [at for at, other in enumerate(self.rows) if other.acts == row.acts]
        if len(alike) > self._most[row.acts]:
            self._free.append(self._place.pop(alike[0]))
            del self.rows[alike[0]]


def whole_days(rows: Sequence[Row], of: Network, zone: ZoneInfo) -> tuple[list[Row], int]:
    """Rows of the local days in which nobody might rest, as far as they are whole, and how many days those are."""
    at_rest = [row for row in rows if not row.acts]
    tick_s = 86_400 // of.ticks_per_day
    day = [local_time(np.datetime64(row.tick * tick_s, "s"), zone).day for row in at_rest]
    days, count = np.unique(np.array(day, np.intp), return_counts=True)
    whole = set(days[count >= WHOLE_DAY * of.ticks_per_day].tolist())
    return [row for row, d in zip(at_rest, day, strict=True) if d in whole], len(whole)
