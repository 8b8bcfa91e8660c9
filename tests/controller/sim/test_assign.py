"""Agents have whole sites, always the same ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.errors import ConfigError
from controller.sim.assign import agent_names, assign_agents, assign_evenly, read_assignment

SITES = np.array(["west", "east", "east", "north", "west", "south"])
HEAD = "schema: quietcell.agents/1\nagents:\n"


@given(sites=st.lists(st.integers(0, 20), min_size=1, max_size=60), share=st.floats(0, 1))
def test_sites_stay_whole_and_no_agent_is_idle(sites: list[int], share: float) -> None:
    names = np.array([f"s{site}" for site in sites])
    n_sites = len(set(sites))
    n_agents = max(1, round(share * n_sites))
    found = assign_agents(names, n_agents)
    assert set(found) == set(range(n_agents))
    held = [len(set(names[found == agent])) for agent in range(n_agents)]
    assert sum(held) == n_sites
    assert max(held) - min(held) <= 1
    shuffled = np.random.default_rng(0).permutation(len(names))
    np.testing.assert_array_equal(assign_agents(names[shuffled], n_agents), found[shuffled])


def test_agents_are_named_and_none_means_one_a_site() -> None:
    shared = assign_evenly(SITES, None)
    assert shared.agents == ("site-001", "site-002", "site-003", "site-004")
    assert shared.agent_of_cell.tolist() == [3, 0, 0, 1, 3, 2]
    assert agent_names(1000)[-1] == "site-1000"


@pytest.mark.parametrize("n_agents", [0, 5])
def test_more_agents_than_sites_are_refused(n_agents: int) -> None:
    with pytest.raises(ConfigError, match=r"choose 1 \.\. 4"):
        assign_agents(SITES, n_agents)


def test_a_file_names_agents_and_their_sites(tmp_path: Path) -> None:
    path = tmp_path / "agents.yaml"
    path.write_text(HEAD + '  coast: [west, "*th"]\n  inland: [east]\n')
    shared = read_assignment(path, SITES)
    assert shared.agents == ("coast", "inland")
    assert shared.agent_of_cell.tolist() == [0, 1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('  a: ["*"]\n  b: [east]\n', "site east has another agent already"),
        ("  a: [east, west]\n", r"no agent has 2 sites \(north, south\)"),
        ('  a: ["*", mars]\n', "'mars' fits no site"),
        ("  a: east\n", "agents"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, body: str, says: str) -> None:
    path = tmp_path / "agents.yaml"
    path.write_text(HEAD + body)
    with pytest.raises(ConfigError, match=says):
        read_assignment(path, SITES)
