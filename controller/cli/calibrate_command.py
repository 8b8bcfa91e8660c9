"""``quietcell calibrate``: fit radio power models on the measured energy of a trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from controller.calibration import calibrate as calibrate_trace
from controller.calibration import calibration_to_json, write_calibration
from controller.cli.console import errors_to_stderr, progress_bar, read_with_progress
from controller.cli.traces_commands import TimeZone, TracePath
from controller.report.words import UNDEFINED, percent
from hw.calibration import Calibration
from hw.calibration.model import ErrorFigures, LevelFit

NO_NAME = "(no name)"
_UNSEEN = {
    "unseen_hours": "unseen hours",
    "unseen_days": "unseen days",
    "unseen_stations": "unseen stations",
    "unseen_hours_as_stamped": "unseen hours, clocks not corrected",
}


def calibrate(
    trace: TracePath,
    out: Annotated[Path | None, typer.Option(help="Model file to write, for replay --world FILE.")] = None,
    time_zone: TimeZone = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the model file as one JSON document.")
    ] = False,
) -> None:
    """Fit radio power models on the measured energy of a trace, and say what the data identifies.

    Every base station gets its own curve of energy over load, every product the effect of each energy-saving
    level that at least five stations show on and off at overlapping load. The error is measured on hours,
    days and stations that the fit has not seen.

    Example: quietcell calibrate city --out city.json
    """
    if out is not None and not out.parent.is_dir():
        raise typer.BadParameter(f"the folder {out.parent} does not exist; create it", param_hint="--out")
    with errors_to_stderr():
        found = read_with_progress(trace, time_zone, assume_overlay=False)
        with progress_bar("fitting") as tell:
            fitted = calibrate_trace(found, tell)
        if out is not None:
            write_calibration(fitted, out)
    if as_json:
        typer.echo(calibration_to_json(fitted), nl=False)
    else:
        print_calibration(fitted, Console(highlight=False), trace, out)


def print_calibration(fitted: Calibration, console: Console, trace: Path, out: Path | None) -> None:
    """Print the products, the errors, and what the data does not identify."""
    console.print(_product_table(fitted))
    console.print()
    for line in [*_error_lines(fitted), *_clock_lines(fitted), *_missing_lines(fitted)]:
        console.print(line, markup=False)
    if out is not None:
        console.print(f"Written: {out}. Next: quietcell replay {trace} --world {out}", markup=False)


def _product_table(fitted: Calibration) -> Table:
    title = f"{fitted.source}: power models by product, energy in {fitted.energy_unit}"
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left")
    table.add_column("product")
    for name in ("sites", "hours", "idle /\nfull", "error\nhours", "error\nsites"):
        table.add_column(name, justify="right")
    table.add_column("level and effect\n(95 % interval)", no_wrap=True)
    hours, stations = (_by_product(fitted, name) for name in ("unseen_hours", "unseen_stations"))
    for name, product in fitted.products.items():
        levels = [_effect(level, fit) for level, fit in product.levels.items() if fit.identified]
        table.add_row(
            name or NO_NAME,
            str(product.n_stations),
            f"{product.n_steps * fitted.step_s / 3600:.0f}",
            UNDEFINED if product.idle_per_full is None else percent(product.idle_per_full),
            percent(hours[name]) if name in hours else UNDEFINED,
            percent(stations[name]) if name in stations else UNDEFINED,
            "\n".join(levels) or UNDEFINED,
        )
    return table


def _effect(name: str, fit: LevelFit) -> str:
    effect, low, high = (100 * (x or 0.0) for x in (fit.effect, fit.effect_low, fit.effect_high))
    return f"{name} {effect:.1f} %\n({low:.1f} to {high:.1f})\nload <= {percent(fit.load_max or 0.0)}"


def _by_product(fitted: Calibration, name: str) -> dict[str, float]:
    figures: ErrorFigures | None = getattr(fitted.errors, name, None)
    return figures.by_product if figures else {}


def _error_lines(fitted: Calibration) -> Iterator[str]:
    yield "Error by cross-validation, sum of |error| over sum of energy (straight lines beside it):"
    for name, label in _UNSEEN.items():
        figures: ErrorFigures | None = getattr(fitted.errors, name, None)
        if figures:
            yield (
                f"  {label}: {100 * figures.wmape:.2f} % (lines {100 * figures.wmape_lines:.2f} %), "
                f"{figures.n_steps} steps of {figures.n_stations} stations"
            )
        elif name != "unseen_hours_as_stamped":
            yield f"  {label}: not measured, too little is left to fit"


def _clock_lines(fitted: Calibration) -> Iterator[str]:
    for clock in fitted.clocks:
        if clock.offset_steps:
            side = "after" if clock.offset_steps > 0 else "before"
            seconds = abs(clock.offset_steps) * fitted.step_s
            yield (
                f"Clocks corrected: the load of {clock.n_cells} cells ({clock.group}) is stamped {seconds} s "
                f"{side} its energy."
            )
    for name, product in fitted.products.items():
        for level, fit in product.levels.items():
            if fit.effect_as_stamped is not None and fit.effect_as_stamped != fit.effect:
                yield f"  {name} {level} without the correction: {100 * fit.effect_as_stamped:.1f} %"
    if fitted.n_steps_unpaired:
        yield f"{fitted.n_steps_unpaired} steps with energy have no load at their time and are not used."
    if fitted.n_steps_absurd:
        yield f"{fitted.n_steps_absurd} steps exceed ten times the station's middle energy and are not used."


def _missing_lines(fitted: Calibration) -> Iterator[str]:
    reasons: dict[str, list[str]] = {}
    for name, product in fitted.products.items():
        for level, fit in product.levels.items():
            if not fit.identified:
                reasons.setdefault(level, []).append(f"  {name or NO_NAME}: {fit.reason}")
    for level, lines in reasons.items():
        yield f"Not identified: {level}"
        yield from lines
    silent = [name or NO_NAME for name, product in fitted.products.items() if not product.n_stations]
    if silent:
        yield f"No measured energy: {', '.join(silent)}. Their cells get the network's middle and no level."
    without = sum(len(station.cells) for station in fitted.stations if not station.n_steps)
    if without:
        yield f"Cells without measured energy, which get the middle of their kind of hardware: {without}"
