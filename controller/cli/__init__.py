"""The ``quietcell`` command."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from controller.cli.agent_command import app as agent_app
from controller.cli.audit_commands import app as audit_app
from controller.cli.calibrate_command import calibrate
from controller.cli.certs_command import app as certs_app
from controller.cli.doctor_command import doctor
from controller.cli.evaluate_command import evaluate
from controller.cli.explain_command import explain
from controller.cli.forecast_command import forecast
from controller.cli.init_command import init
from controller.cli.journal_commands import app as journal_app
from controller.cli.lab_command import lab
from controller.cli.ladder_commands import approve, override, stage
from controller.cli.plant_command import plant, plant_fault
from controller.cli.replay_command import replay
from controller.cli.run_command import run
from controller.cli.savings_command import savings
from controller.cli.site_commands import sites
from controller.cli.status_commands import alarms, cells, status
from controller.cli.stop_command import stop, wake
from controller.cli.symbols_command import symbols
from controller.cli.synth_command import synth
from controller.cli.traces_commands import app as traces_app
from controller.cli.train_command import train
from controller.cli.warm_up_command import warm_up

app = typer.Typer(
    pretty_exceptions_enable=False,
    help="Energy saving for 5G base stations: replay a recorded network and prove what can be saved.",
    epilog="Begin with: quietcell replay --out report",
)


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if show_version:
        typer.echo(f"quietcell {version('quietcell')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command("replay")(replay)
app.command("evaluate")(evaluate)
app.command("explain")(explain)
app.command("calibrate")(calibrate)
app.command("train")(train)
app.command("forecast")(forecast)
app.command("symbols")(symbols)
app.command("lab")(lab)
app.command("run")(run)
app.command("init")(init)
app.command("doctor")(doctor)
app.command("savings")(savings)
app.command("status")(status)
app.command("cells")(cells)
app.command("sites")(sites)
app.command("alarms")(alarms)
app.command("stop")(stop)
app.command("wake")(wake)
app.command("approve")(approve)
app.command("override")(override)
app.command("stage")(stage)
app.command("warm-up")(warm_up)
app.command("plant")(plant)
app.command("plant-fault")(plant_fault)
traces_app.command("synth")(synth)
app.add_typer(traces_app, name="traces")
app.add_typer(journal_app, name="journal")
app.add_typer(audit_app, name="audit")
app.add_typer(agent_app, name="agent")
app.add_typer(certs_app, name="certs")


def main() -> None:
    """Run the command line."""
    app()
