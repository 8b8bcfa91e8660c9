"""From quietcell.live/1 to a core."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.errors import ConfigError, PolicyError
from controller.live.building import make_core, past_ticks
from controller.live.config import load_live
from controller.live.core import Resumed
from controller.replay.scene import Clock
from controller.worlds import load_world
from tests.controller.live.doubles import live_config
from tests.controller.site.site_made import DEFAULTS, HEAD, write
from traces import Trace, make_cells

TEXT = """schema: quietcell.live/1
controller: edge-1
agents:
  - {id: site-a, address: "127.0.0.1:50051"}
  - {id: battery, address: "127.0.0.1:50052", kind: power}
cells: cells.csv
journal: journal.db
"""


def test_a_file_becomes_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "live.yaml"
    path.write_text(TEXT)
    config = load_live(path)
    assert (config.lease_s, config.guard_every_s, config.policy) == (60, 20, "predictive")
    assert [agent.kind for agent in config.agents] == ["ran", "power"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("lease_s: 30", "lease_s must be at least 2 times guard_every_s"),
        ("trace: sample", "give either cells or trace"),
        ("lease: 30", "lease"),
        ("policy: 3", "policy"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(line: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "live.yaml"
    path.write_text(f"{TEXT}{line}\n")
    with pytest.raises(ConfigError, match=problem):
        load_live(path)


def test_an_agent_named_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "live.yaml"
    path.write_text(TEXT.replace("id: battery", "id: site-a"))
    with pytest.raises(ConfigError, match="'site-a' is there twice"):
        load_live(path)


@pytest.mark.parametrize(
    ("change", "error", "problem"),
    [
        ({"policy": "oracle"}, PolicyError, "known only in hindsight"),
        ({"policy": "nonesuch"}, PolicyError, "is no policy"),
        ({"world": "calibrated"}, ConfigError, "needs a trace with measured energy"),
        ({"cells": "nowhere.csv"}, ConfigError, "'nowhere.csv' is no file"),
    ],
)
def test_what_a_configuration_names_must_be_there(
    change: dict[str, Any], error: type[Exception], problem: str, live_folder: Path
) -> None:
    with pytest.raises(error, match=problem):
        make_core(live_config(live_folder, **change))


def test_cells_without_a_time_zone_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cells.csv").write_text("cell_id,site_id\na,s\n")
    with pytest.raises(ConfigError, match="give time_zone"):
        make_core(live_config(tmp_path))
    assert make_core(live_config(tmp_path, time_zone="UTC")).epoch == 1


def test_a_journal_of_another_cell_table_is_refused(live_folder: Path) -> None:
    resumed = Resumed(np.array([77], np.int32), np.array([1], np.uint64), np.array([3], np.uint8))
    with pytest.raises(ConfigError, match="it is of another cell table"):
        make_core(live_config(live_folder), resumed)


def test_another_policy_replaces_the_configured_one(live_folder: Path) -> None:
    core = make_core(live_config(live_folder, policy="predictive"), policy="threshold")
    assert type(core.controller.planner).__name__ == "ThresholdPlanner"


def test_power_agents_have_no_cells(live_folder: Path) -> None:
    agents = [{"id": "site-a", "address": "x"}, {"id": "p", "address": "y", "kind": "power"}]
    core = make_core(live_config(live_folder, agents=agents))
    assert [agent.agent_id for agent in core.fleet.agents] == ["site-a"]


def test_sleep_is_weighed_as_the_sites_file_says(live_folder: Path, tmp_path: Path) -> None:
    agents = [{"id": "site-a", "address": "x"}, {"id": "p", "address": "y", "kind": "power"}]
    by_price, by_co2 = (HEAD + f"sleep_by: {by}\n" + DEFAULTS for by in ("price", "co2"))
    sites = write(tmp_path, by_price).path
    core = make_core(live_config(live_folder, agents=agents, sites=str(sites), policy="predictive"))
    assert core.controller.energy_price is not None
    night, peak = (np.datetime64(f"2025-03-05T{utc}:00:00", "s") for utc in ("17", "10"))  # 1 and 18 h local
    prices = [core.controller.energy_price(now) for now in (night, peak)]
    assert prices[0].shape == (len(core.controller.tick(None, night).level),)
    assert (prices[1] > 2 * prices[0]).all()
    write(tmp_path, by_co2)
    with pytest.raises(ConfigError, match="emissions are a series"):
        make_core(live_config(live_folder, agents=agents, sites=str(sites)))


def test_past_ticks_are_whole_and_in_the_order_of_the_network() -> None:
    world = load_world("3gpp-cat1-set1")
    clock = Clock(60, 1, 15, 0, np.datetime64(0, "s"), "UTC")
    load = np.array([[0.1] * 6, [0.4] * 6], np.float32)
    start = np.datetime64("2025-03-03T00:10:00", "s")  # in the middle of a tick
    trace = Trace("history", make_cells(["a", "b"]), start, 900, "UTC", load)
    ticks = list(past_ticks(trace, make_cells(["b", "new", "a"]), clock, world, 0))
    assert [str(end)[11:16] for end, _ in ticks] == ["00:30", "00:45", "01:00", "01:15", "01:30"]
    for _, carried in ticks:
        assert carried.shape == (3, 15)
        assert np.isnan(carried[1]).all()
        assert carried[0].mean() > carried[2].mean()


def test_a_core_that_learnt_knows_its_cells_from_the_start(live_folder: Path) -> None:
    core = make_core(live_config(live_folder, policy="predictive"))
    unknown = core.controller.tick(None, np.datetime64(10**9, "s")).forecast
    assert unknown is not None
    assert not unknown.known.any()
    warm = make_core(live_config(live_folder, policy="predictive"))
    ends = [np.datetime64(10**9 - 900 * k, "s") for k in range(3, 0, -1)]
    warm.warm((end, np.full((5, 15), 0.05, np.float32)) for end in ends)
    known = warm.controller.tick(None, np.datetime64(10**9, "s")).forecast
    assert known is not None
    assert known.known.all()
    assert np.allclose(np.exp(known.log_median[:, 0]), 0.05, atol=0.03)
