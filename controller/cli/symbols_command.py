"""``quietcell symbols``: what a radio could rest between the transmissions of a slot trace."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from controller.cli.console import errors_to_stderr, progress_bar
from controller.report.words import percent
from hw.symbols.frame import SSB_PERIODS_MS, PeriodMs

PIPED_WIDTH = 120
_LABELS = {
    "symbol": "micro sleep alone",
    "light_sleep": "+ light sleep",
    "filling": "+ filling",
    "light_sleep_and_filling": "+ both",
}


def symbols(
    slots: Annotated[
        Path,
        typer.Argument(
            help="Folder of a slot trace: slots and recordings as .parquet or .csv.", show_default=False
        ),
    ],
    world: Annotated[
        str, typer.Option(help="3GPP world by name or file, whose reference radio sends.")
    ] = "3gpp-cat1-set2",
    frame: Annotated[
        str | None,
        typer.Option(
            help="What the carrier must send: a shipped frame such as fr1-fdd-15khz or fr1-tdd-30khz, or a frame file. "
            "Default: the always-on symbols of the evaluation.",
            show_default=False,
        ),
    ] = None,
    ssb_period_ms: Annotated[
        int | None,
        typer.Option(
            help="Stretch the SSB period to 40, 80 or 160 ms, where the frame allows it. Default: that of the frame.",
            show_default=False,
        ),
    ] = None,
    latency_budget_ms: Annotated[
        float, typer.Option(help="How long filling may hold data. [ms]", min=0, max=1000)
    ] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Replay a slot trace symbol by symbol: what micro sleep, light sleep and filling would save.

    Prints for each recording how busy it was, the energy saved by each lever, what the closed form behind
    `quietcell replay --lever` predicts from the load alone, and how much longer data had to wait.

    Examples:

      quietcell symbols my-slots

      quietcell symbols my-slots --world 3gpp-cat1-set1 --frame fr1-tdd-30khz --ssb-period-ms 160 --json
    """
    if ssb_period_ms is not None and ssb_period_ms not in SSB_PERIODS_MS:
        known = ", ".join(map(str, SSB_PERIODS_MS))
        raise typer.BadParameter(
            f"{ssb_period_ms} is no SSB period; use one of {known}", param_hint="--ssb-period-ms"
        )
    with errors_to_stderr():
        document = _document(slots, world, frame, cast(PeriodMs | None, ssb_period_ms), latency_budget_ms)
    if as_json:
        typer.echo(json.dumps(document, indent=2, allow_nan=False))
    else:
        print_symbols(document, Console(width=None if sys.stdout.isatty() else PIPED_WIDTH))


def _document(
    slots: Path, world: str, frame: str | None, ssb_period_ms: PeriodMs | None, budget_ms: float
) -> dict[str, Any]:
    """Read and simulate. Numba is imported from here on."""
    from controller.symbols.carrier import load_carrier
    from controller.symbols.document import symbols_document
    from traces.slots import read_slots

    carrier = load_carrier(world, frame, ssb_period_ms)
    recordings = read_slots(slots)
    with progress_bar("simulating") as tell:
        return symbols_document(slots, recordings, carrier, budget_ms, tell)


def print_symbols(document: dict[str, Any], console: Console) -> None:
    """The table, the mean below it, and what to know about it."""
    title = f"{document['trace']}: {document['world']}, frame {document['frame']}"
    table = Table(title=escape(title), box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left")
    for name in ("recording", "levers"):
        table.add_column(name, no_wrap=True)
    for name in (
        "load", "busy\nslots", "saved\nvs none", "saved\nvs symbol", "predicted /\nsimulated", "light\nsleep",
        "latency\np50 / p95",
    ):  # fmt: skip
        table.add_column(name, justify="right")
    mean = document["mean"] | {"recording": "all, by time"}
    for found in (*document["recordings"], mean):
        _add_rows(table, found, document["latency_budget_ms"])
    console.print(table)
    for line in _notes(document):
        console.print(line, markup=False, highlight=False)


def _add_rows(table: Table, found: dict[str, Any], budget_ms: float) -> None:
    about = [escape(found["recording"]), percent(found["load_ratio"]), percent(found["busy_slot_share"])]
    for name, label in _LABELS.items():
        lever = found["levers"][name]
        latency = f"{lever['added_latency_p50_ms']:.1f} / {lever['added_latency_p95_ms']:.1f}"
        late = lever["added_latency_p95_ms"] > budget_ms
        table.add_row(
            about[0],
            label,
            *about[1:],
            percent(lever["energy_saved_vs_none"]),
            percent(lever["energy_saved_vs_symbol"]),
            f"{1 + lever['predicted_error']:.3f}",
            percent(lever["light_sleep_share"]),
            f"[red]{latency}[/red]" if late else latency,
        )
        about = ["", "", ""]
    table.add_section()


def _notes(document: dict[str, Any]) -> list[str]:
    gap_ms, shortest_ms = document["longest_gap_ms"], document["shortest_light_sleep_ms"]
    mean = document["mean"]
    notes = [
        f"The frame keeps {percent(document['always_on_symbol_share'])} of the downlink symbols on air, SSB every "
        f"{document['ssb_period_ms']} ms; its longest gap is {gap_ms:g} ms, the shortest light sleep {shortest_ms:g} ms"
        + (": no gap is long enough." if gap_ms < shortest_ms else "."),
        f"Of the busy slots {percent(mean['unresolved_share'])} are known to be busy but not how full; they count as "
        "full as the others.",
        f"Latency is what is added to that of sending at once, in ms by transmission, within a budget of "
        f"{document['latency_budget_ms']:g} ms; in the last rows it is the largest of all recordings.",
    ]
    above = mean["load_above_calibrated_share"]
    if above > 0:
        notes.append(
            f"{percent(above)} of the time the load is above {percent(document['calibrated_to_load'])}, where the "
            "prediction is extrapolation."
        )
    return notes
