"""The live loop at full size: how long from what an agent saw until the controller knows that it was obeyed.

    .venv/bin/python -m benchmarks.live_loop [--ticks 500] [--flood]

200 agents with 50 cells each: real servers (gRPC over mTLS, cores, disks) in two processes, of which only the radios
are made up. The controller is that of ``quietcell run`` in a process of its own, with its SQLite journal. All of it
runs on the cores of this host, in accelerated time: a plan every 4 s, a guard tick every 0.4 s, and so a report
every 0.27 s from each agent, 17 times as many a second as in a live network. Its policy plans as ``predictive`` does
and then sends all cells to another level in every fifth tick: to three deeper ones in turn, and back to full service.

``observation_to_ack_ms_p99``: for each cell and change, from the report that completed the interval leaving the agent
to the controller having taken in the answer APPLIED, on the monotonic clock that all processes of a host share.
``decision_ms_p99``: the plan tick through the core. ``controller_rss_mb``: the highest. ``rss_slope_mb_per_100_ticks``:
of a straight line through the second half. ``all_cells_s``: from a decision to the last answer, against one
unary call per cell, 64 in flight, to the same agents while nobody else speaks to them.

``--flood`` instead: every agent sends ten times as many reports as it can be asked to, all cells are woken in every
second plan and some between plans, and an operator wakes cells by unary calls. ``flood_wake_ms_p99``: from the
decision, or from the operator's call, to the answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.live_operator import IN_FLIGHT, unary_calls_s, wake_now_and_then
from benchmarks.live_setup import TICK_S, Setup, make_certificates, write_controller_files, write_setup
from benchmarks.rows import print_row

HOSTS, AGENTS, CELLS_PER_AGENT = 2, 200, 50
SPEED, SAMPLE_S, REPORT_EVERY_MS = 225.0, 180, 60_000
WARM_TICKS = 5
FLOOD_FACTOR, FLOOD_SPEED, FLOOD_TICKS = 10, 60.0, 40
START_S, END_S, LOOK_AGAIN_S = 240.0, 20.0, 0.2


def make_setup(folder: str, ticks: int, *, is_flood: bool) -> Setup:
    """What the command line asks for."""
    return Setup(
        folder=folder,
        agents=AGENTS,
        cells_per_agent=CELLS_PER_AGENT,
        ticks=ticks,
        warm_ticks=WARM_TICKS,
        change_every=1 if is_flood else 5,
        levels=(1, 2) if is_flood else (1, 2, 3, 4),
        speed=FLOOD_SPEED if is_flood else SPEED,
        began_unix_us=time.time_ns() // 1000,
        sample_s=SAMPLE_S,
        report_every_ms=REPORT_EVERY_MS // (FLOOD_FACTOR if is_flood else 1),
        is_flood=is_flood,
    )


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
        yield [port for host in hosts for port in _ports(host)]
    finally:
        _end(hosts)


def _ports(host: subprocess.Popen[str]) -> list[int]:
    assert host.stdout is not None
    line = host.stdout.readline()
    if not line:
        raise SystemExit("an agent process ended before it served; see above")
    return [int(port) for port in json.loads(line)]


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


async def control(setup: Setup, ports: list[int]) -> list[float]:
    """Run the controller process to its end; what an operator's wakes took meanwhile in a flood. [ms]"""
    config, folder = write_controller_files(setup, ports), Path(setup.folder)
    command = [sys.executable, "-m", "benchmarks.live_controller", str(folder / "setup.json"), str(config)]
    until_s = time.monotonic() + START_S + 2 * (setup.ticks + setup.warm_ticks) * TICK_S / setup.speed
    with (folder / "controller.log").open("w") as log:
        controller = subprocess.Popen(command, text=True, stderr=log)
        ending = asyncio.Event()
        waking = asyncio.ensure_future(_operator(setup, ports, ending))
        try:
            while controller.poll() is None and time.monotonic() < until_s:
                await asyncio.sleep(LOOK_AGAIN_S)
        finally:
            ending.set()
            _end([controller])
            took_ms = await waking
    if controller.returncode:
        print((folder / "controller.log").read_text()[-4000:], file=sys.stderr)
        raise SystemExit(f"the controller ended with {controller.returncode}")
    return took_ms


async def _operator(setup: Setup, ports: list[int], ending: asyncio.Event) -> list[float]:
    return await wake_now_and_then(setup, ports, ending) if setup.is_flood else []


def _quantiles(values: Any) -> str:
    p50, p999, most = np.quantile(values, [0.5, 0.999, 1])
    return f"p50 {p50:.0f}, p99.9 {p999:.0f}, max {most:.0f} ms"


def print_loop(setup: Setup, results: Any, unary_s: float) -> None:
    """Rows of the loop."""
    told = json.loads(str(results["about"]))
    if not told["commanded"]:
        raise SystemExit(
            "the controller has commanded nothing: look at its ladder, and whether the radios are simulated"
        )
    observed, decided, rss = results["observed_ms"], results["decision_ms"], results["rss_mb"]
    about = (
        f"{setup.n_cells} cells, {setup.agents} agents, {told['plan']} plan and {told['guard']} guard ticks, "
        f"{told['reports'] / told['seconds']:.0f} reports/s"
    )
    cells = (
        f"{about}; {told['commanded']} commands, {len(observed)} applied, {told['refused']} refused, "
        f"{told['replaced']} replaced before their answer, {told['late']} without their observation, "
        f"{told['unplanned']} and {told['woken']} wakes between plans; {_quantiles(observed)}"
    )
    p99 = float(np.quantile(observed, 0.99))
    print_row("observation_to_ack_ms_p99", p99, "ms", cells, bar=("<=", 1000.0))
    p99 = float(np.quantile(decided, 0.99))
    print_row("decision_ms_p99", p99, "ms", f"{about}; {_quantiles(decided)}", bar=("<=", 300.0))
    print_row("controller_rss_mb", float(rss.max()), "MB", f"{about}; highest", bar=("<=", 1000.0))
    half = rss[len(rss) // 2 :]
    slope = 100 * float(np.polyfit(np.arange(len(half)), half, 1)[0]) if len(half) > 1 else 0.0
    print_row("rss_slope_mb_per_100_ticks", slope, "MB", f"{about}; second half", bar=("<=", 1.0))
    ours = float(np.median(results["sending_ms"])) / 1e3
    rows = f"{about}; median from a decision to its last answer, its {setup.n_cells} rows in the journal before; "
    peer = f"peer: {setup.n_cells} unary calls, {IN_FLIGHT} in flight, idle agents, no journal"
    print_row("all_cells_s", ours, "s", rows + peer, ours=ours, peer=unary_s)


def print_flood(setup: Setup, results: Any, operator_ms: list[float]) -> None:
    """The row of the flood."""
    told, woken = json.loads(str(results["about"])), results["woken_ms"]
    worst = max(float(np.quantile(woken, 0.99)), float(np.quantile(operator_ms, 0.99)))
    offered = setup.agents * 1e3 / setup.report_every_ms * setup.speed
    conditions = (
        f"{setup.n_cells} cells, {setup.agents} agents that would send {offered:.0f} reports/s, "
        f"{told['reports'] / told['seconds']:.0f} taken in; {len(woken)} of {told['woken']} wakes of the controller: "
        f"p99 {np.quantile(woken, 0.99):.0f}, {_quantiles(woken)}; {len(operator_ms)} of an operator: "
        f"p99 {np.quantile(operator_ms, 0.99):.0f}, {_quantiles(operator_ms)}"
    )
    print_row("flood_wake_ms_p99", worst, "ms", conditions, bar=("<=", 1000.0))


async def measure(setup: Setup) -> None:
    """Run everything and print all rows."""
    make_certificates(setup)
    with agents(setup) as ports:
        operator_ms = await control(setup, ports)
        unary_s = 0.0 if setup.is_flood else await unary_calls_s(setup, ports)
    with np.load(Path(setup.folder) / "results.npz") as results:
        if setup.is_flood:
            print_flood(setup, results, operator_ms)
        else:
            print_loop(setup, results, unary_s)


def main() -> None:
    """Print all rows."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--ticks", type=int, help="plan ticks that are measured")
    arguments.add_argument(
        "--flood", action="store_true", help="measure wakes under a flood of reports instead"
    )
    given = arguments.parse_args()
    ticks = given.ticks or (FLOOD_TICKS if given.flood else 500)
    with tempfile.TemporaryDirectory(prefix="live-loop-") as folder:
        asyncio.run(measure(make_setup(folder, ticks, is_flood=given.flood)))


if __name__ == "__main__":
    main()
