"""Which layout a file or a folder is in, told by columns, file names or root element, not by its own name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from traces.errors import TraceError, UnknownLayoutError
from traces.pm import looks_like_pm
from traces.readers import itu, tidy, volume
from traces.readers.source import Source
from traces.readers.tables import Table, is_parquet, open_table

TABLE_SUFFIXES = (".parquet", ".csv")
TABLE_NAMES = ("traffic", "cells", "site_energy", "cell_load", "bs_energy")
PM_NEEDS = "3GPP PM XML: files, or a folder of files, with root measCollecFile or measDataFile (may be gzip)"
KNOWN = (tidy.NEEDS, itu.NEEDS, volume.NEEDS, PM_NEEDS)


def find_source(path: Path) -> Source | Path:
    """What is to be read: tables in a known layout, or ``path`` itself if it is PM XML.

    Raises UnknownLayoutError saying what was seen and which layouts are known, TraceError for damaged files.
    """
    if not path.exists():
        raise TraceError(f"{path}: no such file or folder; check the path")
    tables = _tables(path)
    for recognise in (tidy.recognise, itu.recognise, volume.recognise):
        source = recognise(tables, path.name or path.resolve().name)
        if source is not None:
            return source
    if not tables and looks_like_pm(path):
        return path
    known = "".join(f"\n  {needs}" for needs in KNOWN)
    raise UnknownLayoutError(
        f"{path}: no known layout.\nSeen: {_seen(path, list(tables.values()))}\nKnown layouts:{known}\n"
        "Rename files and columns to one of them; docs/trace-schema.md describes the tidy one."
    )


def _tables(path: Path) -> dict[str, Table]:
    """The tables of a folder by the stem of their file name; a single file is a traffic table."""
    if path.is_file():
        return {"traffic": open_table(path)} if _is_table(path) else {}
    found: dict[str, Table] = {}
    for file in sorted(path.iterdir()):
        if file.stem in TABLE_NAMES and file.suffix in TABLE_SUFFIXES and file.is_file():
            if file.stem in found:
                raise TraceError(
                    f"{path}: both {found[file.stem].name} and {file.name} are there; keep one of them"
                )
            found[file.stem] = open_table(file, f"{path.name}/{file.name}")
    return found


def _is_table(path: Path) -> bool:
    return path.suffix in TABLE_SUFFIXES or is_parquet(path)


def _seen(path: Path, tables: Sequence[Table]) -> str:
    if tables:
        return "; ".join(f"{table.name} with columns {', '.join(table.columns)}" for table in tables)
    if path.is_file():
        return f"file {path.name}, neither Parquet nor CSV nor PM XML"
    names = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in path.iterdir())
    return f"{', '.join(names[:20])}{', ...' if len(names) > 20 else ''}" if names else "an empty folder"
