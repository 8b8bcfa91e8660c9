"""``quietcell journal``: look at the journal of a controller, check it, and run a recorded run once more."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.console import errors_to_stderr, utc_text

if TYPE_CHECKING:
    from controller.live.config import LiveConfig
    from controller.live.cores import Cores
    from controller.live.journal_reader import JournalReader
    from controller.live.rescore import Score, Side

app = typer.Typer(no_args_is_help=True, help="Look at the journal of a controller, and replay what it holds.")

EXIT_DIFFERENT = 1

JournalPath = Annotated[Path, typer.Argument(help="The file that the controller writes.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
RunNumber = Annotated[
    int | None, typer.Option("--run", help="Number of the run. Default: the last one.", show_default=False)
]


@app.command("show")
def show(path: JournalPath, as_json: AsJson = False) -> None:
    """Print the runs of a journal, what it takes on the disk, and what was lost by damage.

    Example: quietcell journal show /var/lib/quietcell/journal.db
    """
    with errors_to_stderr():
        from controller.live.journal_reader import open_reader

        reader = open_reader(path)
        try:
            runs = [asdict(run) | {"identity": asdict(run.identity)} for run in reader.runs()]
            damages = [asdict(alarm) for alarm in reader.alarms() if alarm.about == "journal"]
            size = reader.size_bytes()
        finally:
            reader.close()
    if as_json:
        document = {"path": str(path), "size_bytes": size, "runs": runs, "damages": damages}
        typer.echo(json.dumps(document, indent=2))
        return
    typer.echo(f"{path}: {size / 1e6:.1f} MB, {len(runs)} runs")
    for run in runs:
        whole = "" if run["is_whole"] else ", its beginning is not kept"
        lost = f", {run['lost']} records could not be written" if run["lost"] else ""
        span = f"{utc_text(run['began_unix_us'])} to {utc_text(run['last_unix_us'])}"
        typer.echo(
            f"run {run['run']}: {span}, {run['events']} events, "
            f"{run['decisions']} commands toward less service, {run['wakes']} wakes{lost}{whole}"
        )
    for damage in damages:
        typer.echo(f"{utc_text(damage['unix_us'])}: {damage['text']}")


@app.command("check")
def check(path: JournalPath, as_json: AsJson = False) -> None:
    """Check that all of a journal is what was written; exit with 1 where it is not.

    Best while no controller writes it: what is appended meanwhile may look like a lost end.

    Example: quietcell journal check journal.db
    """
    with errors_to_stderr():
        from controller.live.journal_damage import examine
        from controller.live.journal_reader import open_reader
        from controller.live.journal_state import read_head

        open_reader(path).close()
        head = read_head(path)
        found = examine(path, head, needs_head=False)
    end = "known" if head is not None else "not witnessed: there is no .head file beside it"
    document = {
        "path": str(path),
        "sound_appends": found.kept_batches,
        "sound_until_unix_us": found.state.last_unix_us,
        "end": end,
        "problem": found.cause,
    }
    if as_json:
        typer.echo(json.dumps(document, indent=2))
    else:
        until = utc_text(found.state.last_unix_us)
        typer.echo(
            f"{path}: {found.kept_batches} appends until {until} are what was written; its end is {end}"
        )
        if found.cause:
            typer.echo(f"damaged: {found.cause}; the controller salvages what is sound when it starts")
    if found.cause:
        raise typer.Exit(EXIT_DIFFERENT)


@app.command("rerun")
def rerun_command(path: JournalPath, run: RunNumber = None, as_json: AsJson = False) -> None:
    """Feed the recorded inputs of a run to a fresh controller and compare what it decides, bit by bit.

    Names each difference, missing inputs, and code, model, configuration or processor that are not those of the run;
    exits with 1 where a decision differs.

    Example: quietcell journal rerun journal.db --run 3
    """
    with errors_to_stderr():
        from controller.live.identity import identify
        from controller.live.journal_reader import open_reader
        from controller.live.rerun import Cause, rerun

        reader = open_reader(path)
        try:
            number = _number(reader, run)
            then = reader.run_of(number).identity
            config = _config(then.config)
            now = identify(then.config, [Path(name) for name in then.files], then.seed)
            made = rerun(reader, number, lambda: _cores(config, reader, number), now)
            differences = [asdict(difference) for difference in made]
        finally:
            reader.close()
    decisions = [d for d in differences if d["cause"] != Cause.IDENTITY]
    if as_json:
        typer.echo(
            json.dumps({"run": number, "identical": not decisions, "differences": differences}, indent=2)
        )
    else:
        for difference in differences:
            when = f"{utc_text(difference['unix_us'])} " if difference["unix_us"] else ""
            typer.echo(f"{when}{difference['cause']}: {difference['what']}")
        typer.echo(
            f"run {number}: " + (f"{len(decisions)} differences" if decisions else "identical decisions")
        )
    if decisions:
        raise typer.Exit(EXIT_DIFFERENT)


@app.command("rescore")
def rescore_command(
    path: JournalPath,
    policy: Annotated[str, typer.Option(help="Policy to run instead, such as threshold.")],
    run: RunNumber = None,
    as_json: AsJson = False,
) -> None:
    """Give the recorded inputs of a run to another policy and print what it would have done otherwise.

    Agents follow the other policy at once; the traffic of each cell is the recorded one.

    Example: quietcell journal rescore journal.db --policy threshold
    """
    with errors_to_stderr():
        from dataclasses import replace

        import numpy as np

        from controller.live.building import NOTHING_RESUMED, make_core
        from controller.live.cores import Cores
        from controller.live.journal_reader import open_reader
        from controller.live.known import known_of
        from controller.live.rescore import rescore

        reader = open_reader(path)
        try:
            number = _number(reader, run)
            config = _config(reader.run_of(number).identity.config)
            known, resumed = known_of(config), replace(NOTHING_RESUMED, highest_epoch=number - 1)
            core = make_core(config, resumed, policy=policy, known=known)
            n_cells = len(core.fleet.agent_of)
            names = np.array([core.fleet.name(cell) for cell in range(n_cells)])
            score = rescore(reader, number, lambda: Cores(core, None), names, known.world.world)
        finally:
            reader.close()
    if as_json:
        typer.echo(json.dumps(_score_document(score, policy), indent=2))
    else:
        _print_score(score, policy)


def _number(reader: JournalReader, run: int | None) -> int:
    return max((r.run for r in reader.runs()), default=0) if run is None else run


def _config(text: str) -> LiveConfig:
    from controller.live.config import LiveConfig

    return LiveConfig.model_validate_json(text)


def _cores(config: LiveConfig, reader: JournalReader, run: int) -> Cores:
    """What a run ran with, as it had resumed."""
    from controller.live.core import Resumed
    from controller.live.kpi_file import rows_path
    from controller.live.power.building import make_cores

    state = reader.state_before(run)
    last = state.commands()
    words = (tuple(state.rulings), tuple(state.rolled_back.values()))
    resumed = Resumed(
        last.cell, last.revision, last.level, run - 1, state.is_stopped, *words, rows_path(reader.path)
    )
    return make_cores(config, resumed, state.site_revision)


def _score_document(score: Score, policy: str) -> dict[str, Any]:
    def side(of: Side) -> dict[str, Any]:
        hours = dict(zip(score.level_names, of.cell_hours.tolist(), strict=True))
        return {"cell_hours": hours, "changes_per_cell_day": of.changes_per_cell_day, "energy": of.energy}

    return {
        "policy": policy,
        "energy_unit": f"{score.power_unit} x h",
        "recorded": side(score.recorded),
        "rescored": side(score.rescored),
        "cells": score.cells,
        "cells_that_differ": score.n_differing,
        "most_different": [{"cell": name, "hours": hours} for name, hours in score.differing_cells],
        "missing_records": score.lost_records,
    }


def _print_score(score: Score, policy: str) -> None:
    recorded, rescored = score.recorded, score.rescored
    typer.echo(f"{'':<28}{'recorded':>14}{policy:>14}{'difference':>14}")
    held = zip(score.level_names, recorded.cell_hours, rescored.cell_hours, strict=True)
    rows = [(f"{name} [cell-h]", then, other) for name, then, other in held]
    rows.append(("changes a cell and day", recorded.changes_per_cell_day, rescored.changes_per_cell_day))
    rows.append((f"energy [{score.power_unit} x h]", recorded.energy, rescored.energy))
    for name, then, other in rows:
        typer.echo(f"{name:<28}{then:>14.2f}{other:>14.2f}{other - then:>+14.2f}")
    typer.echo(f"{score.n_differing} of {score.cells} cells differ")
    for name, hours in score.differing_cells:
        typer.echo(f"  {name}: {hours:.2f} h at another level")
    if score.lost_records:
        typer.echo(f"{score.lost_records} records are missing, so both sides have gaps")
