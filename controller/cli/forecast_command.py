"""``quietcell forecast``: one cell's past and future, or the health of the forecasts of a whole network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from controller.cli.console import errors_to_stderr, progress_bar, read_with_progress
from controller.cli.model_option import ModelFile, read_model
from controller.cli.traces_commands import TimeZone, TracePath
from controller.errors import ModelError
from controller.wholefile import whole_file

if TYPE_CHECKING:
    from controller.forecast.backtest import Backtest
    from traces import Trace

Document = dict[str, Any]
BAR_WIDTH = 40


def forecast(
    trace: TracePath,
    model: ModelFile = None,
    cell: Annotated[
        str | None,
        typer.Option(
            help="Show this cell. Default: the health of the forecasts of all cells.", show_default=False
        ),
    ] = None,
    at: Annotated[
        int | None,
        typer.Option(
            help="With --cell: forecast from so many steps on. Default: a day before the end.",
            min=1,
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="With --cell: write a plot, an HTML page that works offline.")
    ] = None,
    time_zone: TimeZone = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Forecast a recorded network as it would have been forecast live, and compare with what came.

    Without --cell it prints skill against last value and yesterday, coverage of the quantiles, and advice.
    Without --model the seasonal profile forecasts.

    Example: quietcell forecast my-network --model my-network.onnx --cell A17 --out a17.html
    """
    with errors_to_stderr():
        if out is not None and cell is None:
            raise typer.BadParameter("it draws one cell: name it with --cell", param_hint="--out")
        if out is not None and not out.parent.is_dir():
            raise typer.BadParameter(f"{out.parent} is no folder: make it first", param_hint="--out")
        found = read_with_progress(trace, time_zone, assume_overlay=False)
        loaded = read_model(model)
        document = _health(found, loaded) if cell is None else _one_cell(found, loaded, cell, at)
        if out is not None:
            _write_plot(document, out)
    if as_json:
        typer.echo(json.dumps(document, indent=2, allow_nan=False))
    elif cell is None:
        _print_health(document, Console(highlight=False))
    else:
        _print_cell(document, Console(highlight=False))


def _run(trace: Trace, model: Any, horizons: list[int], first: int, last: int) -> Backtest:
    from controller.forecast.backtest import backtest

    with progress_bar("forecasting") as tell:
        return backtest(model, trace, horizons=horizons, first_origin=first, last_origin=last, progress=tell)


def _health(trace: Trace, model: Any) -> Document:
    from controller.forecast.layout import steps_per_day
    from controller.forecast.metadata import QUANTILES
    from controller.forecast.watch import judge

    per_day = steps_per_day(trace.step_s)
    if trace.n_steps < 2 * per_day:
        raise ModelError(
            f"{trace.source}: {trace.n_steps} steps are less than two days; nothing can be judged"
        )
    first = max(per_day, _trained_steps(trace, model))
    if first >= trace.n_steps:
        raise ModelError(
            f"{trace.source}: the model was trained until {model.info.trained_until}, after the end of the trace; "
            "judge it on a later trace"
        )
    made = _run(trace, model, [1], first, trace.n_steps - 1)
    health = judge(made, trace.dl_prb_ratio, per_day, None if model is None else model.info)
    worst = np.argsort(np.nan_to_num(health.skill_yesterday, nan=1.0))[:10]
    return {
        "schema": "quietcell.forecast-health/1",
        "source": "seasonal" if model is None else "model",
        "from": f"{trace.times()[first].astype('datetime64[s]')}Z",
        "wape_1_step": health.wape,
        "coverage": {str(q): share for q, share in zip(QUANTILES, health.coverage, strict=True)},
        "drifting_cells": int(health.drifting.sum()),
        "n_cells": trace.n_cells,
        "least_skilled": [
            {
                "cell_id": str(trace.cells.cell_id[i]),
                "skill_vs_last": _number(health.skill_last[i]),
                "skill_vs_yesterday": _number(health.skill_yesterday[i]),
            }
            for i in worst
        ],
        "advice": list(health.advice),
    }


def _trained_steps(trace: Trace, model: Any) -> int:
    """Steps of the trace that the model was trained on or before."""
    if model is None:
        return 0
    _, until = model.info.trained_span
    return max(0, int(-((trace.start - until) // np.timedelta64(trace.step_s, "s"))))


def _one_cell(trace: Trace, model: Any, cell: str, at: int | None) -> Document:
    from controller.forecast.layout import steps_per_day
    from controller.forecast.metadata import QUANTILES

    where = np.flatnonzero(trace.cells.cell_id == cell)
    if not len(where):
        some = ", ".join(trace.cells.cell_id[:5])
        raise ModelError(f"{trace.source}: there is no cell {cell!r}; its cells are {some} and so on")
    per_day = steps_per_day(trace.step_s)
    origin = max(1, trace.n_steps - per_day) if at is None else min(at, trace.n_steps)
    horizon = per_day if model is None else model.info.horizon_steps
    made = _run(trace, model, list(range(1, horizon + 1)), origin, origin)
    i = int(where[0])
    truth = made.truth(trace.dl_prb_ratio)[i, 0]
    past = trace.dl_prb_ratio[i, max(0, origin - 2 * per_day) : origin]
    return {
        "schema": "quietcell.forecast-cell/1",
        "source": "seasonal" if model is None else "model",
        "cell_id": cell,
        "from": f"{(trace.start + np.timedelta64(origin * trace.step_s, 's')).astype('datetime64[s]')}Z",
        "step_s": trace.step_s,
        "past": [_number(value) for value in past],
        "truth": [_number(value) for value in truth],
        "quantiles": {
            str(q): [_number(value) for value in made.quantile[i, 0, :, k]] for k, q in enumerate(QUANTILES)
        },
    }


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _print_health(document: Document, console: Console) -> None:
    console.print(
        f"{document['n_cells']} cells, {document['source']}, from {document['from']}: one step ahead WAPE "
        f"{document['wape_1_step']:.3f}; {document['drifting_cells']} cells do worse than yesterday's value"
    )
    table = Table(box=box.SIMPLE, title="Values not above each quantile", title_justify="left")
    for q in document["coverage"]:
        table.add_column(q, justify="right")
    table.add_row(*(f"{share:.1%}" for share in document["coverage"].values()))
    console.print(table)
    for advice in document["advice"] or ["nothing to do"]:
        console.print(f"- {advice}", markup=False)


def _print_cell(document: Document, console: Console) -> None:
    names = list(document["quantiles"])
    table = Table(
        box=box.SIMPLE, title=f"Cell {document['cell_id']} from {document['from']} [%]", title_justify="left"
    )
    for column in ("step", *names, "truth", ""):
        table.add_column(column, justify="right" if column else "left")
    for h in range(len(document["truth"])):
        values = [document["quantiles"][name][h] for name in names]
        truth = document["truth"][h]
        shown = ["" if value is None else f"{100 * value:.1f}" for value in (*values, truth)]
        table.add_row(str(h + 1), *shown, _bar(values, truth))
    console.print(table)


def _bar(values: list[float | None], truth: float | None) -> str:
    """Median to highest quantile as a line, the truth as a dot."""
    if values[0] is None or values[-1] is None:
        return ""
    low, high = (min(int(value * BAR_WIDTH), BAR_WIDTH - 1) for value in (values[0], values[-1]))
    line = ["-" if low <= k <= high else " " for k in range(BAR_WIDTH)]
    if truth is not None:
        line[min(int(truth * BAR_WIDTH), BAR_WIDTH - 1)] = "o"
    return "".join(line)


def _write_plot(document: Document, out: Path) -> None:
    import plotly.graph_objects as go

    hours = document["step_s"] / 3600
    past, truth = document["past"], document["truth"]
    ahead = [h * hours for h in range(len(truth))]
    figure = go.Figure()
    figure.add_scatter(x=[(k - len(past)) * hours for k in range(len(past))], y=past, name="past")
    for name, values in document["quantiles"].items():
        figure.add_scatter(x=ahead, y=values, name=f"quantile {name}", line={"dash": "dot"})
    figure.add_scatter(x=ahead, y=truth, name="truth")
    figure.update_layout(
        title=f"Cell {document['cell_id']}, forecast from {document['from']}",
        xaxis_title="hours from the forecast",
        yaxis_title="PRB utilisation [ratio]",
    )
    with whole_file(out) as partial:
        figure.write_html(partial, include_plotlyjs=True)
