"""``quietcell evaluate``: many policies, traces, worlds and seeds side by side, and gates for a build."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from controller.cli.console import SAMPLE, errors_to_stderr, read_with_progress, stage_bar
from controller.cli.guard_option import Guarded
from controller.cli.lever_option import Levers, check_levers
from controller.cli.model_option import ModelFile, read_model
from controller.cli.policy_option import find_policies
from controller.cli.run_task import merged
from controller.cli.site_option import Sites, sites_path
from controller.config import RunConfig, load_profile
from controller.wholefile import write_text_whole

if TYPE_CHECKING:
    from controller.evaluation.case import Case
    from controller.evaluation.evaluation import Evaluation

EXIT_GATE_MISSED = 1
EXIT_INTERRUPTED = 130
FILE_NAME = "evaluation.json"


def evaluate(
    trace: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Files or folders in a known layout. Default: the bundled sample.", show_default=False
        ),
    ] = None,
    world: Annotated[
        list[str] | None,
        typer.Option(
            help="Hardware as in `quietcell replay`, may be repeated. Default: 3gpp-cat1-set1.",
            show_default=False,
        ),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="Policy, may be repeated; none, symbol and oracle always run. Default: every one that applies. "
            "Also the name of an installed plug-in or the file of a policy network.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(
            help="Seed of the traffic inside the steps, may be repeated. Default: 0.",
            min=0,
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
    out: Annotated[Path | None, typer.Option(help=f"Folder for {FILE_NAME}; made if absent.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help=f"Print {FILE_NAME} on standard output.")] = False,
    gate: Annotated[
        list[str] | None,
        typer.Option(
            help="<policy>.<figure> <op> <number>, such as 'predictive.ee_gain_vs_none >= 0.2', or with --site "
            "'site.plan.captured_share >= 0.95'; may be repeated. Every trace, world and seed must meet it; exit 1 "
            "if one does not.",
            show_default=False,
        ),
    ] = None,
    bootstrap: Annotated[
        int, typer.Option(help="Draws of the bootstrap behind the intervals.", min=100)
    ] = 2000,
    config: Annotated[
        Path | None,
        typer.Option(
            help="YAML file as in `quietcell replay`. What stands above wins over it; its constraints hold in every "
            "trace, its prices are not used.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Compare policies over traces, worlds and seeds, with 95 % intervals over cells and days.

    Prints for each trace and world the figures of `quietcell replay` as means over the seeds. Missed service limits
    come first, in red. A gate makes a build fail when a figure is worse than asked for.

    Examples:

      quietcell evaluate --gate 'predictive.ee_gain_vs_none >= 0.2'

      quietcell evaluate north south --world 3gpp-cat2-set1 --json
    """
    with errors_to_stderr():
        settings = merged(
            config,
            {
                "profile": profile,
                "model": model,
                "guard": guard or None,
                "levers": check_levers(lever) or None,
                "site": site,
                "policies": tuple(policy) if policy else None,
            },
        )
        evaluation = _prepare(
            trace or [Path(settings.trace or SAMPLE)],
            world or [settings.world],
            seed or [settings.seed or 0],
            gate or [],
            bootstrap,
            settings,
            str(config),
        )
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
        _run(evaluation)
        document = evaluation.document()
        if out is not None:
            _write(out / FILE_NAME, document)
    _show(document, as_json)
    if not evaluation.complete:
        typer.echo("stopped: the document holds what was done and says complete: false", err=True)
        raise typer.Exit(EXIT_INTERRUPTED)
    if not all(verdict["held"] for verdict in document["gates"]):
        raise typer.Exit(EXIT_GATE_MISSED)


def _prepare(
    traces: list[Path],
    worlds: list[str] | list[str | None],
    seeds: list[int],
    gates: list[str],
    draws: int,
    settings: RunConfig,
    source: str,
) -> Evaluation:
    """Read everything that can be wrong before the first replay. Numba is imported from here on.

    ``settings`` are the rest of what was asked for, ``source`` the file that they came from.
    """
    from controller.evaluation.evaluation import Evaluation
    from controller.evaluation.gates import parse_gate
    from controller.replay.planners import KNOWN
    from controller.replay.report import order_policies
    from controller.site.comparison import SITE_POLICIES

    names, foreign = find_policies(settings.policies or ())
    model = None if settings.model is None else Path(settings.model)
    ordered = order_policies(names or None, with_analysis=model is not None, foreign=foreign)
    sites = None if settings.site is None else sites_path(settings.site)
    of_sites = () if sites is None else SITE_POLICIES
    parsed = tuple(parse_gate(text, ordered, (*KNOWN, *foreign), of_sites) for text in gates)
    profile, loaded = load_profile(settings.profile), read_model(model)
    cases = _cases(list(dict.fromkeys(traces)), list(dict.fromkeys(worlds)), settings, source)
    once = tuple(dict.fromkeys(seeds))
    return Evaluation(
        cases,
        profile,
        ordered,
        once,
        draws,
        parsed,
        model=loaded,
        guard=settings.guard,
        foreign=foreign,
        site=sites,
    )


def _cases(paths: list[Path], worlds: list[str | None], settings: RunConfig, source: str) -> list[Case]:
    """Every trace in every world. What shares a name with another one is called as it was given."""
    from controller.constraints import compile_constraints
    from controller.evaluation.case import Case
    from controller.worlds import world_for

    mapping = None if settings.mapping is None else Path(settings.mapping)
    traces = [
        read_with_progress(path, settings.time_zone, settings.assume_overlay, mapping) for path in paths
    ]
    sources = Counter(trace.source for trace in traces)
    cases = []
    for path, trace in zip(paths, traces, strict=True):
        wanted = settings.constraints
        made = None if wanted is None else compile_constraints(wanted, trace.cells, trace.time_zone, source)
        named = trace if sources[trace.source] == 1 else replace(trace, source=str(path))
        found = [world_for(name, trace, settings.levers) for name in worlds]
        names = Counter(one.world.name for one in found)
        for given, one in zip(worlds, found, strict=True):
            name = one.world.name if given is None or names[one.world.name] == 1 else given
            cases.append(Case(named, replace(one, world=replace(one.world, name=name)), made))
    return cases


def _run(evaluation: Evaluation) -> None:
    """Run to the end, or until Ctrl-C; what is done by then stays."""
    with suppress(KeyboardInterrupt):
        evaluation.run(_watch)


@contextmanager
def _watch(name: str) -> Iterator[Callable[[str, float], None]]:
    """A bar while a replay runs, and a line on standard error once it is done."""
    began = time.monotonic()
    with stage_bar(name) as tell:
        yield lambda stage, share: tell(f"{name}: {stage}", share)
    typer.echo(f"{name}: {time.monotonic() - began:.1f} s", err=True)


def _show(document: dict[str, Any], as_json: bool) -> None:
    """The document or the tables on standard output; beside a document the verdicts go to standard error."""
    from controller.evaluation.table import WIDTH, print_evaluation, print_verdicts

    if as_json:
        typer.echo(json.dumps(document, indent=2, allow_nan=False))
        print_verdicts(document, Console(stderr=True))
    else:
        print_evaluation(document, Console(width=None if sys.stdout.isatty() else WIDTH))


def _write(path: Path, document: dict[str, Any]) -> None:
    """Write the document; it appears whole or not at all."""
    write_text_whole(path, json.dumps(document, indent=2, allow_nan=False) + "\n")
