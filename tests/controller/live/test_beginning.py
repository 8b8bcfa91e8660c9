"""The configuration that a newcomer gets is true, also in what it only mentions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from controller.live.beginning import CHECKLIST, CONFIG, Wishes, begin, config_text
from controller.live.config import LiveConfig
from controller.strict_yaml import parse_yaml

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture
def wishes(tmp_path: Path) -> Wishes:
    agents = [("site-001", "10.0.0.7:50051")]
    return Wishes(tmp_path / "edge", tmp_path / "state", "edge-1", "cells", "cells.csv", agents, tls=True)


def test_every_field_that_is_commented_out_may_be_used(wishes: Wishes) -> None:
    told = re.sub(r"^# ( *[a-z_]+:( |$))", r"\1", config_text(wishes), flags=re.MULTILINE)
    config = parse_yaml(told, LiveConfig, CONFIG)
    assert config.constraints is not None
    assert (config.profile, config.model, config.assume_overlay) == ("gentle", "model.onnx", True)


def test_the_checklist_names_a_certificate_for_each_agent(wishes: Wishes) -> None:
    assert {path.name for path in begin(wishes)} == {CONFIG, CHECKLIST}
    text = (wishes.folder / CHECKLIST).read_text(encoding="utf-8")
    assert "--agent site-001 --host 10.0.0.7" in text


def test_the_page_names_every_field() -> None:
    page = (DOCS / "live.md").read_text(encoding="utf-8")
    table = page[page.index("## Configuration") : page.index("## What it does when")]
    named = set(
        re.findall(r"`([a-z_]+)`", "".join(line.split("|")[1] for line in table.splitlines() if "|" in line))
    )
    fields = {field.alias or name for name, field in LiveConfig.model_fields.items()}
    assert named - {"field"} == fields
