"""How soon all cells are awake once the controller stops, dies, hangs or loses its host: real processes, many trials.

    .venv/bin/python -m benchmarks.chaos_proc_trials [--trials N] [--kind KIND ...]

Each trial lets all cells go as deep as they may, waits a while, and does to the controller what its kind says. Awake is
what the plant shows, looked at so often that a look adds a third of a second of the simulation. Each kind has processes
and a disk of its own. Rows of the four that are not told to stop: the longest time over all trials and agents, in time
of the simulation, with lease and wake time as its bar; ``peer`` is that sum, so ``ratio`` is the share of it. Graceful:
the longest time of the host from SIGTERM to the controller's word that every agent has confirmed its wakes.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.chaos_proc_net import isolated, missing
from benchmarks.chaos_proc_run import Run
from benchmarks.chaos_proc_scene import AGENTS, LEASE_S, PLAN_S, SPEED, Scene, make_scene
from benchmarks.rows import print_row

ASLEEP_WITHIN_S = 120.0  # of the host, with the start of a controller
ACK_S = 5.0
LOOK_S = 0.01
GRACEFUL = "graceful"
DISK_KB = 64_000  # on a full disk a controller only wakes, as it should


async def kill(run: Run) -> float:
    """kill -9."""
    began_s = time.monotonic()
    await run.controller.kill()
    return began_s


async def lose_host(run: Run) -> float:
    """The controller's host is gone: no end of a connection is heard."""
    began_s = time.monotonic()
    for agent in AGENTS:
        run.net.set_link(agent, up=False)
    await run.controller.kill()
    return began_s


async def freeze(run: Run) -> float:
    """SIGSTOP."""
    run.controller.send(signal.SIGSTOP)
    return time.monotonic()


async def hang(run: Run) -> float:
    """The planner hangs, streams live on."""
    hung = run.folder / "hung"
    hung.unlink(missing_ok=True)
    (run.folder / "hang").touch()
    while not hung.exists():
        await asyncio.sleep(LOOK_S / 4)
    return time.monotonic()


async def mend(run: Run) -> None:
    """Undo all of these, and start the controller if it is gone."""
    for agent in AGENTS:
        run.net.set_link(agent, up=True)
    (run.folder / "hang").unlink(missing_ok=True)
    run.controller.send(signal.SIGCONT)
    if not run.controller.is_running:
        await run.controller.start()


KINDS: dict[str, Callable[[Run], Awaitable[float]]] = {
    "kill": kill,
    "host_loss": lose_host,
    "sigstop": freeze,
    "hung_planner": hang,
}


async def asleep(run: Run) -> None:
    """Wait until the sleepers of all agents are as deep as they may be."""
    deepest = {
        agent: tuple(max(int(k) for k in row.nonzero()[0]) for row in site.has.allowed)
        for agent, site in run.watch.sites.items()
    }
    async with asyncio.timeout(ASLEEP_WITHIN_S):
        while any(
            (last := site.last) is None or last.level != deepest[a] for a, site in run.watch.sites.items()
        ):
            await asyncio.sleep(LOOK_S)


async def awake_s(run: Run, began_s: float) -> float:
    """Time of the simulation until all cells are awake, from a moment on. Infinite: they are not. [s]"""
    sites = run.watch.sites.values()
    longest_s = 2 * (LEASE_S + max(site.wake_s(len(site.has.wake_ms) - 1) for site in sites)) / SPEED
    latest_s = {site.agent_id: 0.0 for site in sites}
    waiting = set(AGENTS)
    while waiting:
        await asyncio.sleep(LOOK_S)
        for agent in list(waiting):
            site = run.watch.sites[agent]
            if site.last is not None and site.last.asked_s > began_s and not site.deep():
                latest_s[agent] = site.last.asked_s  # awake by then: the look before still saw one asleep
                waiting.discard(agent)
        if time.monotonic() > began_s + longest_s:
            return float("inf")
    return (max(latest_s.values()) - began_s) * SPEED


async def trials(scene: Scene, folder: Path, kind: str, count: int) -> None:
    """All trials of a kind, inside of their namespaces."""
    run = Run(scene, folder, 0, DISK_KB)
    run.watch.look_every_s = LOOK_S
    (folder / "deepest").touch()
    await run.start()
    wake_s = max(
        float(site.has.wake_ms[site.has.allowed.any(0)].max()) / 1000 for site in run.watch.sites.values()
    )
    term_s = LEASE_S + wake_s
    shared = (
        f"{len(AGENTS)} agents, lease {LEASE_S} s, longest wake time {wake_s:g} s, {SPEED:g} times real time"
    )
    if kind == GRACEFUL:
        await _graceful(run, count, shared)
    else:
        await _ungraceful(run, kind, count, term_s, shared)
    await run.watch.end()


async def _ungraceful(run: Run, kind: str, count: int, term_s: float, shared: str) -> None:
    longest_s = 0.0
    for trial in range(count):
        await mend(run)
        await asleep(run)
        await asyncio.sleep(run.random.uniform(0, PLAN_S / SPEED))
        taken_s = await awake_s(run, await KINDS[kind](run))
        longest_s = max(longest_s, taken_s)
        print(f"{kind} {trial}: awake after {taken_s:.1f} s", file=sys.stderr)
    conditions = f"{count} trials; {shared}; in time of the simulation"
    print_row(
        f"awake_after_{kind}_s_max", round(longest_s, 2), "s", conditions,
        ours=longest_s, peer=term_s, bar=("<=", term_s),
    )  # fmt: skip


async def _graceful(run: Run, count: int, shared: str) -> None:
    longest_s, unconfirmed = 0.0, 0
    for _ in range(count):
        await mend(run)
        await asleep(run)
        said, began_s = len(run.controller.lines), time.monotonic()
        run.controller.send(signal.SIGTERM)
        await run.controller.until(lambda line: '"stopped"' in line, since=said)
        (stopped,) = run.controller.told("stopped", since=said)
        longest_s = max(longest_s, stopped["at_s"] - began_s)
        unconfirmed += bool(stopped["unconfirmed"])
        await run.controller.ended()
    conditions = (
        f"{count} trials; {shared}; in real time; {unconfirmed} trials with an agent that did not confirm"
    )
    print_row("graceful_stop_ack_s_max", round(longest_s, 3), "s", conditions, bar=("<=", ACK_S))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=100, help="trials of each kind; default 100, an hour")
    kinds = (*KINDS, GRACEFUL)
    parser.add_argument(
        "--kind", action="append", choices=kinds, help="only these; more than one may be given"
    )
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside is not None:
        scene, folder = Scene(asked.inside / "scene"), asked.inside / "run"
        asyncio.run(trials(scene, folder, asked.kind[0], asked.trials))
        return
    why = missing()
    if why:
        raise SystemExit(f"no trials with real processes: {why}")
    for kind in asked.kind or kinds:
        with tempfile.TemporaryDirectory() as made:
            for name in ("scene", "run"):
                (Path(made) / name).mkdir()
            make_scene(Path(made) / "scene")
            module = (sys.executable, "-m", "benchmarks.chaos_proc_trials", "--trials", str(asked.trials))
            subprocess.run([*isolated(), *module, "--kind", kind, "--inside", made], check=True)


if __name__ == "__main__":
    main()
