"""The controller process from its configuration: credentials, journal, core, links, health, and the loop over them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path
from random import Random

from controller.live.building import make_core
from controller.live.config import LiveConfig
from controller.live.core import Resumed
from controller.live.desk import Desk
from controller.live.dialling import certificate, dial_of
from controller.live.heads import heads_path, keep_heads
from controller.live.identity import Identity, identify
from controller.live.journal import Journal
from controller.live.journal_writer import JournalWriter
from controller.live.roles import Roles
from controller.live.run import OnMessage, Pace, Runner
from controller.live.telling import Tell
from hw.adapters.dial import AgentError, Dial
from hw.adapters.health import HealthServer
from hw.adapters.ladder import SERVICE, serves_ladder
from hw.adapters.link import AgentLink, LinkLimits
from hw.adapters.operator import RadioOperator
from hw.adapters.radio_stream import radio_link
from hw.adapters.wire import Hello
from hw.ports import HostClock
from hw.security.credentials import choose_files, server_credentials
from hw.security.gate import Gate
from hw.security.limits import Limits
from hw.security.revoked import revoked_in

DAY_US = 86_400_000_000
PRUNE_EVERY_S = 3600.0
CLOSE_WITHIN_S = 5.0


async def serve(config: LiveConfig, clock: HostClock, tell: Tell, *, insecure: bool) -> tuple[int, bool]:
    """Run the controller until SIGTERM or SIGINT. Returns its exit code and whether the journal was closed.

    Raises what its parts raise at start: ConfigError, TraceError, WorldError, ModelError, PolicyError, JournalError,
    SecurityError and OSError.
    """
    files = certificate(config, config.controller, insecure=insecure)
    if files is None:
        choose_files(None, config.controller, insecure, [config.listen])
    dials = [dial_of(agent, files) for agent in config.agents if agent.kind == "ran"]
    everybody = [dial_of(agent, files) for agent in config.agents]
    seen_epoch = await _highest_epoch(dials)
    journal = Journal.open(Path(config.journal), _identity(config), unix_us=clock.unix_us())
    if journal.damage is not None:
        tell("journal_damaged", text=str(journal.damage))
    commands, latch = journal.last_commands(), journal.stop_latch()
    before = max(journal.highest_epoch(), seen_epoch)
    try:
        last = (commands.cell, commands.revision, commands.level)
        core = make_core(config, Resumed(*last, before, latch.is_set, journal.rulings()))
    except BaseException:
        journal.close()
        raise
    gate = Gate(Limits(), is_insecure=files is None, revoked=revoked_in(files))
    health = HealthServer([gate])
    hello = Hello(core.epoch, config.controller, 0)
    limits = LinkLimits(keep_s=config.lease_s / clock.speed)

    def open_links(on_message: OnMessage) -> list[AgentLink]:
        return [radio_link(dial, hello, on_message, Random(), limits=limits) for dial in dials]

    writer = JournalWriter(journal)
    pace = Pace(core.timing.tick_s, config.guard_every_s)
    runner = Runner(core, open_links, writer, clock, pace, tell, health.set_ready)
    desk = Desk(runner.inbox, core.ladder, Roles(config.roles), clock)
    runner.on_fed.append(desk.answer)
    gate.on_refused.append(desk.refused)
    health.add(SERVICE, serves_ladder(desk, is_insecure=files is None))
    port = await health.start(config.listen, None if files is None else server_credentials(files))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tell("started", controller=config.controller, epoch=core.epoch, agents=len(dials), health_port=port)
    aside = [asyncio.ensure_future(_prune(writer, clock, config.retention_days * DAY_US))]
    if files is not None:
        heads = keep_heads(writer, heads_path(Path(config.journal)), files, clock, tell, everybody)
        aside.append(asyncio.ensure_future(heads))
    code = await runner.run(stop)
    for task in aside:
        task.cancel()
    await health.stop()
    return code, await _closed(writer, tell)


async def _highest_epoch(dials: Sequence[Dial]) -> int:
    """The highest leader epoch that an agent within reach has seen, so that a lost journal leads to no lower one."""

    async def ask(dial: Dial) -> int:
        try:
            async with RadioOperator(dial) as operator:
                return (await operator.inventory()).highest_epoch
        except AgentError:
            return 0

    return max(await asyncio.gather(*map(ask, dials)), default=0)


def _identity(config: LiveConfig) -> Identity:
    named = {
        name: getattr(config, name) for name in ("cells", "trace", "world", "profile", "model", "history")
    }
    files = [Path(value).absolute() for value in named.values() if value is not None]
    return identify(config.model_dump_json(by_alias=True), files, config.seed)


async def _prune(writer: JournalWriter, clock: HostClock, retention_us: int) -> None:
    while True:
        try:
            while await writer.prune(clock.unix_us() - retention_us):
                await asyncio.sleep(0)
        except OSError:  # the loop tells it, by its own appends
            pass
        await asyncio.sleep(PRUNE_EVERY_S)


async def _closed(writer: JournalWriter, tell: Tell) -> bool:
    """Whether the journal was closed in time, with all that it was given."""
    try:
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await writer.close()
    except (OSError, TimeoutError) as error:
        tell("journal_not_closed", cause=str(error) or f"it takes longer than {CLOSE_WITHIN_S:g} s")
        return False
    return True
