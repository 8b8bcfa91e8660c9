"""``quietcell train``: a forecast model from a recorded network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from controller.cli.console import errors_to_stderr, read_with_progress, stage_bar
from controller.cli.traces_commands import TimeZone, TracePath
from controller.errors import ModelError
from controller.forecast.layout import DAY_S


def train(
    trace: TracePath,
    out: Annotated[
        Path, typer.Option(help="Model file to write; its card is written beside it as .json and .md.")
    ],
    days: Annotated[
        int | None,
        typer.Option(
            help="Train on the first so many days only. Default: the whole trace.", min=2, show_default=False
        ),
    ] = None,
    country: Annotated[
        str | None,
        typer.Option(
            help="Country whose holidays count, as a two-letter code such as CN.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of drawn rows and fits.", min=0)] = 0,
    time_zone: TimeZone = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the model card as JSON.")] = False,
) -> None:
    """Train a forecast model for `quietcell replay --model` on a recorded network.

    Compares the seasonal profile, ridge, boosting, a small network and their combination on the last part of the
    trace, takes the best, and writes it as one ONNX file. Two days of hourly data are enough to begin with, two weeks
    to learn weekdays.

    Example: quietcell train my-network --out my-network.onnx --country CN
    """
    if not out.parent.is_dir():
        raise typer.BadParameter(f"the folder {out.parent} does not exist; create it", param_hint="--out")
    with errors_to_stderr():
        found = read_with_progress(trace, time_zone, assume_overlay=False)
        train_trace = _trainer()
        until = None if days is None else min(days * DAY_S // found.step_s, found.n_steps)
        with stage_bar("training") as tell:
            trained = train_trace(found, until_step=until, country=country, seed=seed, progress=tell)
        trained.save(out)
    if as_json:
        typer.echo(json.dumps(trained.card, indent=2, allow_nan=False))
    else:
        _print_card(trained.card, out, Console(highlight=False))


def _trainer() -> Any:
    """The training code; it needs an extra. Raises ModelError where that is not installed."""
    try:
        import onnx
    except ImportError as error:
        raise ModelError(
            "training writes ONNX and needs the onnx package: pip install 'quietcell[train]'"
        ) from error
    del onnx
    from controller.training.train import train as train_trace

    return train_trace


def _print_card(card: dict[str, Any], out: Path, console: Console) -> None:
    table = Table(box=box.SIMPLE, title=f"Chosen: {card['candidate']}", title_justify="left")
    for column in ("steps ahead", "WAPE", "not above the 0.95 quantile"):
        table.add_column(column, justify="right")
    for row in card["by_horizon"]:
        if row["n"]:
            table.add_row(str(row["horizon_steps"]), f"{row['wape']:.3f}", f"{row['coverage']['0.95']:.1%}")
    console.print(table)
    for limit in card["cannot"]:
        console.print(f"- {limit}", markup=False)
    console.print(
        f"Written: {out}, its card {out.with_suffix('.md')} and {out.with_suffix('.json')}", markup=False
    )
