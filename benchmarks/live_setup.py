"""What the processes of the live benchmark agree on, and the files of their controller."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from hw.ports import HostClock
from hw.security.certs import init_ca, issue
from hw.security.identity import Identity, Role

LEVELS = ("full", "symbol", "rf_channel_32", "rf_channel_16", "rf_channel_8")
SYMBOL_LEVEL = 1  # full service
CONTROLLER, OPERATOR, POLICY = "edge-1", "anna", "alternating"
TICK_S = 900
GUARD_PER_TICK = 10


@dataclass(frozen=True, slots=True)
class Setup:
    """One run. Times with an ``_s`` or ``_ms`` are on the agents' clock, which runs ``speed`` times as fast."""

    folder: str
    agents: int
    cells_per_agent: int
    ticks: int  # plan ticks that are measured
    warm_ticks: int  # before them
    change_every: int  # plan ticks from one in which all cells change to the next
    levels: tuple[int, ...]  # that all cells take in turn
    speed: float
    began_unix_us: int
    sample_s: int
    report_every_ms: int  # where no sample is due
    is_flood: bool  # whether traffic jumps in some cells in every tick, so that they are woken between plans

    def clock(self) -> HostClock:
        """The clock of agents and controller."""
        return HostClock(self.speed, self.began_unix_us)

    @property
    def n_cells(self) -> int:
        """Cells of all agents."""
        return self.agents * self.cells_per_agent


def read_setup(path: Path) -> Setup:
    """As ``write_setup`` wrote it."""
    told = json.loads(path.read_text())
    return Setup(**told | {"levels": tuple(told["levels"])})


def write_setup(setup: Setup) -> Path:
    """Keep a setup where all processes find it."""
    path = Path(setup.folder) / "setup.json"
    path.write_text(json.dumps(asdict(setup)))
    return path


def agent_name(number: int) -> str:
    """Identity of an agent."""
    return f"site-{number:03}"


def cell_names(number: int, n_cells: int) -> list[str]:
    """Names of an agent's cells."""
    return [f"{agent_name(number)}-{place:02}" for place in range(n_cells)]


def make_certificates(setup: Setup) -> None:
    """A CA and a certificate for everybody."""
    folder = Path(setup.folder) / "tls"
    folder.mkdir()
    init_ca(folder)
    names = [(Role.AGENT, agent_name(number)) for number in range(setup.agents)]
    for role, name in (*names, (Role.CONTROLLER, CONTROLLER), (Role.OPERATOR, OPERATOR)):
        issue(folder, Identity(role, name), [] if role is Role.OPERATOR else ["127.0.0.1"])


def write_controller_files(setup: Setup, ports: Sequence[int]) -> Path:
    """Cells, world, profile, plug-in policy and configuration of the controller. Returns the last."""
    folder = Path(setup.folder)
    rows = [
        f"{cell},{agent_name(number)}"
        for number in range(setup.agents)
        for cell in cell_names(number, setup.cells_per_agent)
    ]
    (folder / "cells.csv").write_text("\n".join(["cell_id,site_id", *rows, ""]))
    _write_world(folder / "world.yaml", setup.sample_s)
    _write_profile(folder / "profile.yaml")
    _write_plug_in(folder / "plug-in")
    agents = [{"id": agent_name(number), "address": f"127.0.0.1:{port}"} for number, port in enumerate(ports)]
    told = {
        "schema": "quietcell.live/1",
        "controller": CONTROLLER,
        "agents": agents,
        "cells": str(folder / "cells.csv"),
        "time_zone": "UTC",
        "world": str(folder / "world.yaml"),
        "profile": str(folder / "profile.yaml"),
        "policy": POLICY,
        "lease_s": TICK_S // 2,
        "guard_every_s": TICK_S // GUARD_PER_TICK,
        "journal": str(folder / "journal.db"),
        "tls": str(folder / "tls"),
        "listen": "127.0.0.1:0",
        "ladder": {"stage": "act"},
    }
    path = folder / "live.yaml"
    path.write_text(yaml.safe_dump(told))
    return path


def _shipped(room: str, name: str) -> Any:
    return yaml.safe_load(files(room).joinpath(name).read_text())


def _write_world(path: Path, sample_s: int) -> None:
    """The shipped world with another length of a sample."""
    world = _shipped("hw", "catalogue/3gpp-cat1-set1.yaml")
    evaluation = _shipped("hw", "catalogue/evaluation.yaml")
    evaluation["traffic_path"]["sample_s"] = sample_s
    path.write_text(yaml.safe_dump(world | {"evaluation": evaluation}))


def _write_profile(path: Path) -> None:
    """The shipped profile with guards that let all cells change as often as the benchmark wants."""
    profile = _shipped("policies", "profiles/balanced.yaml")
    profile["guards"] |= {
        "max_changes_per_cell_day": 1_000_000,
        "dwell_s": 0,
        "least_awake_s": 0,
        "reversal_window_s": 0,
        "lockout_s": 0,
    }
    path.write_text(yaml.safe_dump(profile | {"name": "restless"}))


def _write_plug_in(folder: Path) -> None:
    """A distribution with the policy of the benchmark, as installed plug-ins are found."""
    info = folder / "quietcell_live_benchmark-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: quietcell-live-benchmark\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[quietcell.policies]\n{POLICY} = benchmarks.live_policy:make_planner\n"
    )
