"""``quietcell certs``: a small certificate authority for a laboratory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from controller.cli.console import errors_to_stderr

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

app = typer.Typer(
    no_args_is_help=True, help="Certificates of controller, agents and operators, for a laboratory."
)

Folder = Annotated[Path, typer.Argument(help="Folder of the CA and of all that it issued.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
EXIT_TO_DO = 1


@app.command("init")
def init(
    folder: Folder,
    days: Annotated[int, typer.Option(help="Days until the CA ends.")] = 3650,
    as_json: Json = False,
) -> None:
    """Make a CA: ca.pem, which everybody needs, and ca.key, which stays in this folder.

    Example: quietcell certs init lab
    """
    with errors_to_stderr():
        from hw.security.certs import CA, certificate_path, init_ca

        _tell(certificate_path(folder, CA), "the CA", init_ca(folder, days), as_json)


@app.command("issue")
def issue_command(
    folder: Folder,
    agent: Annotated[str | None, typer.Option(help="Name of an agent, such as site-001.")] = None,
    controller: Annotated[str | None, typer.Option(help="Name of a controller.")] = None,
    operator: Annotated[
        str | None, typer.Option(help="Name of an operator: may watch, wake, charge and stop.")
    ] = None,
    admin: Annotated[str | None, typer.Option(help="Name of an administrator: may clear a stop.")] = None,
    host: Annotated[
        list[str] | None,
        typer.Option(
            help="Host name or IP address at which it serves; again for more. A renewal keeps them."
        ),
    ] = None,
    days: Annotated[int, typer.Option(help="Days until it ends.")] = 30,
    as_json: Json = False,
) -> None:
    """Issue a certificate with a new key, or renew one: NAME.pem and NAME.key in the folder.

    Its holder needs these two and ca.pem. Servers that run take a renewed certificate with the next connection.

    Example: quietcell certs issue lab --agent site-001 --host 127.0.0.1
    """
    with errors_to_stderr():
        from hw.security.certs import certificate_path, issue
        from hw.security.identity import Role, make_identity

        named = {Role.AGENT: agent, Role.CONTROLLER: controller, Role.OPERATOR: operator, Role.ADMIN: admin}
        given = [(role, name) for role, name in named.items() if name is not None]
        if len(given) != 1:
            raise typer.BadParameter("name exactly one of --agent, --controller, --operator and --admin")
        identity = make_identity(*given[0])
        certificate = issue(folder, identity, host or (), days)
        _tell(certificate_path(folder, identity.name), str(identity), certificate, as_json)


@app.command("revoke")
def revoke(
    folder: Folder,
    name: Annotated[str, typer.Argument(help="Whose certificate: NAME of NAME.pem.")],
    as_json: Json = False,
) -> None:
    """Let a certificate in nowhere any more: adds it to revoked.txt, which is to be copied to every server.

    Servers that run see the file with the next call. Issue again to let the holder in with a new certificate.

    Example: quietcell certs revoke lab anna
    """
    with errors_to_stderr():
        from hw.security.revoked import FILE
        from hw.security.revoked import revoke as add

        holder = add(folder, name)
    path = folder / FILE
    if as_json:
        typer.echo(
            json.dumps({"schema": "quietcell.revoked/1", "file": str(path), "holder": holder}, indent=2)
        )
    else:
        typer.echo(f"{path}: the certificate of {holder} is revoked; copy the file to every server")


@app.command("show")
def show(folder: Folder, as_json: Json = False) -> None:
    """List who holds a certificate and until when. Exits with 1 where something is to be done.

    Example: quietcell certs show lab
    """
    with errors_to_stderr():
        from hw.security.validity import look_at

        seen = look_at(folder)
    if as_json:
        rows: list[dict[str, Any]] = [
            {
                "file": str(one.file),
                "holder": one.holder,
                "hosts": one.hosts,
                "until_utc": one.until and one.until.isoformat(),
                "left_days": one.left_days,
                "state": one.state,
                "remedy": one.remedy,
            }
            for one in seen
        ]
        typer.echo(
            json.dumps({"schema": "quietcell.certs/1", "certificates": rows}, indent=2, allow_nan=False)
        )
    else:
        table = Table(box=box.SIMPLE)
        for column in ("holder", "hosts", "until (UTC)", "days left", "state"):
            table.add_column(column, justify="right" if column == "days left" else "left")
        for one in seen:
            until = f"{one.until:%Y-%m-%d %H:%M}" if one.until else ""
            left_days = "" if one.left_days is None else f"{one.left_days:.1f}"
            table.add_row(one.holder, " ".join(one.hosts), until, left_days, one.state)
        console = Console(highlight=False)
        console.print(table)
        for one in seen:
            if one.remedy:
                console.print(f"{one.file.name}: {one.remedy}", markup=False, soft_wrap=True)
    if any(one.remedy for one in seen):
        raise typer.Exit(EXIT_TO_DO)


def _tell(path: Path, holder: str, certificate: Certificate, as_json: bool) -> None:
    until = certificate.not_valid_after_utc
    if as_json:
        document = {"schema": "quietcell.certificate/1", "file": str(path), "holder": holder}
        typer.echo(json.dumps(document | {"until_utc": until.isoformat()}, indent=2))
    else:
        typer.echo(
            f"{path}: {holder}, until {until:%Y-%m-%d %H:%M} UTC; its key is in {path.with_suffix('.key')}"
        )
