"""``quietcell certs``."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from controller.cli import app

runner = CliRunner()


def _run(*arguments: str, code: int = 0) -> str:
    result = runner.invoke(app, ["certs", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_a_lab_from_nothing(tmp_path: Path) -> None:
    lab = str(tmp_path / "lab")
    assert "the CA, until" in _run("init", lab)
    assert "agent/site-001, until" in _run("issue", lab, "--agent", "site-001", "--host", "127.0.0.1")
    issued = json.loads(_run("issue", lab, "--controller", "edge-1", "--json"))
    assert issued["holder"] == "controller/edge-1"
    assert issued["file"] == str(tmp_path / "lab" / "edge-1.pem")
    shown = json.loads(_run("show", lab, "--json"))
    assert [one["holder"] for one in shown["certificates"]] == [
        "the CA",
        "controller/edge-1",
        "agent/site-001",
    ]
    assert {one["state"] for one in shown["certificates"]} == {"good"}
    assert 29.9 < shown["certificates"][1]["left_days"] <= 30
    assert "PRIVATE" not in _run("show", lab)


def test_what_is_to_be_done_is_said_and_exits_with_1(tmp_path: Path) -> None:
    _run("init", str(tmp_path))
    _run("issue", str(tmp_path), "--admin", "chief", "--days", "2")
    shown = _run("show", str(tmp_path), code=1)
    assert f"chief.pem: renew it: quietcell certs issue {tmp_path} --admin chief" in shown
    _run("issue", str(tmp_path), "--admin", "chief")
    _run("show", str(tmp_path))


def test_mistakes_are_one_message(tmp_path: Path) -> None:
    assert "error: " in _run("issue", str(tmp_path), "--agent", "site-001", code=2)
    _run("init", str(tmp_path))
    assert "exists; name a new folder" in _run("init", str(tmp_path), code=2)
    assert "name exactly one of" in _run("issue", str(tmp_path), code=2)
    assert "name exactly one of" in _run("issue", str(tmp_path), "--agent", "a", "--admin", "b", code=2)
    assert "'../x' cannot name an agent" in _run("issue", str(tmp_path), "--agent", "../x", code=2)
