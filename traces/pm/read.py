"""Measurement files of 3GPP TS 32.435 and TS 28.532 as a ``Trace``. See docs/pm-xml.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isnan
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from traces.errors import Problem, Quarantine, TraceError
from traces.pm.gather import Found, Gatherer, counters_in
from traces.pm.grid import energy_per_site, field_array, grid_of, set_aside_off_grid
from traces.pm.mapping import BUNDLED, SITE_FIELD, CounterMapping, bundled_mapping
from traces.pm.source import FileRefusedError, measurement_files
from traces.trace import Cells, Float32, Trace, make_cells

_SHOWN_COUNTERS = 30
_REMEDY = "write a counter mapping as in docs/pm-xml.md and pass it"


def read_pm(paths: Sequence[Path], mapping: CounterMapping | None = None, *, time_zone: str = "UTC") -> Trace:
    """Read measurement files, plain or gzip, or folders of them, as one trace.

    Parameters
    ----------
    paths : files or folders; in folders, other files are skipped and counted.
    mapping : what the counters mean; None takes the bundled mapping whose counters occur.
    time_zone : IANA name of local time; also holds for times in the files that have no offset.

    A file that is cut off, not well-formed or beyond the limits is refused as a whole and counted in
    ``quarantine``; so are suspect, contradicting and impossible values. What is missing is NaN.

    Raises TraceError if no file can be read, if none has downlink PRB utilisation of a cell, and if the times
    span far more steps than were recorded.
    """
    try:
        zone = ZoneInfo(time_zone)
    except (OSError, KeyError, ValueError) as error:
        raise TraceError(
            f"time zone {time_zone!r} is not known; use an IANA name such as Europe/Berlin"
        ) from error
    files, n_skipped = measurement_files(paths)
    mapping = mapping or _bundled_mapping_for(files)
    quarantine = Quarantine()
    gatherer = Gatherer(mapping, zone, quarantine)
    n_refused = _read_all(files, gatherer, quarantine)
    _check_utilisation(files[0], mapping, gatherer, quarantine)
    n_read = len(files) - n_refused
    notes = [f"Read {n_read} of {len(files)} measurement files with the counter mapping {mapping.name}."]
    if n_skipped:
        notes.append(f"Skipped {n_skipped} other files.")
    source = str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    return _trace_of(gatherer, source, time_zone, notes, quarantine)


def _bundled_mapping_for(files: Sequence[Path]) -> CounterMapping:
    """The first bundled mapping whose counters of downlink PRB utilisation are all in one file."""
    seen: dict[str, None] = {}
    refused: FileRefusedError | None = None
    for file in files:
        try:
            names = counters_in(file)
        except FileRefusedError as error:
            refused = refused or error
            continue
        for name in BUNDLED:
            mapping = bundled_mapping(name)
            if any(expression.is_complete(names) for expression in mapping.fields["dl_prb_ratio"]):
                return mapping
        seen.update(names)
    if refused and not seen:
        raise TraceError(f"none of {len(files)} measurement files can be used; {refused}") from refused
    raise TraceError(
        f"{files[0]}: no bundled counter mapping ({', '.join(BUNDLED)}) fits; {_REMEDY}. {_shown(seen)}"
    )


def _shown(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _SHOWN_COUNTERS} more" if len(names) > _SHOWN_COUNTERS else ""
    return f"Counters found: {', '.join(name[:80] for name in names[:_SHOWN_COUNTERS]) or 'none'}{more}"


def _read_all(files: Sequence[Path], gatherer: Gatherer, quarantine: Quarantine) -> int:
    """Read all files and return how many were refused. Raises TraceError if all were."""
    refused: list[FileRefusedError] = []
    for file in files:
        try:
            gatherer.read(file)
        except FileRefusedError as error:
            refused.append(error)
            quarantine.add(Problem(error.file, error.place, "file", error.reason))
    if len(refused) == len(files):
        raise TraceError(f"none of {len(files)} measurement files can be used; {refused[0]}") from refused[0]
    return len(refused)


def _check_utilisation(
    file: Path, mapping: CounterMapping, gatherer: Gatherer, quarantine: Quarantine
) -> None:
    columns = [c for s in gatherer.series if s.field_name == "dl_prb_ratio" for c in s.columns.values()]
    if any(not isnan(value) for column in columns for value in column):
        return
    found = gatherer.found
    if columns:
        raise TraceError(
            f"{file}: no downlink PRB utilisation is usable: {found.n_blank} results blank,"
            f" {found.n_zero_denominators} with nothing available, set aside {dict(quarantine.counts)}"
        )
    wanted = " or ".join(", ".join(e.counters + e.divided_by) for e in mapping.fields["dl_prb_ratio"])
    raise TraceError(
        f"{file}: no cell reports the downlink PRB utilisation of mapping {mapping.name} ({wanted});"
        f" {_REMEDY}. {_shown(found.type_names)}."
        f" Objects that are no cell: {', '.join(found.other_objects) or 'none'}."
        f" Set aside: {dict(quarantine.counts)}"
    )


def _trace_of(
    gatherer: Gatherer, source: str, time_zone: str, notes: list[str], quarantine: Quarantine
) -> Trace:
    series, found = gatherer.series, gatherer.found
    grid = grid_of(series, found)
    set_aside_off_grid(series, grid, found, quarantine)

    def array_of(name: str) -> Float32 | None:
        return field_array(series, name, grid, len(found.cell_rows), quarantine)

    dl_prb_ratio = array_of("dl_prb_ratio")
    assert dl_prb_ratio is not None
    cells = _cells_of(found)
    notes += [*_source_notes(found, time_zone), *_cell_notes(cells, dl_prb_ratio)]
    of_sites = [one for one in series if one.field_name == SITE_FIELD]
    site_energy, silent = energy_per_site(of_sites, grid, list(found.site_rows), quarantine)
    if silent:
        notes.append(f"Energy leaves out {len(silent)} meters that never report, such as {silent[0]}.")
    return Trace(
        source=source,
        cells=cells,
        start=np.datetime64(grid.start_s, "s"),
        step_s=grid.step_s,
        time_zone=time_zone,
        dl_prb_ratio=dl_prb_ratio,
        ul_prb_ratio=array_of("ul_prb_ratio"),
        dl_volume_bit=array_of("dl_volume_bit"),
        ul_volume_bit=array_of("ul_volume_bit"),
        active_users=array_of("active_users"),
        site_energy=site_energy,
        notes=tuple(notes),
        quarantine=quarantine,
    )


def _cells_of(found: Found) -> Cells:
    """Cells in the order of their first value, named with their site if names repeat from site to site."""
    sites, names = zip(*found.cell_rows, strict=True)
    unique = len(set(names)) == len(names)
    ids = names if unique else [f"{site}/{name}" for site, name in found.cell_rows]
    return make_cells(ids, site_id=[site or own for site, own in zip(sites, ids, strict=True)])


def _source_notes(found: Found, time_zone: str) -> list[str]:
    notes = ["Measurement files hold no topology: every cell counts as a coverage cell."]
    if found.n_unmapped_files:
        notes.append(
            f"{found.n_unmapped_files} files hold no counter of the mapping; read them with another."
        )
    if found.n_blank:
        notes.append(f"{found.n_blank} results were blank, NIL or NULL: missing.")
    if found.n_zero_denominators:
        notes.append(
            f"{found.n_zero_denominators} ratios had nothing available, as in a locked cell: missing."
        )
    if found.has_local_times:
        notes.append(f"Times without offset were read as local time in {time_zone}.")
    return notes


def _cell_notes(cells: Cells, dl_prb_ratio: Float32) -> list[str]:
    silent = np.flatnonzero(np.isnan(dl_prb_ratio).all(axis=1))
    if not len(silent):
        return []
    shown = ", ".join(cells.cell_id[silent[:5]])
    return [f"{len(silent)} of {len(cells)} cells never report downlink PRB utilisation: {shown}."]
