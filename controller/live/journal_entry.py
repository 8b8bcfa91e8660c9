"""An entry of the journal: one record that is no event, as text and rows of commands."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.live.events import (
    Alarm,
    Decided,
    Latched,
    Matched,
    Record,
    RolledBack,
    Ruling,
    Withheld,
    Woken,
)
from controller.live.journal_words import ruling_of, ruling_text
from controller.live.power.records import POWER_RECORDS, power_record, power_text

NO_LEVEL = -1  # stored as NULL
N_COLUMNS = 5  # of a command: cell, revision, level, expected level, reason


class Kind(IntEnum):
    """What an entry is; numbers are those in the file."""

    DECIDED = 1
    WOKEN = 2
    LATCHED = 3
    ALARM = 4
    WITHHELD = 5
    RULING = 6
    MATCHED = 7
    ROLLED_BACK = 8
    POWER_DECIDED = 9
    POWER_WITHHELD = 10
    CHARGED_SAFELY = 11


POWER_KINDS = dict(
    zip(POWER_RECORDS, (Kind.POWER_DECIDED, Kind.POWER_WITHHELD, Kind.CHARGED_SAFELY), strict=True)
)
OF_KIND = {kind: of for of, kind in POWER_KINDS.items()}


@dataclass(frozen=True, slots=True)
class Entry:
    """One record that is not an event."""

    position: int  # among the records of the append
    kind: int
    unix_us: int
    text: str  # the plan, or the rest as JSON
    first_command: int
    commands: NDArray[np.int64]  # (k, N_COLUMNS); revisions by their bits


def entry_of(record: Record, position: int, first_command: int) -> Entry:
    """The entry of a record that is not an event."""
    columns: list[Any] = []
    if isinstance(record, Decided):
        kind, text = Kind.DECIDED, record.plan_id
        columns = [
            record.cell,
            record.revision.view(np.int64),
            record.level,
            record.expected_level,
            record.reason,
        ]
    elif isinstance(record, Woken):
        kind, text = Kind.WOKEN, ""
        n = len(record.cell)
        columns = [
            record.cell,
            record.revision.view(np.int64),
            np.zeros(n),
            np.full(n, NO_LEVEL),
            record.reason,
        ]
    elif isinstance(record, Withheld):
        kind, text = Kind.WITHHELD, record.plan_id
        n = len(record.cell)
        columns = [record.cell, np.zeros(n), record.level, np.full(n, NO_LEVEL), record.reason]
    elif isinstance(record, POWER_RECORDS):
        kind = POWER_KINDS[type(record)]
        text = power_text(record)
    elif isinstance(record, Ruling):
        kind, text = Kind.RULING, ruling_text(record)
    elif isinstance(record, Matched | RolledBack):
        kind = Kind.MATCHED if isinstance(record, Matched) else Kind.ROLLED_BACK
        text = json.dumps(astuple(record)[1:])
    elif isinstance(record, Latched):
        kind, text = Kind.LATCHED, json.dumps([record.is_set, record.author, record.reason])
    else:
        assert isinstance(record, Alarm), record
        kind, text = Kind.ALARM, json.dumps([record.severity, record.about, record.text])
    commands = (
        np.stack([np.asarray(c, np.int64) for c in columns], 1)
        if columns
        else np.empty((0, N_COLUMNS), np.int64)
    )
    return Entry(position, kind, record.unix_us, text, first_command, commands)


def record_of(entry: Entry) -> Record:
    """The record of an entry."""
    if entry.kind in (Kind.DECIDED, Kind.WOKEN, Kind.WITHHELD):
        return _commands_of(entry)
    if entry.kind in OF_KIND:
        return power_record(OF_KIND[Kind(entry.kind)], entry.unix_us, entry.text)
    if entry.kind == Kind.RULING:
        return ruling_of(entry.unix_us, entry.text)
    return _other_of(entry)


def _other_of(entry: Entry) -> Record:
    parts = json.loads(entry.text)
    match entry.kind:
        case Kind.LATCHED:
            return Latched(entry.unix_us, *parts)
        case Kind.MATCHED:
            canary, control, unmatched = parts
            return Matched(entry.unix_us, tuple(canary), tuple(map(tuple, control)), tuple(unmatched))
        case Kind.ROLLED_BACK:
            return RolledBack(entry.unix_us, *parts)
        case _:
            return Alarm(entry.unix_us, *parts)


def _commands_of(entry: Entry) -> Record:
    columns = np.ascontiguousarray(entry.commands.T)
    cell, revision = columns[0].astype(np.int32), columns[1].view(np.uint64)
    level, expected, reason = columns[2:].astype(np.uint8)
    if entry.kind == Kind.DECIDED:
        return Decided(entry.unix_us, entry.text, cell, revision, level, expected, reason)
    if entry.kind == Kind.WOKEN:
        return Woken(entry.unix_us, cell, revision, reason)
    return Withheld(entry.unix_us, entry.text, cell, level, reason)
