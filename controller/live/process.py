"""The controller process from its configuration: credentials, journal, core, links, health, and the loop over them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from controller.live.aside import Aside, prune
from controller.live.config import LiveConfig
from controller.live.control_view import LiveView
from controller.live.core import LiveCore
from controller.live.cores import Cores
from controller.live.desk import Desk
from controller.live.dialling import certificate, dial_of
from controller.live.events import Alarm
from controller.live.first_epoch import first_epoch
from controller.live.heads import heads_path, keep_heads
from controller.live.journal import Journal
from controller.live.journal_writer import JournalWriter
from controller.live.kpi_keeping import RowKeeper
from controller.live.long_lived import long_lived
from controller.live.looking import look
from controller.live.metrics import Metrics
from controller.live.opening import opened
from controller.live.own_energy import Meter, host_meter
from controller.live.power.looking import SitesLook
from controller.live.reload import Reloader
from controller.live.replica_source import JournalSource
from controller.live.roles import Roles
from controller.live.run import OnMessage, Pace, Runner
from controller.live.savings_desk import SavingsDesk
from controller.live.scraping import scraped_at
from controller.live.succession import Ended, Office, in_turn
from controller.live.telling import Tell, Watch
from controller.live.watchdog import Notifier
from controller.live.watching import Watcher
from hw.adapters import control_server, ladder, replica_server
from hw.adapters.dial import Dial
from hw.adapters.health import HealthServer
from hw.adapters.link import AgentLink, LinkLimits
from hw.adapters.power_stream import power_link
from hw.adapters.radio_stream import radio_link
from hw.adapters.wire import Hello
from hw.ports import HostClock
from hw.security.credentials import TlsFiles, choose_files, server_credentials
from hw.security.gate import Gate
from hw.security.limits import Limits
from hw.security.revoked import revoked_in

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
    asked = _Asked(config, files, clock, host_meter(clock), tell, changed, reread)
    if config.standby is None:
        ended = await _lead(asked, stop)
    else:
        ended = await in_turn(config, files, clock, tell, stop, lambda office: _lead(asked, stop, office))
    return ended.code, ended.is_closed


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the process was started with."""

    config: LiveConfig
    files: TlsFiles | None
    clock: HostClock
    meter: Meter  # of this process, whoever leads
    tell: Tell
    changed: asyncio.Event  # the configuration is to be read again
    reread: Callable[[], LiveConfig] | None


async def _lead(asked: _Asked, stop: asyncio.Event, office: Office | None = None) -> Ended:
    """Lead until ``stop`` or until leadership is lost."""
    config, files, clock, tell = asked.config, asked.files, asked.clock, asked.tell
    dials, of_power = (
        [dial_of(agent, files) for agent in config.agents if agent.kind == kind] for kind in ("ran", "power")
    )
    epoch = await first_epoch(dials, of_power) if office is None else office.epoch
    journal, cores, rows = await opened(config, epoch, clock.unix_us(), tell)
    core = cores.radio
    if office is not None and core.epoch != epoch:  # a journal that had lost its head; now it has one
        journal.close()
        return Ended(0, True)
    keeper = RowKeeper(rows, core.canaries.take_fresh, tell)
    watcher = _watcher(config, cores, journal, clock)
    view = LiveView(config, core.fleet, watcher, clock)
    gate = Gate(Limits(), is_insecure=files is None, revoked=revoked_in(files))
    health = HealthServer([gate])
    hello = Hello(core.epoch, config.controller, 0, leads_by_grants=office is not None)
    leads = _always if office is None else office.leads
    limits = LinkLimits(keep_s=config.lease_s / clock.speed)

    def open_links(on_message: OnMessage) -> list[AgentLink]:
        radios = [radio_link(dial, hello, on_message, Random(), limits=limits, leads=leads) for dial in dials]
        if cores.power is None:
            return radios
        return radios + [
            power_link(d, hello, on_message, Random(), limits=limits, leads=leads) for d in of_power
        ]

    writer = JournalWriter(journal, watch=watcher.appended)
    pace = Pace(core.timing.tick_s, config.guard_every_s)
    set_ready, told = watcher.serving_ready(health.set_ready), watcher.telling(tell)
    runner = Runner(cores, open_links, writer, clock, pace, told, set_ready, leads)
    view.links = runner.links
    desk = Desk(runner.inbox, core.ladder, Roles(config.roles), clock, core.canaries)
    runner.on_fed += [watcher.fed, desk.answer, keeper.fed, _telling_savings(core, asked, view)]
    gate.on_refused.append(desk.refused)
    _serve_more(health, config, desk, view, leads, is_insecure=files is None)
    port = await health.start(config.listen, None if files is None else server_credentials(files))
    scraped = scraped_at(config.metrics, watcher.metrics, runner, Path(config.journal), files, asked.meter)
    ports = {"health_port": port, "metrics_port": None if scraped is None else scraped.port}
    tell("started", controller=config.controller, epoch=core.epoch, agents=len(dials), **ports)
    ending = asyncio.Event()
    aside = Aside(ending, tell)
    aside.need("stop", lambda: _when_set(stop, ending))
    if office is not None:
        aside.need("leadership", partial(office.govern, runner, ending))
    _keep_up(aside, asked, core, runner, writer, dials + of_power)
    with long_lived():
        code = await runner.run(ending)
    aside.cancel()
    await health.stop()
    watcher.close(stops=stop.is_set())
    if scraped is not None:
        scraped.stop()
    is_closed = await _closed("rows", keeper.close(), tell)
    return Ended(code or int(aside.has_failed), await _closed("journal", writer.close(), tell) and is_closed)


def _keep_up(
    aside: Aside, asked: _Asked, core: LiveCore, runner: Runner, writer: JournalWriter, dials: list[Dial]
) -> None:
    """What goes on beside the loop, and begins again after an error."""
    config, files, clock, tell = asked.config, asked.files, asked.clock, asked.tell
    reread = asked.reread or (lambda: config)
    reloader = Reloader(config, reread, core.constrain, runner.inbox.put_own, tell)
    aside.keep_up("reload", lambda: reloader.run(asked.changed))
    aside.keep_up("retention", lambda: prune(writer, clock, config.retention_us, tell))
    if files is not None:
        path = heads_path(Path(config.journal))
        aside.keep_up("heads", lambda: keep_heads(writer, path, files, clock, tell, dials))


def _serve_more(
    health: HealthServer,
    config: LiveConfig,
    desk: Desk,
    view: LiveView,
    leads: Callable[[], bool],
    *,
    is_insecure: bool,
) -> None:
    """What operators and the other controller ask for."""
    health.add(ladder.SERVICE, ladder.serves_ladder(desk, is_insecure=is_insecure))
    health.add(control_server.SERVICE, control_server.serves_control(view, desk, is_insecure=is_insecure))
    if config.standby is not None:
        source = JournalSource(Path(config.journal), leads)
        health.add(replica_server.SERVICE, replica_server.serves_replica(source))


def _always() -> bool:
    return True


async def _when_set(one: asyncio.Event, other: asyncio.Event) -> None:
    await one.wait()
    other.set()


def _telling_savings(core: LiveCore, asked: _Asked, view: LiveView) -> Watch:
    regions = asked.config.ladder.regions
    return SavingsDesk(core.canaries, regions, asked.meter.power, view.tell_savings).fed


def _watcher(config: LiveConfig, cores: Cores, journal: Journal, clock: HostClock) -> Watcher:
    core, metrics = cores.radio, None
    look_at_sites = _no_sites if cores.power is None else SitesLook(cores.power, core.ladder).look
    if config.metrics is not None:
        metrics = Metrics(core.fleet.level_names, by_agent=config.metrics_by_agent)
    watcher = Watcher(lambda unix_us: look(core, unix_us, look_at_sites()), clock, Notifier(), metrics)
    if journal.damage is not None:
        watcher.book.take(Alarm(clock.unix_us(), "major", "journal", str(journal.damage)))
    return watcher


def _no_sites() -> None:
    return None


async def _closed(what: str, closing: Awaitable[None], tell: Tell) -> bool:
    """Whether a file was closed in time, with all that it was given."""
    try:
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await closing
    except (OSError, TimeoutError) as error:
        tell(f"{what}_not_closed", cause=str(error) or f"it takes longer than {CLOSE_WITHIN_S:g} s")
        return False
    return True
