"""What goes wrong in a chaos run of real processes: each fault is injected, lasts for a while, and is healed.

The watch is told that nobody can renew after that is so, and that somebody may again before that can be.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from benchmarks.chaos_proc_damage import damage
from benchmarks.chaos_proc_processes import START_WITHIN_S
from benchmarks.chaos_proc_scene import AGENTS, PLAN_S, SPEED
from hw.sim_plant.faults import SLOW_WAKE, Fault
from hw.sim_plant.link import PlantLink

if TYPE_CHECKING:
    from benchmarks.chaos_proc_run import Run

LENGTH_S = 4.0  # in which faults begin
HANGS_WITHIN_S = 90.0
FILL_KB = 64


def _for_s(run: Run, least_s: float, most_s: float) -> Awaitable[None]:
    return asyncio.sleep(run.random.uniform(least_s, most_s))


async def kill_controller(run: Run, _agent: str) -> None:
    """kill -9 of the controller."""
    async with run.controller.lock:
        await run.controller.kill()
        run.watch.lost("the controller was killed")
        await _for_s(run, 0.0, 2.5)
        run.watch.back("the controller was killed")
        await run.controller.start()


async def kill_agent(run: Run, agent: str) -> None:
    """kill -9 of an agent."""
    async with run.agents[agent].lock:
        await run.agents[agent].kill()
        run.watch.lost("its agent was killed", agent)
        await _for_s(run, 0.0, 2.5)
        run.watch.back("its agent was killed", agent)
        await run.agents[agent].start()


async def kill_both(run: Run, agent: str) -> None:
    """kill -9 of a controller and an agent."""
    await asyncio.gather(kill_controller(run, agent), kill_agent(run, agent))


async def freeze_controller(run: Run, _agent: str) -> None:
    """SIGSTOP of the controller."""
    async with run.controller.lock:
        run.controller.send(signal.SIGSTOP)
        run.watch.lost("the controller stands still")
        await _for_s(run, 0.3, 3.0)
        run.watch.back("the controller stands still")
        run.controller.send(signal.SIGCONT)


async def freeze_agent(run: Run, agent: str) -> None:
    """SIGSTOP of an agent."""
    async with run.agents[agent].lock:
        run.agents[agent].send(signal.SIGSTOP)
        run.watch.lost("its agent stands still", agent)
        await _for_s(run, 0.3, 3.0)
        run.watch.back("its agent stands still", agent)
        run.agents[agent].send(signal.SIGCONT)


async def hang_planner(run: Run, _agent: str) -> None:
    """The planner hangs; streams live on."""
    async with run.controller.lock:
        hang, hung = run.folder / "hang", run.folder / "hung"
        hung.unlink(missing_ok=True)
        hang.touch()
        async with asyncio.timeout(HANGS_WITHIN_S):
            while not hung.exists():
                await asyncio.sleep(0.02)
        run.watch.lost("the planner hangs")
        await _for_s(run, 0.3, 3.0)
        run.watch.back("the planner hangs")
        hang.unlink()


async def link_down(run: Run, agent: str) -> None:
    """The link to an agent is down."""
    async with run.links[agent]:
        run.net.set_link(agent, up=False)
        run.watch.lost("its link is down", agent)
        await _for_s(run, 0.3, 2.5)
        run.watch.back("its link is down", agent)
        run.net.set_link(agent, up=True)


async def partition(run: Run, agent: str) -> None:
    """All packets are lost, and nobody is told."""
    async with run.links[agent]:
        run.net.lose(agent, 100)
        run.watch.lost("its packets are lost", agent)
        await _for_s(run, 0.3, 2.5)
        run.watch.back("its packets are lost", agent)
        run.net.lose(agent, 0)


async def lossy_link(run: Run, agent: str) -> None:
    """Some packets are lost."""
    async with run.links[agent]:
        run.net.lose(agent, run.random.choice((10, 30, 60)))
        await _for_s(run, 0.5, 3.0)
        run.net.lose(agent, 0)


async def slow_link(run: Run, agent: str) -> None:
    """Little goes through."""
    async with run.links[agent]:
        run.net.limit(agent, run.random.choice((16, 64, 256)))
        await _for_s(run, 0.5, 3.0)
        run.net.limit(agent, 0)


async def latency(run: Run, _agent: str) -> None:
    """What passes the proxy is held up; what was held up arrives after what it was decided on is over."""
    for _ in range(run.random.choice((1, 3))):
        run.proxy.say(str(run.random.choice((50, 300, 900, 2500))))
        await _for_s(run, 0.3, 1.5)
    run.proxy.say("0")


async def disk_full(run: Run, _agent: str) -> None:
    """The disk of journal and agents is full."""
    full = run.disk / "full"
    with full.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(FILL_KB * 1024))
        except OSError:
            run.note("no space left")
    await _for_s(run, 0.5, 3.0)
    full.unlink()
    for child in (run.controller, *run.agents.values()):  # who was started meanwhile may have found no room
        async with child.lock:
            if not child.is_running:
                run.note(f"{child.name} had ended with {child.code}: {child.errors(200)}")
                await child.start()


async def damage_journal(run: Run, _agent: str) -> None:
    """The journal is damaged while the controller is down; what that loses must be told."""
    async with run.controller.lock:
        await run.controller.kill()
        run.watch.lost("the controller was killed")
        there = run.journal.exists()  # not while a controller that was killed had set a damaged one aside
        before, heard = run.check.decided() if there else set(), len(run.controller.told("journal_damaged"))
        run.note(damage(run.journal, run.random) if there else "no journal to damage")
        run.watch.back("the controller was killed")
        await run.start_controller()
        run.check.lost |= before - run.check.decided()
        if run.check.lost and len(run.controller.told("journal_damaged")) == heard:
            run.watch.broken(f"the journal has lost {len(run.check.lost)} decisions and does not say so")


async def wall_clock(run: Run, agent: str) -> None:
    """Wall clocks of the controller and an agent are set, while they run.

    A controller whose clock was set back waits for the time of its last plan, which here is until it is restarted.
    """
    for child in (run.controller, run.agents[agent]):
        child.set_wall_clock(run.random.choice((-86_400, -600, -3, 3, 600, 86_400)))
    await _for_s(run, 0.5, 3.0)
    for child in (run.controller, run.agents[agent]):
        child.set_wall_clock(0)
    await kill_controller(run, agent)


async def lying_agent(run: Run, agent: str) -> None:
    """Another agent takes the place of one, with its certificate, and lies."""
    child = run.agents[agent]
    async with child.lock:
        await child.kill()
        honest = child.arguments
        child.arguments = ["-m", "benchmarks.chaos_proc_liar", *honest[2:]]
        run.watch.sites[agent].lies = True
        said = len(child.lines)
        await child.start()
        await child.until(lambda line: " serves on " in line, since=said)
        await _for_s(run, 1.0, 3.0)
        await child.kill()
        child.arguments, said = honest, len(child.lines)
        await child.start()
        await child.until(lambda line: " serves on " in line, since=said)  # the last lie was heard long ago
        run.watch.sites[agent].lies = False


async def plant_fault(run: Run, agent: str) -> None:
    """The radios do not obey, or what they measure is wrong."""
    fault = run.random.choice([fault for fault in Fault if fault is not Fault.OUTAGE])
    link = PlantLink(run.plant_address)
    try:
        if fault is Fault.SLOW_WAKE:
            run.watch.sites[agent].slow = SLOW_WAKE
        run.note(fault.name.lower().replace("_", "-"))
        await link.inject(agent, fault)
        await _for_s(run, 0.3, 3.0)
        await link.inject(agent, fault, heals=True)
    finally:
        await link.close()


async def stop(run: Run, agent: str) -> None:
    """An operator stops all; agents and controller die and come back; an administrator clears the stop."""
    if run.stopping.locked():
        return
    async with run.stopping:
        config, began_s = ("--config", str(run.config)), asyncio.get_running_loop().time()
        _, printed = await run.command("stop", *config, "--reason", "chaos", "--json")
        if not printed.startswith("{"):
            run.watch.broken(f"stop has failed: {printed}")
            return
        answers = json.loads(printed)
        confirmed = answers["confirmed"]
        run.note(f"stopped {', '.join(confirmed)} in {asyncio.get_running_loop().time() - began_s:.1f} s")
        for one in confirmed:
            run.watch.stopped(one)
        said = len(run.controller.lines)
        await kill_both(run, agent)
        async with asyncio.timeout(START_WITHIN_S):  # something else may kill it before it has started
            while not run.controller.told("started", since=said):
                await asyncio.sleep(0.05)
        await asyncio.sleep(3 * PLAN_S / SPEED)  # in which it would let cells sleep
        for one in confirmed:
            run.watch.cleared(one)
        clear = ("stop", *config, "--clear", "--reason", "over", "--as", "chief", "--json")
        for _ in range(20):  # an agent may be down, or its disk full
            code, printed = await run.command(*clear)
            if code == 0:
                return
            await asyncio.sleep(0.2)
        run.watch.broken(f"the stop cannot be cleared: {printed}")


FAULTS: tuple[Callable[[Run, str], Awaitable[None]], ...] = (
    kill_controller, kill_agent, kill_both, freeze_controller, freeze_agent, hang_planner, link_down, partition,
    lossy_link, slow_link, latency, disk_full, damage_journal, wall_clock, lying_agent, plant_fault, plant_fault, stop,
)  # fmt: skip


async def break_things(run: Run) -> None:
    """Some faults, which overlap; all are healed when this returns."""
    faults = [FAULTS[run.seed % len(FAULTS)], *run.random.choices(FAULTS, k=run.random.choice((1, 2, 3)))]
    await asyncio.gather(*(_break(run, fault) for fault in faults))


async def _break(run: Run, fault: Callable[[Run, str], Awaitable[None]]) -> None:
    agent = run.random.choice(AGENTS)
    await _for_s(run, 0.0, LENGTH_S)
    run.note(f"{fault.__name__} {agent}")
    await fault(run, agent)
    run.note(f"{fault.__name__} {agent} is over")
