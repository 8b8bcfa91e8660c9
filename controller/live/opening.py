"""What a controller begins to lead with: its journal, checked as a whole, the cores that follow from it, its rows."""

from __future__ import annotations

import asyncio
from pathlib import Path

from controller.live.config import LiveConfig
from controller.live.core import Resumed
from controller.live.cores import Cores
from controller.live.identity import Identity, identify
from controller.live.journal import Journal
from controller.live.kpi_file import RowFile, rows_path
from controller.live.power.building import make_cores
from controller.live.telling import Tell
from controller.live.watchdog import starting
from controller.site.sites_file import SitesFile

NAMED = ("cells", "trace", "world", "profile", "model", "history", "sites")  # fields of the configuration


async def opened(config: LiveConfig, epoch: int, unix_us: int, tell: Tell) -> tuple[Journal, Cores, RowFile]:
    """The journal and what follows from it, at least of run ``epoch``.

    Opened and made in threads, so that the term is kept meanwhile. A month of records takes minutes, in which who
    supervises hears that it goes on. Raises JournalError, OSError, and what the parts of the cores raise.
    """
    async with starting():
        identity = await asyncio.to_thread(_identity, config)
        path = Path(config.journal)
        journal = await asyncio.to_thread(Journal.open, path, identity, unix_us=unix_us, least_run=epoch)
        if journal.damage is not None:
            tell("journal_damaged", text=str(journal.damage))
        try:
            return journal, *await asyncio.to_thread(_made, config, journal)
        except BaseException:
            journal.close()
            raise


def _identity(config: LiveConfig) -> Identity:
    return identify(config.model_dump_json(by_alias=True), named_files(config), config.seed)


def named_files(config: LiveConfig) -> list[Path]:
    """The files and folders that decisions follow from: those of the configuration, and those of its sites file."""
    named = (getattr(config, name) for name in NAMED)
    files = [Path(value).absolute() for value in named if value is not None]
    if config.sites is not None:
        files += SitesFile(Path(config.sites).absolute()).named_files()
    return files


def _made(config: LiveConfig, journal: Journal) -> tuple[Cores, RowFile]:
    cores = make_cores(config, _resumed(journal), journal.site_revisions())
    core, path = cores.radio, rows_path(journal.path)
    return cores, RowFile(path, core.canaries.facts.rows_of, core.epoch, config.retention_days)


def _resumed(journal: Journal) -> Resumed:
    commands, latch = journal.last_commands(), journal.stop_latch()
    last = (commands.cell, commands.revision, commands.level)
    rolled_back = journal.rolled_back()
    before = journal.highest_epoch()
    return Resumed(*last, before, latch.is_set, journal.rulings(), rolled_back, rows_path(journal.path))
