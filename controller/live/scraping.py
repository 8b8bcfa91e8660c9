"""Metrics of the parts around the core, read at each scrape: queues, links, disk, own energy and certificate."""

from __future__ import annotations

import os
from pathlib import Path

from controller.live.metrics import Metrics, MetricsServer
from controller.live.own_energy import Meter
from controller.live.run import Runner
from hw.errors import SecurityError
from hw.security.certs import read_certificate
from hw.security.credentials import TlsFiles


def scraped_at(
    listen: str | None,
    metrics: Metrics | None,
    runner: Runner,
    journal: Path,
    files: TlsFiles | None,
    meter: Meter,
) -> MetricsServer | None:
    """Serve metrics at ``listen``, with what queues, links, disk and meter say at each scrape; None: nobody asked.

    Raises OSError.
    """
    if listen is None or metrics is None:
        return None
    links, outbox = tuple(runner.links.values()), runner.outbox
    parts = (journal, journal.with_name(f"{journal.name}-wal"))
    for name, text, value in (
        ("inbox_events", "Events that wait for the core.", lambda: len(runner.inbox)),
        ("outbox_outputs", "Outputs that wait for the journal.", lambda: len(outbox)),
        ("journal_lost_records", "Records given up since the start.", lambda: outbox.lost),
        ("journal_size_bytes", "What the journal takes on the disk.", lambda: sum(map(_size_bytes, parts))),
        ("journal_free_bytes", "Free on the disk of the journal.", lambda: _free_bytes(journal.parent)),
        ("link_messages", "Messages that wait for a stream.", lambda: sum(link.waiting for link in links)),
        ("links_open", "Open streams.", lambda: sum(link.is_open for link in links)),
        ("streams_opened", "Streams opened since the start.", lambda: sum(link.streams for link in links)),
        ("messages_dropped", "Messages never sent since the start.", lambda: sum(x.dropped for x in links)),
    ):
        metrics.watch(name, text, value)
    text = "Energy of the controller's process and its part of an idle host, as estimated, since the start."
    metrics.count("controller_energy_joules", text, meter.energy_j)
    if files is not None:
        text = "End of the controller's certificate; 0: it cannot be read."
        metrics.watch("certificate_expiry_timestamp_seconds", text, lambda: _expiry_unix_s(files))
    return MetricsServer(metrics, listen)


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _free_bytes(folder: Path) -> int:
    try:
        found = os.statvfs(folder)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize


def _expiry_unix_s(files: TlsFiles) -> float:
    try:
        return read_certificate(files.paths[1]).not_valid_after_utc.timestamp()
    except (SecurityError, OSError):
        return 0.0
