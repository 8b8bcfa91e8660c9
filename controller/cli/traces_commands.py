"""``quietcell traces inspect`` and ``convert``: judge a recorded trace, and write it in another layout."""

from __future__ import annotations

import json
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from controller.cli.console import errors_to_stderr, read_with_progress
from controller.cli.inspection_view import print_inspection
from traces.inspection import inspect_trace
from traces.pm import write_pm
from traces.trace import Trace
from traces.writers.tidy import write_tidy

app = typer.Typer(no_args_is_help=True, help="Judge, convert and make traces.")

TracePath = Annotated[Path, typer.Argument(help="A file or a folder in a known layout, or `sample`.")]
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
Mapping = Annotated[
    Path | None,
    typer.Option(
        help="YAML file that says what the counters of 3GPP PM files mean. Default: the one that fits."
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
    mapping: Mapping = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Print what to know before trusting a trace: gaps, units, outliers, loads, daily shape, and warnings.

    Example: quietcell traces inspect city --time-zone Asia/Shanghai
    """
    with errors_to_stderr():
        found = inspect_trace(read_with_progress(trace, time_zone, assume_overlay, mapping))
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
    mapping: Mapping = None,
) -> None:
    """Write a trace in the tidy schema (Parquet) or as 3GPP PM XML (TS 32.435).

    Example: quietcell traces convert pm-files city --to tidy
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise typer.BadParameter(f"{out} exists and is not an empty folder; name a new one", param_hint="OUT")
    with errors_to_stderr():
        found = _with_quarantine_noted(read_with_progress(trace, time_zone, assume_overlay, mapping))
        if to is Layout.PM and found.site_energy is not None and found.site_energy.unit != "Wh":
            note = f"Energy in {found.site_energy.unit} is not written: PM files hold Wh."
            found = replace(found, site_energy=None, notes=(*found.notes, note))
        write = {Layout.TIDY: write_tidy, Layout.PM: write_pm}[to]
        write(found, out)
    console = Console(stderr=True, highlight=False)
    console.print(
        f"{out}: {found.n_cells} cells, {found.n_steps} steps of {found.step_s} s, layout {to.value}"
    )
    for note in found.notes:
        console.print(f"note: {note}", markup=False)


def _with_quarantine_noted(trace: Trace) -> Trace:
    """Rows set aside cannot be written; a note keeps their count with the new trace."""
    counts = trace.quarantine.counts
    if not counts:
        return trace
    reasons = "; ".join(f"{reason}: {count}" for reason, count in counts.items())
    note = f"{trace.quarantine.total} rows of the original were set aside ({reasons})."
    return replace(trace, notes=(*trace.notes, note))
