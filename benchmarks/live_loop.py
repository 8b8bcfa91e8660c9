"""The live loop at full size: how long from what an agent saw until the controller knows that it obeyed.

.venv/bin/python -m benchmarks.live_loop [--ticks 500]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.live_setup import Setup, make_certificates, write_controller_files, write_setup
from benchmarks.rows import print_row

HOSTS, AGENTS, CELLS_PER_AGENT = 2, 200, 50
SPEED, SAMPLE_S = 225.0, 180
START_S, END_S = 240.0, 20.0


@contextmanager
def agents(setup: Setup) -> Iterator[list[int]]:
    """Agent processes; yields the port of each agent."""
    path, share = write_setup(setup), setup.agents // HOSTS
    hosts = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.live_agents", str(path), str(share * host), str(share)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for host in range(HOSTS)
    ]
    try:
        ports: list[int] = []
        for host in hosts:
            assert host.stdout is not None
            ports += json.loads(host.stdout.readline())
        yield ports
    finally:
        _end(hosts)


def _end(processes: list[subprocess.Popen[str]]) -> None:
    for one in processes:
        if one.poll() is None:
            one.send_signal(signal.SIGTERM)
    for one in processes:
        try:
            one.wait(END_S)
        except subprocess.TimeoutExpired:
            one.kill()
            one.wait()


def control(setup: Setup, ports: list[int]) -> None:
    """Run the controller process to its end."""
    config = write_controller_files(setup, ports)
    path = Path(setup.folder) / "setup.json"
    controller = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.live_controller", str(path), str(config)], text=True
    )
    try:
        ticks = setup.ticks + setup.warm_ticks
        if controller.wait(START_S + 2 * ticks * 900 / setup.speed):
            raise SystemExit("the controller failed")
    finally:
        _end([controller])


def main() -> None:
    """Print all rows."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--ticks", type=int, default=500)
    arguments.add_argument("--speed", type=float, default=SPEED)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="live-loop-") as folder:
        setup = Setup(
            folder, AGENTS, CELLS_PER_AGENT, given.ticks, 5, 5, (1, 2, 3, 4), given.speed,
            time.time_ns() // 1000, SAMPLE_S, 2 * SAMPLE_S * 1000, jumps=False,
        )  # fmt: skip
        make_certificates(setup)
        with agents(setup) as ports:
            control(setup, ports)
        results = np.load(Path(folder) / "results.npz")
        about = json.loads(str(results["about"]))
        print(about, os.path.getsize(Path(folder) / "journal.db"))
        observed = results["observed_ms"]
        for name in ("observed_ms", "woken_ms", "decision_ms", "rss_mb", "sending_ms"):
            v = results[name]
            if len(v):
                print(name, len(v), np.quantile(v, [0.5, 0.9, 0.99, 0.999, 1]))


if __name__ == "__main__":
    main()
