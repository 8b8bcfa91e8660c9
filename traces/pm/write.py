"""A trace as measurement files of 3GPP TS 32.435, one per step, with the counters of TS 28.552."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from math import isnan
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

from traces.errors import TraceError
from traces.pm.mapping import SITE_FIELD, UNITS, bundled_mapping
from traces.pm.names import escape
from traces.trace import Float32, Trace

_NAMESPACE = "http://www.3gpp.org/ftp/specs/archive/32_series/32.435#measCollec"
_DIGITS = ".10g"  # more than float32 holds
_FIELDS_OF = {  # object of a cell -> its fields, as TS 28.552 reports them
    "GNBDUFunction=1,NRCellDU": ("dl_prb_ratio", "ul_prb_ratio", "active_users"),
    "GNBCUCPFunction=1,NRCellCU": ("dl_volume_bit", "ul_volume_bit"),
}
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9.-]+")


@dataclass(frozen=True, slots=True)
class _Block:
    """One measInfo: the objects of one class at one site, and their results."""

    element: str
    name: str
    objects: list[str]
    counters: list[str]
    values: list[Float32]  # per counter (n_objects, n_steps), in the unit of its field
    per_unit: list[float]  # how much of the unit of the counter makes one of the field's


def write_pm(trace: Trace, folder: Path) -> list[Path]:
    """Write ``trace`` to an empty or new folder, one ``measCollecFile`` per step, and return the files.

    Utilisation, volume, active users and energy are written; what a measurement file has no place for is not:
    activation of energy-saving levels, topology, coordinates, products. Missing values become NIL.

    Raises TraceError for a folder that is not empty, for energy that is not in Wh, for a start that is not a
    whole second, and for a cell or site without a name.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TraceError(f"{folder}: is not an empty folder; name a new one for the measurement files")
    if trace.site_energy is not None and trace.site_energy.unit != "Wh":
        raise TraceError(
            f"{trace.source}: site energy is in {trace.site_energy.unit!r}, but PEE.Energy needs Wh;"
            " write the trace without site energy"
        )
    start = trace.start.astype("datetime64[s]")
    if start != trace.start:
        raise TraceError(
            f"{trace.source}: start {trace.start} is not a whole second; measurement files need one"
        )
    folder.mkdir(parents=True, exist_ok=True)
    blocks = [*_cell_blocks(trace), *_energy_blocks(trace)]
    elements = list(dict.fromkeys(block.element for block in blocks))
    written = []
    for step in range(trace.n_steps):
        begin = start + np.timedelta64(step * trace.step_s, "s")
        end = begin + np.timedelta64(trace.step_s, "s")
        path = folder / _file_name(begin, end, elements, step if trace.step_s % 60 else None)
        path.write_text(_document(blocks, step, begin, end, trace.step_s), encoding="utf-8")
        written.append(path)
    return written


def _cell_blocks(trace: Trace) -> Iterator[_Block]:
    """Cells in the order of the trace: one block per run of cells of one site and per class of object."""
    series = trace.series()
    for site, run in groupby(range(trace.n_cells), lambda i: str(trace.cells.site_id[i])):
        rows = list(run)
        for object_class, names in _FIELDS_OF.items():
            present = [name for name in names if name in series]
            if present:
                objects = [f"{object_class}={_named(trace, str(trace.cells.cell_id[i]))}" for i in rows]
                values = [series[name][rows] for name in present]
                yield _block(f"ManagedElement={_named(trace, site)}", object_class, objects, present, values)


def _energy_blocks(trace: Trace) -> Iterator[_Block]:
    if trace.site_energy is not None:
        for site, energy in zip(trace.site_energy.site_id, trace.site_energy.energy, strict=True):
            element = f"ManagedElement={_named(trace, str(site))}"
            yield _block(element, "ManagedElement", [element], [SITE_FIELD], [energy[np.newaxis]])


def _block(element: str, name: str, objects: list[str], fields: list[str], values: list[Float32]) -> _Block:
    mapping = bundled_mapping("3gpp")
    first = [mapping.fields[field][0] for field in fields]  # type: ignore[index]  # names of fields
    per_unit = [UNITS[field][expression.unit] for field, expression in zip(fields, first, strict=True)]
    return _Block(element, name.rpartition(",")[2], objects, [e.counters[0] for e in first], values, per_unit)


def _named(trace: Trace, identifier: str) -> str:
    if not identifier:
        raise TraceError(f"{trace.source}: a cell or site has no name; name it in the cell table")
    return escape(identifier)


def _file_name(begin: np.datetime64, end: np.datetime64, elements: list[str], count: int | None) -> str:
    """File name of TS 32.432: type A for one network element, C for several, times in UTC."""
    day, clock = _stamp(begin)
    end_day, end_clock = _stamp(end)
    kind, sender = ("A", elements[0].partition("=")[2]) if len(elements) == 1 else ("C", "quietcell")
    until = end_clock if day == end_day else f"{end_day}.{end_clock}"
    running = "" if count is None else f"_-_{count + 1}"
    return f"{kind}{day}.{clock}-{until}_{_NOT_IN_A_NAME.sub('-', sender)[:80]}{running}.xml"


def _stamp(moment: np.datetime64) -> tuple[str, str]:
    day, clock = str(moment).split("T")
    return day.replace("-", ""), clock[:5].replace(":", "") + "+0000"


def _document(blocks: list[_Block], step: int, begin: np.datetime64, end: np.datetime64, step_s: int) -> str:
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<measCollecFile xmlns={quoteattr(_NAMESPACE)}>",
        '<fileHeader fileFormatVersion="32.435 V10.0" vendorName="quietcell">',
        f'<fileSender elementType="quietcell"/><measCollec beginTime="{begin}+00:00"/>',
        "</fileHeader>",
    ]
    for block in blocks:
        lines += _meas_data(block, step, end, step_s)
    lines += [f'<fileFooter><measCollec endTime="{end}+00:00"/></fileFooter>', "</measCollecFile>", ""]
    return "\n".join(lines)


def _meas_data(block: _Block, step: int, end: np.datetime64, step_s: int) -> Iterator[str]:
    yield f"<measData><managedElement localDn={quoteattr(block.element)}/>"
    yield f"<measInfo measInfoId={quoteattr(block.name)}>"
    yield f'<granPeriod duration="PT{step_s}S" endTime="{end}+00:00"/><repPeriod duration="PT{step_s}S"/>'
    for p, counter in enumerate(block.counters, 1):
        yield f'<measType p="{p}">{counter}</measType>'
    columns = [
        (values[:, step].astype(np.float64) * factor).tolist()
        for values, factor in zip(block.values, block.per_unit, strict=True)
    ]
    for name, *results in zip(block.objects, *columns, strict=True):
        yield f"<measValue measObjLdn={quoteattr(name)}>"
        for p, result in enumerate(results, 1):
            yield f'<r p="{p}">{"NIL" if isnan(result) else format(result, _DIGITS)}</r>'
        yield "</measValue>"
    yield "</measInfo></measData>"
