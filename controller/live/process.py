"""The controller process from its configuration: credentials, journal, core, links, health, and the loop over them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from controller.live.building import make_core
from controller.live.config import LiveConfig
from controller.live.control_view import LiveView
from controller.live.core import LiveCore, Resumed
from controller.live.desk import Desk
from controller.live.dialling import certificate, dial_of
from controller.live.events import Alarm
from controller.live.heads import heads_path, keep_heads
from controller.live.identity import Identity, identify
from controller.live.journal import Journal
from controller.live.journal_writer import JournalWriter
from controller.live.looking import look
from controller.live.metrics import Metrics
from controller.live.reload import Reloader
from controller.live.roles import Roles
from controller.live.run import OnMessage, Pace, Runner
from controller.live.scraping import scraped_at
from controller.live.telling import Tell
from controller.live.watchdog import Notifier
from controller.live.watching import Watcher
from hw.adapters import control_server, ladder
from hw.adapters.dial import AgentError, Dial
from hw.adapters.health import HealthServer
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


async def serve(
    config: LiveConfig,
    clock: HostClock,
    tell: Tell,
    *,
    insecure: bool,
    reread: Callable[[], LiveConfig] | None = None,
) -> tuple[int, bool]:
    """Run the controller until SIGTERM or SIGINT. Returns its exit code and whether the journal was closed.

    ``reread`` gives the configuration anew at SIGHUP; without it that signal changes nothing.

    Raises what its parts raise at start: ConfigError, TraceError, WorldError, ModelError, PolicyError, JournalError,
    SecurityError and OSError.
    """
    loop, stop, changed = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    for number, event in ((signal.SIGTERM, stop), (signal.SIGINT, stop), (signal.SIGHUP, changed)):
        loop.add_signal_handler(number, event.set)
    files = certificate(config, config.controller, insecure=insecure)
    if files is None:
        choose_files(None, config.controller, insecure, [config.listen])
    dials = [dial_of(agent, files) for agent in config.agents if agent.kind == "ran"]
    everybody = [dial_of(agent, files) for agent in config.agents]
    seen_epoch = await _highest_epoch(dials)
    journal = Journal.open(Path(config.journal), _identity(config), unix_us=clock.unix_us())
    if journal.damage is not None:
        tell("journal_damaged", text=str(journal.damage))
    try:
        core = make_core(config, _resumed(journal, seen_epoch))
    except BaseException:
        journal.close()
        raise
    watcher = _watcher(config, core, journal, clock)
    view = LiveView(config, core.fleet, watcher, clock)
    gate = Gate(Limits(), is_insecure=files is None, revoked=revoked_in(files))
    health = HealthServer([gate])
    hello = Hello(core.epoch, config.controller, 0)
    limits = LinkLimits(keep_s=config.lease_s / clock.speed)

    def open_links(on_message: OnMessage) -> list[AgentLink]:
        return [radio_link(dial, hello, on_message, Random(), limits=limits) for dial in dials]

    writer = JournalWriter(journal, watch=watcher.appended)
    pace = Pace(core.timing.tick_s, config.guard_every_s)
    set_ready, told = watcher.serving_ready(health.set_ready), watcher.telling(tell)
    runner = Runner(core, open_links, writer, clock, pace, told, set_ready)
    view.links = runner.links
    desk = Desk(runner.inbox, core.ladder, Roles(config.roles), clock)
    runner.on_fed += [watcher.fed, desk.answer]
    gate.on_refused.append(desk.refused)
    health.add(ladder.SERVICE, ladder.serves_ladder(desk, is_insecure=files is None))
    health.add(control_server.SERVICE, control_server.serves_control(view, is_insecure=files is None))
    port = await health.start(config.listen, None if files is None else server_credentials(files))
    scraped = scraped_at(config.metrics, watcher.metrics, runner, Path(config.journal), files)
    ports = {"health_port": port, "metrics_port": None if scraped is None else scraped.port}
    tell("started", controller=config.controller, epoch=core.epoch, agents=len(dials), **ports)
    reloader = Reloader(config, reread or (lambda: config), core.constrain, runner.inbox.put_own, tell)
    aside = [
        asyncio.ensure_future(reloader.run(changed)),
        asyncio.ensure_future(_prune(writer, clock, config.retention_days * DAY_US)),
    ]
    if files is not None:
        heads = keep_heads(writer, heads_path(Path(config.journal)), files, clock, tell, everybody)
        aside.append(asyncio.ensure_future(heads))
    code = await runner.run(stop)
    for task in aside:
        task.cancel()
    await health.stop()
    watcher.close()
    if scraped is not None:
        scraped.stop()
    return code, await _closed(writer, tell)


def _resumed(journal: Journal, seen_epoch: int) -> Resumed:
    commands, latch = journal.last_commands(), journal.stop_latch()
    before = max(journal.highest_epoch(), seen_epoch)
    last = (commands.cell, commands.revision, commands.level)
    return Resumed(*last, before, latch.is_set, journal.rulings())


def _watcher(config: LiveConfig, core: LiveCore, journal: Journal, clock: HostClock) -> Watcher:
    metrics = None
    if config.metrics is not None:
        metrics = Metrics(core.fleet.level_names, by_agent=config.metrics_by_agent)
    watcher = Watcher(lambda unix_us: look(core, unix_us), clock, Notifier(), metrics)
    if journal.damage is not None:
        watcher.book.take(Alarm(clock.unix_us(), "major", "journal", str(journal.damage)))
    return watcher


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
