"""One run of real processes: a plant, two agents, a controller, and what goes wrong among them, from one seed.

    .venv/bin/python -m benchmarks.chaos_proc_run SEED [FOLDER]      # prints what happened, keeps it in FOLDER

What must hold: benchmarks/chaos_proc_watch.py, and beside it: no process ends by itself, terms as leader go up, the
journal has what agents were heard to hold, and in the end control is regained. Faults and their times follow from the
seed; what processes make of them does not. Runs in namespaces of its own (benchmarks/chaos_proc_net.py).
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

from benchmarks.chaos_proc_journal import JournalCheck
from benchmarks.chaos_proc_net import PROXY_PORT, Network, isolated, mount_disk
from benchmarks.chaos_proc_processes import Child, run_once
from benchmarks.chaos_proc_scene import AGENTS, PORT, SHOWS, SPEED, Scene, make_scene
from benchmarks.chaos_proc_watch import Watch, twice
from hw.adapters.dial import Dial
from hw.security.credentials import TlsFiles, choose_files, client_credentials

QUIETCELL = ("-m", "benchmarks.chaos_proc_main")
DISK_KB = 4096
DEEP_WITHIN_S = 60.0
AFTER_END_S = 0.5


@dataclass(slots=True)
class Result:
    """What came of a run."""

    seed: int
    violations: list[str]
    deeper: int  # times that a cell was seen to go deeper
    faults: list[str] = field(default_factory=list)
    took_s: float = 0.0


class Run:
    """The processes of a run and who watches them."""

    def __init__(self, scene: Scene, folder: Path, seed: int, disk_kb: int = DISK_KB) -> None:
        self.scene, self.folder, self.seed = scene, folder, seed
        self.random = Random(seed)
        self.net = Network()
        self.disk, self.config = folder / "disk", folder / "live.yaml"
        mount_disk(self.disk, disk_kb)
        self.journal = self.disk / "journal.db"
        self.environment = scene.environment(folder, seed)
        scene.write_config(self.config, {a: self.net.reached_at(a) for a in AGENTS}, self.journal)
        self.plant_address = f"unix:{folder / 'plant.sock'}"
        began = str(time.time())
        clock = ("--speed", str(SPEED), "--began", began)
        plant = (*QUIETCELL, "plant", str(scene.trace), "--world", str(scene.world_file))
        self.plant = self._child("plant", (*plant, "--listen", self.plant_address, *clock), None)
        shows = (*clock, "--shows", SHOWS)
        run = (*QUIETCELL, "run", "--config", str(self.config), "--json", *shows)
        self.controller = self._child("controller", run, "ctl")
        self.agents = {agent: self._agent(agent, clock) for agent in AGENTS}
        target = self.net.directly_at(AGENTS[0])
        proxy = ("-m", "benchmarks.chaos_proc_proxy", str(PROXY_PORT), target)
        self.proxy = self._child("proxy", proxy, "ctl")
        dials = {agent: Dial(agent, self.net.observed_at(agent), self._credentials) for agent in AGENTS}
        self.watch = Watch(self.plant_address, dials, SPEED)
        self.check = JournalCheck(self.journal, scene)
        self.log: list[str] = []
        self.began_s = time.monotonic()
        self.links = {agent: asyncio.Lock() for agent in AGENTS}
        self.stopping = asyncio.Lock()

    def _child(self, name: str, arguments: tuple[str, ...], space: str | None) -> Child:
        inside = [] if space is None else self.net.inside(space)
        return Child(name, arguments, inside, self.environment, self.folder)

    def _agent(self, agent: str, clock: tuple[str, ...]) -> Child:
        state = self.disk / agent
        where = ("--id", agent, "--plant", self.plant_address, "--sim", "--listen", f"0.0.0.0:{PORT}")
        rest = ("--state", str(state), "--tls", str(self.scene.tls), *clock, "--shown", self._shown())
        return self._child(agent, (*QUIETCELL, "agent", "ran", *where, *rest), self.net.space(agent))

    @staticmethod
    def _shown() -> str:
        from datetime import UTC, datetime

        return str(datetime.fromisoformat(SHOWS).replace(tzinfo=UTC).timestamp())

    def _files(self) -> TlsFiles:
        files = choose_files(self.scene.tls, "observer", False, [])
        assert files is not None
        return files

    def _credentials(self):  # type: ignore[no-untyped-def]
        return client_credentials(self._files())

    def note(self, text: str) -> None:
        """Into the log of the run."""
        self.log.append(f"{time.monotonic() - self.began_s:6.2f} {text}")

    async def command(self, *arguments: str) -> tuple[int, str]:
        """A command of an operator, from where the controller is."""
        return await run_once((*QUIETCELL, *arguments), self.net.inside("ctl"), self.environment)

    async def start(self) -> None:
        """Start everything and wait until each agent has a sleeping cell."""
        await self.plant.start()
        await self.proxy.start()
        for agent in self.agents.values():
            await agent.start()
        await self.plant.until(lambda line: line.startswith("plant:"))
        await self.watch.start()
        for agent in self.agents.values():
            await agent.until(lambda line: " serves on " in line)
        await self.controller.start()  # last, as it dials ever less often who is not there
        await self.controlled()

    async def start_controller(self) -> None:
        """Start the controller and wait until it leads."""
        said = len(self.controller.lines)
        await self.controller.start()
        await self.controller.until(lambda line: '"started"' in line, since=said)

    async def controlled(self) -> None:
        """Wait until a cell of each agent was seen to go deeper, from now on."""
        waiting, since_s = set(AGENTS), time.monotonic()
        while waiting:
            await asyncio.sleep(0.02)
            for agent in list(waiting):
                if self.watch.sites[agent].deeper_s > since_s:
                    waiting.discard(agent)
            if time.monotonic() > since_s + DEEP_WITHIN_S:
                self.watch.broken(
                    f"no cell of {', '.join(sorted(waiting))} goes deeper within {DEEP_WITHIN_S:g} s"
                )
                return

    async def finish(self) -> Result:
        """Kill the controller, see all cells wake, and judge."""
        for child in (self.plant, self.controller, *self.agents.values()):
            if not child.is_running:
                self.watch.broken(f"{child.name} has ended by itself with {child.code}: {child.errors(600)}")
        await self.controller.kill()
        self.watch.lost("the end of the run")
        longest_s = (
            max((30 + site.wake_s(len(site.has.wake_ms) - 1)) for site in self.watch.sites.values()) / SPEED
        )
        await asyncio.sleep(longest_s + AFTER_END_S)
        await self._looked_at()
        for site in self.watch.sites.values():
            for cell in site.deep():
                self.watch.broken(f"{site.has.cell_id[cell]}: below full service after the end")
        await self.watch.end()
        epochs = [event["epoch"] for event in self.controller.told("started")]
        if sorted(set(epochs)) != epochs:
            self.watch.broken(f"terms as leader do not go up: {epochs}")
        for site in self.watch.sites.values():
            self.watch.violations += twice(site)
        self.watch.violations += self.check.judge(list(self.watch.sites.values()))
        for child in (*self.agents.values(), self.plant, self.proxy):
            await child.kill()
        return Result(
            self.seed, self.watch.violations, self.watch.deeper, self.log, time.monotonic() - self.began_s
        )

    async def _looked_at(self) -> None:
        """Wait for a look at each site from now on: a plant that has no time to answer was seen last too long ago."""
        since_s = time.monotonic()
        for site in self.watch.sites.values():
            while site.last is None or site.last.asked_s < since_s:
                await asyncio.sleep(0.02)
                if time.monotonic() > since_s + DEEP_WITHIN_S:
                    self.watch.broken(f"the plant of {site.agent_id} shows nothing for {DEEP_WITHIN_S:g} s")
                    return


async def simulate(scene: Scene, folder: Path, seed: int) -> Result:
    """A run, inside of its namespaces."""
    from benchmarks.chaos_proc_faults import break_things

    run = Run(scene, folder, seed)
    await run.start()
    run.note("all is controlled")
    await break_things(run)
    run.note("all is healed")
    await run.controlled()
    run.note("all is controlled again")
    return await run.finish()


def isolated_run(
    scene: Scene, folder: Path, seed: int, *, module: str = "benchmarks.chaos_proc_run"
) -> Result:
    """A run in namespaces of its own."""
    command = [
        *isolated(),
        sys.executable,
        "-m",
        module,
        "--inside",
        str(seed),
        str(folder),
        str(scene.folder),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return Result(seed, [f"the run failed: {done.stderr[-3000:]}"], 0)
    return Result(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    if sys.argv[1] == "--inside":
        seed, folder, scene = int(sys.argv[2]), Path(sys.argv[3]), Scene(Path(sys.argv[4]))
        print(json.dumps(asdict(asyncio.run(simulate(scene, folder, seed)))))
        return
    with tempfile.TemporaryDirectory() as made:
        top = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(made)
        for name in ("scene", "run"):
            (top / name).mkdir(parents=True)
        result = isolated_run(make_scene(top / "scene"), top / "run", int(sys.argv[1]))
        print(
            *result.faults,
            *result.violations,
            f"{result.deeper} times deeper",
            f"{result.took_s:.1f} s",
            sep="\n",
        )


if __name__ == "__main__":
    main()
