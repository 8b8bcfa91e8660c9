"""A configuration that is read again: constraints hold from the next plan, a bad one changes nothing and says why."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from controller.errors import ConfigError
from controller.live.building import constraints_text
from controller.live.config import LiveConfig
from controller.live.events import Constrained, Event, Taken
from controller.live.journal_codec import Decoder, Encoder
from controller.live.reload import Reloader, differences
from tests.controller.live.conftest import MakeCore
from tests.controller.live.doubles import Harness, live_config, two_agents
from tests.controller.live.loop_doubles import Told
from tests.hw.adapters.agent_double import run, until

QUIET = (0.02, 0.01, 0.02, 0.02, 0.01)
PROTECTED = {"constraints": {"protected": ["a1"]}}


def _reload(config: LiveConfig, new: LiveConfig | ConfigError, constrain: Any) -> tuple[Told, list[Event]]:
    told, put = Told(), list[Event]()

    def reread() -> LiveConfig:
        if isinstance(new, ConfigError):
            raise new
        return new

    async def test() -> None:
        reloader = Reloader(config, reread, constrain, put.append, told)
        asked = asyncio.Event()
        task = asyncio.ensure_future(reloader.run(asked))
        for _ in range(2):  # the second finds nothing new among what holds at once
            before = len(told.lines)
            asked.set()
            await until(lambda before=before: told.lines[before:] and told.lines[-1][0].startswith("reload"))
        task.cancel()

    run(test())
    return told, put


def test_constraints_are_fed_once_and_the_rest_needs_a_restart(
    live_folder: Path, live_core: MakeCore
) -> None:
    old, new = live_config(live_folder), live_config(live_folder, lease_s=90, profile="gentle", **PROTECTED)
    told, put = _reload(old, new, live_core().constrain)
    first = told.of("changed")[:3]
    assert [(c["field"], c["before"], c["after"], c["counts"]) for c in first] == [
        ("profile", "null", '"gentle"', "after a restart"),
        ("constraints", "null", first[1]["after"], "from the next plan"),
        ("lease_s", "60", "90", "after a restart"),
    ]
    assert [c["field"] for c in told.of("changed")[3:]] == ["profile", "lease_s"]
    assert put == [Constrained(constraints_text(new))]
    assert told.of("reloaded")[0] == {"changed": 3, "need_restart": 2}


@pytest.mark.parametrize(
    ("new", "cause"),
    [
        (ConfigError("live.yaml:3: lease_s: must be above 0"), "live.yaml:3: lease_s"),
        ({"profile": "no-such-profile"}, "no-such-profile"),
        ({"world": "moon"}, "moon"),
        ({"constraints": {"protected": ["zz9"]}}, "constraints.protected"),
        ({"model": "none.onnx"}, "none.onnx"),
    ],
)
def test_a_bad_configuration_changes_nothing_and_says_why(
    live_folder: Path, live_core: MakeCore, new: Any, cause: str
) -> None:
    good = PROTECTED if not isinstance(new, dict) or "constraints" not in new else {}
    made = new if isinstance(new, ConfigError) else live_config(live_folder, **(good | new))
    told, put = _reload(live_config(live_folder), made, live_core().constrain)
    assert put == []
    assert (told.of("changed"), told.of("reloaded")) == ([], [])
    assert cause in told.of("reload_refused")[0]["cause"]


def test_an_unchanged_file_is_said_to_be_so(live_folder: Path, live_core: MakeCore) -> None:
    told, put = _reload(live_config(live_folder), live_config(live_folder), live_core().constrain)
    assert (put, told.of("changed")) == ([], [])
    assert told.of("reloaded")[0] == {"changed": 0, "need_restart": 0}


def test_differences_are_named_by_their_path(live_folder: Path) -> None:
    old = live_config(live_folder, **PROTECTED)
    new = live_config(live_folder, constraints={"protected": ["a1"], "emergency_lock": ["b1"]})
    assert list(differences(old, new)) == [("constraints.emergency_lock", "[]", '["b1"]')]


def test_new_constraints_wake_a_cell_with_the_next_plan(live_core: MakeCore, restless: Path) -> None:
    harness = Harness(live_core(profile=str(restless)), two_agents(), lambda second: QUIET)
    harness.connect()
    harness.run(3000)
    assert harness.core.leases.level[1] > 1
    harness.feed(Constrained(constraints_text(live_config("x", **PROTECTED))))
    harness.run(3590)
    assert harness.core.leases.level[1] > 1  # the plan that holds was made without them
    harness.run(3630)
    assert harness.core.leases.level[1] == 1
    harness.feed(Constrained(""))
    harness.run(3600 + 2 * 900)
    assert harness.core.leases.level[1] > 1


def test_the_journal_keeps_the_event() -> None:
    taken = Taken(7, Constrained('{"protected": ["a1"]}'))
    assert Decoder().decode(Encoder().encode([taken]), is_key=True) == [taken]
