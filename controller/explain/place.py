"""Which cell and which tick is asked about; a typo is answered with what was probably meant."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from controller.replay.scene import Clock
from traces import Trace, TraceError

EXAMPLES = "'2023-03-01 02:15' in local time, or '2023-03-01T01:15Z'"


def find_cell(trace: Trace, name: str) -> int:
    """Index of a cell. Raises TraceError with near matches."""
    where = np.flatnonzero(trace.cells.cell_id == name)
    if len(where):
        return int(where[0])
    known = [str(cell) for cell in trace.cells.cell_id]
    lower = {cell.lower(): cell for cell in known}
    near = difflib.get_close_matches(name.lower(), lower, n=4)
    if near:
        hint = f"close to it: {', '.join(lower[one] for one in near)}"
    else:
        hint = f"its {len(known)} cells are {', '.join(known[:5])}" + (" and so on" if len(known) > 5 else "")
    raise TraceError(f"{trace.source}: there is no cell {name!r}; {hint}")


def find_tick(text: str, clock: Clock, source: str) -> int:
    """The planning tick of a time. Raises TraceError for text that is no time, and outside the trace."""
    moment = parse_moment(text, ZoneInfo(clock.time_zone))
    tick = int((moment - clock.start) // np.timedelta64(clock.tick_s, "s"))
    if 0 <= tick < clock.n_ticks:
        return tick
    last = clock.start + np.timedelta64(clock.n_samples * clock.sample_s, "s")
    first, end = (local_text(one, clock.time_zone) for one in (clock.start, last))
    raise TraceError(
        f"{source}: {text!r} is outside the trace, which runs from {first} to {end} ({clock.time_zone}; in UTC "
        f"{_utc_text(clock.start)} to {_utc_text(last)})"
    )


def parse_moment(text: str, zone: ZoneInfo) -> np.datetime64:
    """A time with an offset, or one of ``zone``, as UTC. Raises TraceError where it is none or is not one."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise TraceError(f"{text!r} is no time; write {EXAMPLES}") from None
    if found.tzinfo is None:
        ways = {fold: found.replace(tzinfo=zone, fold=fold) for fold in (0, 1)}
        kept = {
            local.astimezone(UTC)
            for local in ways.values()
            if local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == found
        }
        if not kept:
            raise TraceError(
                f"{text!r} does not exist in {zone.key}: the clock was set forward; give it in UTC"
            )
        if len(kept) > 1:
            both = " or ".join(
                sorted(local.isoformat(sep=" ", timespec="minutes") for local in ways.values())
            )
            raise TraceError(f"{text!r} happened twice in {zone.key}; write {both}")
        (found,) = kept
    return np.datetime64(found.astimezone(UTC).replace(tzinfo=None), "s")


def local_text(moment: np.datetime64, time_zone: str) -> str:
    """A UTC moment as local date and time of day."""
    seconds = int(moment.astype("datetime64[s]").astype(np.int64))
    return datetime.fromtimestamp(seconds, UTC).astimezone(ZoneInfo(time_zone)).strftime("%Y-%m-%d %H:%M")


def _utc_text(moment: np.datetime64) -> str:
    return f"{moment.astype('datetime64[m]')}Z"
