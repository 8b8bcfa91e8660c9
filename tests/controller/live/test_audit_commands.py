"""``quietcell audit`` on a journal and on heads that somebody kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from controller.cli import app
from controller.errors import JournalError
from controller.live.audit import AuditHead
from controller.live.heads import add_head, heads_path, read_heads
from controller.live.journal import Journal
from hw.security.certs import init_ca, issue
from hw.security.credentials import TlsFiles
from hw.security.identity import Role, make_identity
from hw.security.signing import sign
from tests.controller.live.live_made import BEGAN_US, WHO, one_of_each


def made(folder: Path) -> tuple[Path, Path]:
    """A journal with a signed head beside it, and the folder of certificates."""
    lab, path = folder / "lab", folder / "journal.db"
    init_ca(lab, 30)
    issue(lab, make_identity(Role.CONTROLLER, "edge-1"), ["127.0.0.1"], 30)
    issue(lab, make_identity(Role.OPERATOR, "eve"), [], 30)
    with Journal.open(path, WHO, unix_us=BEGAN_US) as journal:
        journal.append(one_of_each())
        last = journal.last()
    assert last is not None
    head = AuditHead("edge-1", last[0], last[1], last[2].hex(), BEGAN_US)
    add_head(heads_path(path), sign(TlsFiles(lab, "edge-1"), head.content()))
    return path, lab


def test_what_was_written_is_verified_and_what_was_changed_is_not(tmp_path: Path) -> None:
    path, lab = made(tmp_path)
    out, heads = tmp_path / "out.audit", str(heads_path(path))
    assert CliRunner().invoke(app, ["audit", "export", str(path), str(out)]).exit_code == 0
    command = ["audit", "verify", str(out), "--heads", heads, "--tls", str(lab), "--json"]
    said = CliRunner().invoke(app, command)
    assert said.exit_code == 0, said.output
    assert (json.loads(said.output)["appends"], json.loads(said.output)["heads"]) == (2, 1)
    out.write_bytes(out.read_bytes().replace(b"smoke", b"smoki"))
    said = CliRunner().invoke(app, command[:-1])
    assert said.exit_code == 1
    assert "not what was written" in said.output


def test_a_head_that_the_controller_did_not_sign_is_refused(tmp_path: Path) -> None:
    lab = made(tmp_path)[1]
    file = tmp_path / "forged.heads"
    add_head(file, sign(TlsFiles(lab, "eve"), AuditHead("edge-1", 1, 1, "00", 0).content()))
    with pytest.raises(JournalError, match="signed by operator/eve"):
        read_heads(file, lab)
    file.write_text("{}\n")
    with pytest.raises(JournalError, match="damaged"):
        read_heads(file, lab)
