"""``quietcell replay``: what each policy would have used, and what it would have done to service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from controller.cli.console import errors_to_stderr, stage_bar
from controller.cli.guard_option import Guarded
from controller.cli.lever_option import Levers, check_levers
from controller.cli.model_option import ModelFile
from controller.cli.run_task import merged, read_task
from controller.cli.site_option import Sites, sites_path
from controller.cli.traces_commands import AssumeOverlay, Mapping, TimeZone
from controller.config import RunConfig
from controller.report.site_table import print_site_table
from controller.report.table import print_table
from controller.wholefile import whole_file

if TYPE_CHECKING:
    from controller.replay.report import Replay

EXIT_INTERRUPTED = 130
PIPED_WIDTH = 120  # characters, where standard output is no terminal


def replay(
    trace: Annotated[
        Path | None,
        typer.Argument(
            help="A file or folder in a known layout. Default: the bundled sample.", show_default=False
        ),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            help="Policy to replay, may be repeated; none, symbol and oracle always run. Default: every one that "
            "applies (none, symbol, timer, threshold, logged, predictive, oracle). Also the name of an installed "
            "plug-in or the file of a policy network, policy.onnx: see docs/policies.md.",
            show_default=False,
        ),
    ] = None,
    world: Annotated[
        str | None,
        typer.Option(
            help="Hardware: a name such as 3gpp-cat1-set1 (default), 3gpp-cat2-set1, three-layer (for "
            "`traces synth --low-band`) or earth-macro, `calibrated` to fit the trace's own measured energy, or a "
            "world or calibration file.",
            show_default=False,
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(help="Shipped profile or profile file. Default: balanced.", show_default=False),
    ] = None,
    model: ModelFile = None,
    guard: Guarded = False,
    lever: Levers = None,
    site: Sites = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.json and report.html; made if absent.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print report.json on standard output.")] = False,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the traffic inside the steps. Default: 0.", min=0)
    ] = None,
    time_zone: TimeZone = None,
    assume_overlay: AssumeOverlay = False,
    mapping: Mapping = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="YAML file (quietcell.config/1) with any of these, energy prices, and constraints: protected cells, "
            "exclusion windows, events, emergency lock (docs/guards.md)."
        ),
    ] = None,
) -> None:
    """Replay a recorded network under several policies, against perfect foresight.

    Prints for each policy the gain in energy efficiency, the energy saved, how much of what was possible it
    captured, and what it did to service. Missed service limits come first, in red; they are no error (exit 0).

    Examples:

      quietcell replay --out report

      quietcell replay city --world 3gpp-cat2-set1 --policy predictive --json

      quietcell replay --world earth-macro --site sample
    """
    with errors_to_stderr():
        made = _prepare(
            merged(
                config,
                {
                    "trace": trace,
                    "policies": tuple(policy) if policy else None,
                    "world": world,
                    "profile": profile,
                    "model": model,
                    "guard": guard or None,
                    "levers": check_levers(lever) or None,
                    "site": site,
                    "seed": seed,
                    "time_zone": time_zone,
                    "assume_overlay": assume_overlay or None,
                    "mapping": mapping,
                },
            ),
            str(config),
        )
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
        finished = _run(made, with_page=out is not None)
        document = made.report()
        if out is not None:
            write_report(out, made, document)
    if as_json:
        typer.echo(json.dumps(document, indent=2, allow_nan=False))
    else:
        console = Console()
        console = console if console.is_terminal else Console(width=PIPED_WIDTH)
        print_table(document, console)
        if "site" in document:
            print_site_table(document["site"], console)
        if out is not None:
            Console(stderr=True).print(
                f"Written: {out / 'report.json'} and {out / 'report.html'}", markup=False
            )
    if not finished:
        typer.echo("stopped: the report holds what was done and says complete: false", err=True)
        raise typer.Exit(EXIT_INTERRUPTED)


def _prepare(settings: RunConfig, source: str) -> Replay:
    """Read what the settings name; ``source`` is where they came from. Numba is imported from here on."""
    from controller.replay.report import Prices, Replay, order_policies

    task, names = read_task(settings, settings.policies or (), source)
    given = settings.prices
    prices = (
        Prices()
        if given is None
        else Prices(given.price_per_kwh, given.currency, given.co2_kg_per_kwh, given.source)
    )
    ordered = order_policies(names or None, foreign=task.foreign)
    if settings.site is None:
        return Replay(task, ordered, prices)
    from controller.site.replaying import SiteReplay

    sites = SiteReplay(sites_path(settings.site), task, ordered)
    return Replay(sites.task, ordered, prices, site=sites)


def _run(made: Replay, *, with_page: bool) -> bool:
    """Run to the end, or until Ctrl-C; what is done by then stays."""
    with stage_bar("replay") as tell:
        try:
            made.run(tell, with_page=with_page, with_curve=True)
        except KeyboardInterrupt:
            if "none" not in made.runs:
                typer.echo("stopped before the first policy was done; nothing to report", err=True)
                raise typer.Exit(EXIT_INTERRUPTED) from None
    return made.complete


def write_report(out: Path, made: Replay, document: dict[str, Any]) -> None:
    """Write report.json and report.html into ``out``; each appears whole or not at all."""
    from controller.report.page import write_page

    for name, write in (
        ("report.json", lambda p: p.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")),
        ("report.html", lambda p: write_page(p, document, made.page(), made.site_page())),
    ):
        with whole_file(out / name) as partial:
            write(partial)
