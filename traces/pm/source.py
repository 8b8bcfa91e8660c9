"""Files of measurements: which ones there are, and their bytes, plain or gzip, within limits."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from xml.parsers import expat

from traces.errors import TraceError

ROOTS = frozenset({"measCollecFile", "measDataFile"})  # TS 32.435, TS 28.532
MAX_FILE_BYTES = 512 * 2**20  # after gzip; files of one node and period have some MB
CHUNK_BYTES = 256 * 1024
_SNIFF_BYTES = 64 * 1024
_SNIFFED_FILES = 200  # of a folder, before it counts as one without measurement files
_GZIP_MAGIC = b"\x1f\x8b"


class FileRefusedError(TraceError):
    """One file that is not read at all. Other files of the same call still are."""

    def __init__(self, file: str, line: int | None, reason: str, remedy: str) -> None:
        self.file, self.place, self.reason = file, f"line {line}" if line else "file", f"{reason}; {remedy}"
        super().__init__(f"{file}, {self.place}: {self.reason}")


class _RootFoundError(Exception):
    """Ends the look at a file as soon as its root element is known."""


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as plain:
        magic = plain.read(2)
        plain.seek(0)
        if magic == _GZIP_MAGIC:
            with gzip.GzipFile(fileobj=plain) as unpacked:
                yield unpacked  # type: ignore[misc]  # a GzipFile reads like any binary file
        else:
            yield plain


def read_chunks(path: Path) -> Iterator[bytes]:
    """The content of a file in pieces of ``CHUNK_BYTES``, unpacked if it is gzip.

    Raises FileRefusedError for a file that cannot be read, for a broken gzip stream, and for more than
    ``MAX_FILE_BYTES``.
    """
    total = 0
    try:
        with _opened(path) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                total += len(chunk)
                if total > MAX_FILE_BYTES:
                    reason = f"more than {MAX_FILE_BYTES // 2**20} MiB after unpacking"
                    raise FileRefusedError(str(path), None, reason, "split the file")
                yield chunk
    except (OSError, EOFError, zlib.error) as error:
        remedy = "fetch the file again, or leave it out"
        raise FileRefusedError(str(path), None, f"cannot be read: {error}", remedy) from error


def root_element(path: Path) -> str:
    """Local name of the root element of a file, "" if it does not begin as XML. Reads only its beginning."""
    found = ""

    def take(name: str, *_: object) -> None:
        nonlocal found
        found = name.rpartition(":")[2]
        raise _RootFoundError

    parser = expat.ParserCreate()
    parser.StartElementHandler = take
    parser.StartDoctypeDeclHandler = take  # before any entity of the document type could be expanded
    try:
        with _opened(path) as stream:
            parser.Parse(stream.read(_SNIFF_BYTES), False)
    except (_RootFoundError, expat.ExpatError, OSError, EOFError, zlib.error, LookupError, ValueError):
        pass
    return found


def _regular_files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_file():
                yield path


def looks_like_pm(path: Path) -> bool:
    """Whether a file has the root element of a measurement file, or a folder such a file among its first."""
    if path.is_dir():
        first = (file for file, _ in zip(_regular_files(path), range(_SNIFFED_FILES), strict=False))
        return any(root_element(file) in ROOTS for file in first)
    return path.is_file() and root_element(path) in ROOTS


def measurement_files(paths: Sequence[Path]) -> tuple[list[Path], int]:
    """The measurement files among ``paths``, with folders to any depth, and how many others there are.

    Raises TraceError for a path that does not exist, a named file of another kind, and if no file is left.
    """
    found: list[Path] = []
    skipped = 0
    for path in paths:
        if path.is_dir():
            files = list(_regular_files(path))
            kept = [file for file in files if root_element(file) in ROOTS]
            skipped += len(files) - len(kept)
            found += kept
        elif not path.exists():
            raise TraceError(f"{path}: no such file or folder")
        elif root_element(path) in ROOTS:
            found.append(path)
        else:
            raise TraceError(
                f"{path}: not a measurement file; its root element must be measCollecFile (TS 32.435) or"
                " measDataFile (TS 28.532)"
            )
    if not found:
        names = ", ".join(map(str, paths)) or "no path given"
        raise TraceError(
            f"{names}: no measurement file of TS 32.435 or TS 28.532 in it ({skipped} other files)"
        )
    return found, skipped
