"""What real processes of a chaos run are given: a small network, its world, certificates, and a policy without rest.

All times of the network are short, so that a run of a few seconds sees many plans and leases: its clock is fast, a
sample is 10 s, a plan 60 s, a lease 30 s.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from controller.config import load_profile
from controller.worlds import DEFAULT_WORLD, default_evaluation, load_spec, load_world
from hw.security.certs import init_ca, issue
from hw.security.identity import Role, make_identity
from hw.world import World
from traces.synthesis import SynthSpec, generate
from traces.writers.tidy import write_tidy

SPEED = 30.0
AGENTS = ("site-001", "site-002")
CONTROLLER = "edge-1"
LEASE_S, GUARD_S, PLAN_S, SAMPLE_S = 30, 10, 60, 10
PORT = 50051
LISTEN = "127.0.0.1:50050"  # of the controller, at which an operator stops it too
SHOWS = "2025-03-03T00:00:00"  # begin of the trace
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Scene:
    """Files that all runs share. Made once; no process changes them."""

    folder: Path

    @property
    def tls(self) -> Path:
        """Certificates."""
        return self.folder / "tls"

    @property
    def trace(self) -> Path:
        """Traffic that is true."""
        return self.folder / "trace"

    @property
    def world_file(self) -> Path:
        """Hardware, with times of its own."""
        return self.folder / "world.yaml"

    @property
    def profile_file(self) -> Path:
        """A profile whose guards let the policy do what it wants."""
        return self.folder / "profile.yaml"

    def world(self) -> World:
        """The hardware."""
        return load_world(str(self.world_file)).world

    def environment(self, run_folder: Path, seed: int) -> dict[str, str]:
        """Of the processes of a run, which know nothing of a TLS or time zone of ours."""
        path = [str(self.folder / "plugin"), str(ROOT), str(ROOT / "proto")]
        return os.environ | {
            "PYTHONPATH": os.pathsep.join(path),
            "PYTHONUNBUFFERED": "1",
            "CHAOS_SEED": str(seed),
            "CHAOS_FOLDER": str(run_folder),
            "CHAOS_CLOCK": str(run_folder / "operator.clock"),
        }

    def write_config(self, path: Path, addresses: dict[str, str], journal: Path) -> None:
        """What a controller is told. ``addresses`` by agent."""
        told = {
            "schema": "quietcell.live/1",
            "controller": CONTROLLER,
            "agents": [{"id": agent, "address": address} for agent, address in addresses.items()],
            "trace": str(self.trace),
            "world": str(self.world_file),
            "profile": str(self.profile_file),
            "policy": "chaos-restless",
            "ladder": {"stage": "act"},
            "lease_s": LEASE_S,
            "guard_every_s": GUARD_S,
            "journal": str(journal),
            "tls": str(self.tls),
            "listen": LISTEN,
        }
        path.write_text(json.dumps(told))


def make_scene(folder: Path) -> Scene:
    """Write the files of a scene into an empty folder."""
    scene = Scene(folder)
    spec = SynthSpec(
        n_sites=len(AGENTS),
        sectors=1,
        layers=3,
        days=1,
        step_s=300,
        seed=7,
        median_load=0.05,
        start=SHOWS[:10],
        time_zone="UTC",
    )
    write_tidy(generate(spec), scene.trace)
    _write_world(scene.world_file)
    _write_profile(scene.profile_file)
    init_ca(scene.tls)
    for agent in AGENTS:
        issue(scene.tls, make_identity(Role.AGENT, agent), ["127.0.0.1"])
    issue(scene.tls, make_identity(Role.CONTROLLER, CONTROLLER), ["127.0.0.1"])
    issue(scene.tls, make_identity(Role.OPERATOR, "observer"))
    issue(scene.tls, make_identity(Role.ADMIN, "chief"))
    plugin = folder / "plugin" / "chaos_restless-1.dist-info"
    plugin.mkdir(parents=True)
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: chaos-restless\nVersion: 1\n")
    entry = "[quietcell.policies]\nchaos-restless = benchmarks.chaos_proc_planner:Restless\n"
    (plugin / "entry_points.txt").write_text(entry)
    return scene


def _write_world(path: Path) -> None:
    evaluation = default_evaluation().model_dump(mode="json")
    evaluation["traffic_path"] |= {"sample_s": SAMPLE_S, "correlation_s": 50}
    evaluation["plan_interval_s"] = PLAN_S
    evaluation["carrier_shutdown"]["wake_s"] = SAMPLE_S
    evaluation["deep_dormancy"]["wake_s"] = 2 * SAMPLE_S
    spec = load_spec(DEFAULT_WORLD).model_dump(mode="json", by_alias=True, exclude_none=True)
    path.write_text(json.dumps(spec | {"name": "chaos", "evaluation": evaluation}))


def _write_profile(path: Path) -> None:
    profile = load_profile("balanced").model_dump(mode="json", by_alias=True)
    profile["guards"] |= {
        "dwell_s": 0,
        "least_awake_s": 0,
        "max_changes_per_cell_day": 1_000_000,
        "max_reversals": 1_000_000,
    }
    path.write_text(json.dumps(profile | {"name": "chaos"}))
