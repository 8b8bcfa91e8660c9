"""Parquet and CSV files as batches of columns, with the place of every row."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from traces.errors import TraceError

BATCH_ROWS = 1 << 20
CSV_BLOCK_BYTES = 16 << 20

BadLine = Callable[[int, str], None]  # line number, text


@dataclass(frozen=True, slots=True)
class Table:
    """A Parquet or CSV file whose columns are known and whose rows are not yet read."""

    path: Path
    name: str  # for messages: the file, with its folder if that was given
    is_parquet: bool
    columns: tuple[str, ...]
    metadata: Mapping[str, str]  # Parquet key-value metadata


@dataclass(frozen=True, slots=True)
class Batch:
    """Some consecutive rows of a table, column by column."""

    table: Table
    chunk: int  # row group of a Parquet file; 0 in CSV
    first_row: int
    columns: dict[str, Any]  # name -> pyarrow.Array
    skipped_lines: Sequence[int]  # lines of a CSV file with a wrong number of fields
    done: float  # share of the file read after this batch

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def place(self, index: int) -> str:
        """Where row ``index`` of the batch stands: the line in CSV, the row counted from 1 in Parquet."""
        row = self.first_row + index
        if self.table.is_parquet:
            return f"row {row + 1}"
        line = row + 2  # one header line, and lines are counted from 1
        for skipped in self.skipped_lines:
            line += skipped <= line
        return f"line {line}"


def is_parquet(path: Path) -> bool:
    """True if the file says by name or by its first bytes that it is Parquet."""
    with path.open("rb") as file:
        return path.suffix == ".parquet" or file.read(4) == b"PAR1"


def open_table(path: Path, name: str = "") -> Table:
    """Look at the columns of a Parquet or CSV file. Raises TraceError if it cannot be read."""
    name = name or path.name
    try:
        if path.stat().st_size == 0:
            raise TraceError(f"{name}: the file is empty; export it again")
        if is_parquet(path):
            schema = pq.read_schema(path)
            raw = schema.metadata or {}
            metadata = {key.decode(): value.decode(errors="replace") for key, value in raw.items()}
            table = Table(path, name, True, tuple(schema.names), metadata)
        else:
            with path.open(encoding="utf-8-sig", newline="") as file:
                table = Table(path, name, False, tuple(next(csv.reader(file), [])), {})
    except (pa.ArrowException, OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(name, error) from error
    twice = {name for name in table.columns if table.columns.count(name) > 1}
    if twice:
        raise TraceError(f"{name}: column {min(twice)!r} appears more than once; keep one of them")
    return table


def read_batches(
    table: Table,
    names: Sequence[str],
    *,
    chunks: set[int] | None = None,
    on_bad_line: BadLine | None = None,
) -> Iterator[Batch]:
    """Read the columns ``names`` in pieces of bounded size, in file order.

    ``chunks``: the row groups to read; None reads all, and a CSV file is always read whole. Lines of a CSV
    file with a wrong number of fields are skipped and told to ``on_bad_line``. Raises TraceError for a
    damaged file.
    """
    rows = (
        _parquet_batches(table, names, chunks)
        if table.is_parquet
        else _csv_batches(table, names, on_bad_line)
    )
    while True:  # the consumer's own errors must not be taken for a damaged file
        try:
            batch = next(rows, None)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(table.name, error) from error
        if batch is None:
            return
        yield batch


def read_all(table: Table, names: Sequence[str]) -> Batch:
    """All rows of a small table at once. Raises TraceError for a line with a wrong number of fields."""

    bad: list[tuple[int, str]] = []
    batches = list(read_batches(table, names, on_bad_line=lambda line, text: bad.append((line, text))))
    if bad:
        line, text = bad[0]
        raise TraceError(f"{table.name}, line {line}: wrong number of fields in {text!r}; correct the line")
    if not batches:
        raise TraceError(f"{table.name}: the table has no rows; export it again")
    columns = {name: pa.chunked_array([b.columns[name] for b in batches]).combine_chunks() for name in names}
    return Batch(table, 0, 0, columns, (), 1.0)


def _parquet_batches(table: Table, names: Sequence[str], chunks: set[int] | None) -> Iterator[Batch]:
    schema = pq.read_schema(table.path)
    texts = [n for n in names if pa.types.is_string(schema.field(n).type) or _is_large_text(schema, n)]
    with pq.ParquetFile(table.path, read_dictionary=texts) as file:
        first_row, total = 0, max(file.metadata.num_rows, 1)
        for chunk in range(file.num_row_groups):
            after = first_row + file.metadata.row_group(chunk).num_rows
            if chunks is None or chunk in chunks:
                for batch in file.iter_batches(BATCH_ROWS, row_groups=[chunk], columns=list(names)):
                    batch.validate(full=True)  # damaged dictionaries and text show only here
                    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                    done = (first_row + batch.num_rows) / total
                    yield Batch(table, chunk, first_row, columns, (), done)
                    first_row += batch.num_rows
            first_row = after


def _is_large_text(schema: Any, name: str) -> bool:
    return bool(pa.types.is_large_string(schema.field(name).type))


def _csv_batches(table: Table, names: Sequence[str], on_bad_line: BadLine | None) -> Iterator[Batch]:
    skipped: list[int] = []

    def skip(row: Any) -> str:
        skipped.append(row.number)
        if on_bad_line is not None:
            on_bad_line(row.number, row.text)
        return "skip"

    size = table.path.stat().st_size
    with table.path.open("rb") as file:
        reader = pa_csv.open_csv(
            file,
            pa_csv.ReadOptions(block_size=CSV_BLOCK_BYTES, use_threads=False),
            pa_csv.ParseOptions(invalid_row_handler=skip),
            pa_csv.ConvertOptions(
                column_types={name: pa.string() for name in names},
                include_columns=list(names),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
        first_row = 0
        for batch in reader:
            if batch.num_rows:
                columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                yield Batch(table, 0, first_row, columns, skipped, file.tell() / size)
            first_row += batch.num_rows


def _unreadable(name: str, error: Exception) -> TraceError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return TraceError(
        f"{name}: cannot be read ({reason}); the file is truncated, damaged or of another format: "
        "copy or export it again"
    )
