"""``quietcell audit``: the record of a controller as a file, and whether it is what the controller wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.console import errors_to_stderr
from controller.cli.journal_commands import EXIT_DIFFERENT, AsJson, JournalPath
from controller.cli.run_command import Config

app = typer.Typer(no_args_is_help=True, help="Prove that the record of a controller is what it wrote.")


@app.command("export")
def export(
    path: JournalPath,
    out: Annotated[Path, typer.Argument(help="The file to write; one JSON document a line.")],
) -> None:
    """Write all of a journal that is kept to a file that can be checked without the program that wrote it.

    Example: quietcell audit export /var/lib/quietcell/journal.db march.audit
    """
    with errors_to_stderr():
        from controller.live.audit import export as lines_of
        from controller.live.journal_reader import open_reader
        from controller.wholefile import whole_file

        reader = open_reader(path)
        try:
            with whole_file(out) as partial, partial.open("wb") as file:
                count = sum(1 for line in lines_of(reader) if file.write(line))
        finally:
            reader.close()
    typer.echo(f"{out}: {count - 2} appends")


@app.command("heads")
def heads(
    config: Config,
    out: Annotated[Path, typer.Argument(help="The file to write.")],
    name: Annotated[
        str, typer.Option("--as", help="Name of the certificate to call with. Default: the controller's.")
    ] = "",
) -> None:
    """Collect the signed heads that agents keep of the controller's journal, for `audit verify --heads`.

    Ends with 1 where an agent gave none.

    Example: quietcell audit heads --config live.yaml kept.heads --as anna
    """
    with errors_to_stderr():
        import asyncio

        from controller.live.config import load_live
        from controller.live.dialling import certificate, dial_of
        from controller.live.heads import heads_of
        from controller.wholefile import whole_file

        told = load_live(config)
        files = certificate(told, name or told.controller, insecure=False)
        found, missing = asyncio.run(heads_of([dial_of(agent, files) for agent in told.agents]))
        with whole_file(out) as partial:
            partial.write_bytes(b"".join(dict.fromkeys(head.to_line() for head in found)))
    for cause in missing:
        typer.echo(cause)
    typer.echo(f"{out}: {len(found)} heads of {len(told.agents) - len(missing)} agents")
    if missing:
        raise typer.Exit(EXIT_DIFFERENT)


@app.command("verify")
def verify(
    path: Annotated[Path, typer.Argument(help="A file of `quietcell audit export`.")],
    kept: Annotated[
        list[Path] | None,
        typer.Option("--heads", help="A file of signed heads; again for more.", show_default=False),
    ] = None,
    tls: Annotated[
        Path | None,
        typer.Option(help="Folder with the CA of the controller, for --heads.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check an export: changed, removed, inserted, reordered or cut records, and a chain written anew.

    The last two show only against heads that were kept elsewhere. Ends with 1 where something is wrong.

    Example: quietcell audit verify march.audit --heads site-001.heads --tls /etc/quietcell/tls
    """
    with errors_to_stderr():
        from controller.live.audit import verify as check
        from controller.live.heads import read_heads

        if kept and tls is None:
            raise typer.BadParameter("name the folder with the CA of the heads", param_hint="--tls")
        known = [head for file in kept or () for head in read_heads(file, tls or Path())]
        with path.open("rb") as file:
            found = check(file, known)
    if as_json:
        document = {
            "schema": "quietcell.audit-result/1",
            "problems": found.problems,
            "appends": found.batches,
            "end": found.end,
            "heads": found.heads,
            "older_heads": found.older_heads,
        }
        typer.echo(json.dumps(document, indent=2))
    else:
        for problem in found.problems:
            typer.echo(f"{path}: {problem}")
        against = f"{found.heads} heads" if found.heads else "no head: a chain written anew would not show"
        typer.echo(f"{path}: {found.batches} appends up to number {found.end}, checked against {against}")
    if found.problems:
        raise typer.Exit(EXIT_DIFFERENT)
