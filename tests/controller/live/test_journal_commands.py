"""The commands on a journal, as an operator calls them."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from controller.cli import app
from controller.live.journal import Journal
from tests.controller.live.live_made import BEGAN_US, WHO, one_of_each


def call(*arguments: Any) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["journal", *map(str, arguments)])
    return result.exit_code, result.output


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.sqlite"
    with Journal.open(path, WHO, unix_us=BEGAN_US) as journal:
        for _ in range(3):
            journal.append(one_of_each())
    return path


def test_show_tells_what_is_there(path: Path) -> None:
    code, text = call("show", path)
    assert code == 0
    assert "run 1: 2025-03-03 11:06:40Z" in text
    assert "45 events" in text
    code, text = call("show", path, "--json")
    document = json.loads(text)
    assert document["size_bytes"] == path.stat().st_size
    assert document["runs"][0]["identity"]["cpu"] == "cpu"
    assert document["damages"] == []


def test_check_finds_damage_and_show_tells_of_it_after_the_next_start(path: Path) -> None:
    assert call("check", path)[0] == 0
    db = sqlite3.connect(path)
    with db:
        db.execute("UPDATE command SET level = 2 WHERE command = 0")
    db.close()
    code, text = call("check", path)
    assert code == 1
    assert "damaged: batch 2: its content is not what was written" in text
    document = json.loads(call("check", path, "--json")[1])
    assert document["sound_appends"] == 1
    Journal.open(path, WHO, unix_us=BEGAN_US + 9).close()
    assert "the journal was damaged" in call("show", path)[1]
    assert call("check", path)[0] == 0


def test_errors_name_the_file_and_a_remedy(tmp_path: Path) -> None:
    code, text = call("show", tmp_path / "none")
    assert code == 2
    assert "no such journal; name the file that the controller writes" in text
    (tmp_path / "text").write_text("not a database" * 99, encoding="ascii")
    for command in ("show", "check"):
        code, text = call(command, tmp_path / "text")
        assert code == 2
        assert "cannot be read as a journal" in text
