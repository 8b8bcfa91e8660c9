"""An inspection of a trace as tables and a small daily shape in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from traces.inspection import Activation, DailyShape, Inspection

BARS = " ▁▂▃▄▅▆▇█"
BAR_ROWS = 4
MANY = 8  # names shown of a list


def print_inspection(found: Inspection, console: Console) -> None:
    """Print all of it: what it is, gaps, loads, daily shape, measures, energy, then warnings and notes."""
    console.print(_grid(f"Trace {found.source}", _overview(found)), "")
    console.print(_grid("Gaps", _gaps(found)), "")
    console.print(_grid("Downlink PRB utilisation, recorded cell-time", _load(found)), "")
    _print_shape(found.shape, found.time_zone, console)
    console.print(_measures(found), "")
    if found.energy is not None or found.activation:
        console.print(_grid("Measured energy and logged energy saving", _energy(found)), "")
    if found.outliers.examples or found.set_aside_examples:
        console.print(_examples(found), "")
    _print_sentences("Warnings", [f"{w.finding} {w.remedy}" for w in found.warnings], console, "yellow")
    _print_sentences("What was assumed", found.notes, console, "default")


def _grid(title: str, rows: Iterable[tuple[str, str]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False, box=None)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in rows:
        table.add_row(Text(name), Text(value))
    return table


def _overview(found: Inspection) -> Iterable[tuple[str, str]]:
    yield (
        "cells",
        f"{found.cells} at {found.sites} sites: {found.coverage_cells} coverage, "
        f"{found.capacity_cells} capacity",
    )
    yield "products", _some([f"{name} {count}" for name, count in found.products.items()])
    yield (
        "span",
        f"{found.start} to {found.end}, {found.days:.1f} days, {found.steps} steps of {found.step_s} s",
    )
    yield "time zone", found.time_zone
    for reason, count in found.set_aside.items():
        yield "set aside", f"{count}  {reason}"


def _gaps(found: Inspection) -> Iterable[tuple[str, str]]:
    gaps = found.gaps
    yield (
        "missing",
        f"{gaps.share:.1%} of all cell-steps, {gaps.share_inside:.1%} inside the cells' recordings",
    )
    yield "longest gap", f"{gaps.longest_s / 3600:g} h inside a cell's recording"
    yield (
        "empty",
        f"{gaps.steps_without_data} steps without any cell, "
        f"{len(gaps.cells_without_data)} cells without any step",
    )
    yield "worst day", f"{gaps.worst_day[0]}, {gaps.worst_day[1]:.0%} missing"
    if gaps.worst_cells:
        yield "most gaps", _some([f"{cell} {share:.0%}" for cell, share in gaps.worst_cells])


def _load(found: Inspection) -> Iterable[tuple[str, str]]:
    load = found.load
    yield "quantiles", "  ".join(f"p{float(q) * 100:g} {value:.3f}" for q, value in load.quantiles.items())
    yield (
        "mean",
        f"{load.mean:.3f}" + (f", last quarter / first {load.trend:.2f}" if load.trend is not None else ""),
    )
    yield "share under", "  ".join(f"{float(b):.0%}: {share:.1%}" for b, share in load.share_below.items())
    yield "above 90 %", f"{load.share_censored:.2%}, possibly censored"
    yield "lowest", f"{load.lowest:.4g} in {load.share_at_lowest:.1%}"
    yield "outliers", f"{found.outliers.share:.2%} of cell-steps, in {found.outliers.cells} cells"
    if found.dead_cells:
        yield "zero throughout", _some(found.dead_cells)
    if found.constant_cells:
        yield "constant", _some(found.constant_cells)


def _print_shape(shape: DailyShape, time_zone: str, console: Console) -> None:
    top = max([v for v in (*shape.workday, *shape.weekend) if v is not None], default=0.0)
    console.print(Text(f"Mean load by local hour ({time_zone}); full height {top:.0%}", style="bold"))
    for name, values, days in (
        ("workday", shape.workday, shape.workdays),
        ("weekend", shape.weekend, shape.weekend_days),
    ):
        for row in range(BAR_ROWS - 1, -1, -1):
            label = f"{name} ({days} d)" if row == BAR_ROWS - 1 else ""
            console.print(Text(f" {label:<16}" + "".join(_block(v, top, row) for v in values)))
    console.print(
        Text(" " * 17 + "".join(f"{hour:<6}" for hour in ("00", "03", "06", "09", "12", "15", "18", "21")))
    )


def _block(value: float | None, top: float, row: int) -> str:
    if value is None:
        return "  " if row else ". "
    eighths = round(value / top * 8 * BAR_ROWS) - 8 * row if top else 0
    return BARS[min(max(eighths, 0), 8)] * 2


def _measures(found: Inspection) -> Table:
    table = Table(title="Measures", title_justify="left", title_style="bold", box=None)
    for name in ("measure", "unit", "recorded", "lowest", "median", "highest"):
        table.add_column(name, justify="left" if name in ("measure", "unit") else "right")
    for name, m in found.measures.items():
        numbers = (f"{m.lowest:.4g}", f"{m.median:.4g}", f"{m.highest:.4g}")
        table.add_row(Text(name), m.unit, f"{m.recorded_share:.1%}", *numbers)
    if found.full_rate_mbit_s is not None:
        table.add_row("volume over load", "Mbit/s", "", "", f"{found.full_rate_mbit_s:.4g}", "")
    return table


def _energy(found: Inspection) -> Iterable[tuple[str, str]]:
    energy = found.energy
    if energy is not None:
        yield "sites", f"{energy.sites} of {found.sites}, {energy.recorded_share:.1%} of their steps recorded"
        yield "with load", f"for {energy.covered_share:.1%} of the cell-time that has a load"
        yield (
            "per step",
            f"median {energy.median_per_step:.4g}, {energy.lowest:.4g} to {energy.highest:.4g} {energy.unit}",
        )
    for level, use in found.activation.items():
        yield level, f"{use.mean_share:.2%} of cell-time, in {use.cells} cells{_hours(use)}"
        if use.mean_share > 0.001:
            yield "", f"not active in {use.idle_while_low:.1%} of the cell-time with a load under 10 %"


def _hours(use: Activation) -> str:
    if not use.hours:
        return ""
    return (
        ", at all hours"
        if len(use.hours) == 24
        else f", at {' '.join(f'{h:02d}' for h in use.hours)} h local"
    )


def _examples(found: Inspection) -> Table:
    table = Table(title="Look at", title_justify="left", title_style="bold", box=None)
    for name in ("where", "when", "what"):
        table.add_column(name, overflow="fold")
    for item in found.outliers.examples:
        table.add_row(Text(item.cell_id), item.time, f"load {item.load:.3f}, usually {item.usual:.3f}")
    for problem in found.set_aside_examples:
        what = f"{problem['reason']}: {problem['value']}" if problem["value"] else problem["reason"]
        table.add_row(Text(problem["file"]), Text(problem["place"]), Text(what))
    return table


def _print_sentences(title: str, sentences: Sequence[str], console: Console, style: str) -> None:
    if sentences:
        console.print(Text(title, style="bold"))
    for sentence in sentences:
        line = Table.grid(padding=(0, 1))
        line.add_row(Text(" -"), Text(sentence, style=style))
        console.print(line)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MANY} more" if len(names) > MANY else ""
    return ", ".join(names[:MANY]) + more
