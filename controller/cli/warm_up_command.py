"""``quietcell warm-up``: compile every kernel before the controller is needed."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from controller.cli.console import errors_to_stderr, stage_bar


def warm_up(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Compile and keep all kernels, so that the first replay or tick need not wait for it.

    The first run takes some minutes, later ones seconds. Run it once after each installation or upgrade, on the
    machine and as the user that will run quietcell: kernels fit one processor and one version. Set NUMBA_CACHE_DIR,
    here and later, to keep them in a folder of your choice; without it numba keeps them beside the installed files, or
    in the user's cache folder where those cannot be written.

    Example: NUMBA_CACHE_DIR=/var/cache/quietcell quietcell warm-up
    """
    with errors_to_stderr():
        document = _run()
    if as_json:
        typer.echo(json.dumps(document, indent=2, allow_nan=False))
    else:
        _print(document, Console(highlight=False))


def _run() -> dict[str, Any]:
    from controller.start_up import CELLS, measure_start_up
    from controller.warm_up import cache_folder
    from controller.warm_up import warm_up as run_parts

    with stage_bar("imports") as tell:
        parts = list(run_parts(tell))
        tell("start-up", 1.0)
        start_up_s = measure_start_up(CELLS)
    return {
        "schema": "quietcell.warm-up/1",
        "parts": [part._asdict() for part in parts],
        "wall_s": sum(part.wall_s for part in parts),
        "compiled": sum(part.compiled for part in parts),
        "loaded": sum(part.loaded for part in parts),
        "cache": str(cache_folder()),
        "start_up_s": start_up_s,
        "start_up_cells": CELLS,
    }


def _print(document: dict[str, Any], console: Console) -> None:
    table = Table(box=box.SIMPLE)
    for column in ("part", "seconds", "kernels compiled", "from the cache"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for part in document["parts"]:
        table.add_row(part["name"], f"{part['wall_s']:.1f}", str(part["compiled"]), str(part["loaded"]))
    console.print(table)
    console.print(
        f"{document['compiled']} kernels compiled, {document['loaded']} found, in {document['wall_s']:.0f} s. "
        f"They are below {document['cache']}",
        markup=False,
        soft_wrap=True,
    )
    console.print(
        f"A new controller process of {document['start_up_cells']:,} cells now decides {document['start_up_s']:.1f} s "
        "after its start.",
        markup=False,
        soft_wrap=True,
    )
