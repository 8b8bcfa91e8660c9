"""A core of two small sites, as its configuration builds it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.config import PROFILES
from controller.live.building import NOTHING_RESUMED, make_core
from controller.live.core import LiveCore, Resumed
from controller.live.power import asking
from tests.controller.live.doubles import CELLS_CSV, live_config

MakeCore = Callable[..., LiveCore]


@pytest.fixture(autouse=True)
def few_scenarios(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a month's target is worth is tested elsewhere; pricing it in all scenarios takes most of a test's time."""
    monkeypatch.setattr(asking, "SCENARIOS", 3)


@pytest.fixture(scope="session")
def live_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("live")
    (folder / "cells.csv").write_text(CELLS_CSV)
    return folder


@pytest.fixture(scope="session")
def live_core(live_folder: Path) -> MakeCore:
    """Makes a core of two sites with the policy ``threshold`` unless told otherwise."""

    def make(resumed: Resumed = NOTHING_RESUMED, **change: Any) -> LiveCore:
        return make_core(live_config(live_folder, **change), resumed)

    return make


@pytest.fixture(scope="session")
def restless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile without dwell, so that cells rest from the second plan on."""
    text = (PROFILES / "balanced.yaml").read_text()
    for line in ("dwell_s: 900", "least_awake_s: 900", "dwell_s: 1800"):
        text = text.replace(line, line.split()[0] + " 0")
    path = tmp_path_factory.mktemp("profile") / "restless.yaml"
    path.write_text(text)
    return path
