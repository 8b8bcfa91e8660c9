"""``quietcell traces inspect`` and ``convert``: judge a recorded trace, and write it in another layout."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from controller.cli.inspection_view import print_inspection
from traces.errors import TraceError
from traces.inspection import inspect_trace
from traces.pm import write_pm
from traces.reading import read_trace
from traces.trace import Trace
from traces.writers.tidy import write_tidy

QUIET_S = 2.0  # work shorter than this shows no progress bar

app = typer.Typer(no_args_is_help=True, help="Judge, convert and make traces.")

TracePath = Annotated[Path, typer.Argument(help="A file or a folder in a known layout.")]
TimeZone = Annotated[
    str | None,
    typer.Option(
        help="IANA time zone of local hours, and of timestamps without an offset. Default: the source's."
    ),
]
AssumeOverlay = Annotated[
    bool,
    typer.Option(
        "--assume-overlay",
        help="Where the source states no overlap, let cells of one base station stand in for each other.",
    ),
]


class Layout(StrEnum):
    """Layouts that can be written."""

    TIDY = "tidy"
    PM = "pm"


@app.command("inspect")
def inspect_command(
    trace: TracePath,
    time_zone: TimeZone = None,
    assume_overlay: AssumeOverlay = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Print what to know before trusting a trace: gaps, units, outliers, loads, daily shape, and warnings.

    Example: quietcell traces inspect city --time-zone Asia/Shanghai
    """
    with errors_to_stderr():
        found = inspect_trace(read_with_progress(trace, time_zone, assume_overlay))
        if as_json:
            typer.echo(json.dumps(found.to_dict(), indent=2, allow_nan=False))
        else:
            print_inspection(found, Console())


@app.command("convert")
def convert_command(
    trace: TracePath,
    out: Annotated[Path, typer.Argument(help="Folder to create.")],
    to: Annotated[Layout, typer.Option(help="Layout to write.")] = Layout.TIDY,
    time_zone: TimeZone = None,
    assume_overlay: AssumeOverlay = False,
) -> None:
    """Write a trace in the tidy schema (Parquet) or as 3GPP PM XML (TS 32.435).

    Example: quietcell traces convert pm-files city --to tidy
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise typer.BadParameter(f"{out} exists and is not an empty folder; name a new one", param_hint="OUT")
    with errors_to_stderr():
        found = _with_quarantine_noted(read_with_progress(trace, time_zone, assume_overlay))
        write = {Layout.TIDY: write_tidy, Layout.PM: write_pm}[to]
        write(found, out)
    console = Console(stderr=True, highlight=False)
    console.print(
        f"{out}: {found.n_cells} cells, {found.n_steps} steps of {found.step_s} s, layout {to.value}"
    )
    for note in found.notes:
        console.print(f"note: {note}", markup=False)


def read_with_progress(path: Path, time_zone: str | None, assume_overlay: bool) -> Trace:
    """Read a trace, with a bar on standard error once it takes longer than ``QUIET_S``."""
    with progress_bar("reading") as tell:
        return read_trace(path, time_zone=time_zone, assume_overlay=assume_overlay, progress=tell)


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[float], None]]:
    """A function to be told the share that is done; it draws on standard error, and only for longer work."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task(what, total=1.0)
    begin = time.monotonic()

    def tell(done: float) -> None:
        bar.update(task, completed=done)
        if console.is_terminal and not bar.live.is_started and time.monotonic() - begin > QUIET_S:
            bar.start()

    try:
        yield tell
    finally:
        if bar.live.is_started:
            bar.stop()


@contextmanager
def errors_to_stderr() -> Iterator[None]:
    """Print an error of the input as one message on standard error and exit with 2."""
    try:
        yield
    except (TraceError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error


def _with_quarantine_noted(trace: Trace) -> Trace:
    """Rows set aside cannot be written; a note keeps their count with the new trace."""
    counts = trace.quarantine.counts
    if not counts:
        return trace
    reasons = "; ".join(f"{reason}: {count}" for reason, count in counts.items())
    note = f"{trace.quarantine.total} rows of the original were set aside ({reasons})."
    return replace(trace, notes=(*trace.notes, note))
