"""A recorded run once more: the same events into a fresh core must give the same decisions, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import zip_longest
from typing import Protocol

import numpy as np

from controller.live.events import Decided, Event, Output, Taken, Woken
from controller.live.identity import Identity
from controller.live.journal_reader import JournalReader, Lost
from controller.live.power.events import ChargedSafely, PowerDecided

Command = Decided | Woken | PowerDecided | ChargedSafely


class Core(Protocol):
    """What decides: takes in one event after another."""

    def feed(self, event: Event) -> Output:
        """Take in one event."""
        ...


class Cause(StrEnum):
    """Why a rerun is not the recorded run."""

    IDENTITY = "identity"  # it runs with something else than then
    MISSING_INPUT = "missing input"
    DECISION = "decision"  # it decides otherwise
    NOT_DECIDED = "not decided"  # what was recorded is not decided now
    NOT_RECORDED = "not recorded"  # what is decided now was not recorded


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which a rerun is not the recorded run."""

    cause: Cause
    unix_us: int  # 0 where it holds for all of the run
    what: str


def rerun(
    journal: JournalReader, run: int, make_core: Callable[[], Core], now: Identity | None = None
) -> Iterator[Difference]:
    """Feed the events of a run to a core and name all differences, in the order of time; none: it is the same run.

    ``make_core`` gives a core that has resumed as the run did. ``now`` is what it runs with; what differs from then is
    named first. After a missing input the decisions that follow from it differ as well.
    """
    recorded_run = journal.run_of(run)
    if not recorded_run.is_whole:
        text = "the beginning of the run is not kept; choose one that began later"
        yield Difference(Cause.MISSING_INPUT, recorded_run.first_unix_us, text)
        return
    if now is not None:
        for name, then, here in recorded_run.identity.differences(now):
            yield Difference(Cause.IDENTITY, 0, f"{name} is {here or 'missing'}, it was {then or 'missing'}")
    yield from _compared(journal, run, make_core())


def _compared(journal: JournalReader, run: int, core: Core) -> Iterator[Difference]:
    """An event comes before what was decided on it, so what follows one belongs to it."""
    recorded: list[Command] = []
    decided: list[Command] = []
    for record in journal.records(run):
        if isinstance(record, Command):
            recorded.append(record)
        elif isinstance(record, Lost | Taken):
            yield from _apart(recorded, decided)
            recorded, decided = [], []
        if isinstance(record, Lost):
            text = f"{record.records} records could not be written"
            yield Difference(Cause.MISSING_INPUT, record.before_unix_us, text)
        elif isinstance(record, Taken):
            decided = [r for r in core.feed(record.event).durable if isinstance(r, Command)]
    yield from _apart(recorded, decided)


def _apart(recorded: list[Command], decided: list[Command]) -> Iterator[Difference]:
    """How what was decided on an event differs from the record."""
    matcher = SequenceMatcher(None, [_bits(r) for r in recorded], [_bits(r) for r in decided], autojunk=False)
    for kind, begin, end, begin_now, end_now in matcher.get_opcodes():
        if kind == "equal":
            continue
        for then, here in zip_longest(recorded[begin:end], decided[begin_now:end_now]):
            if then is None:
                yield Difference(Cause.NOT_RECORDED, here.unix_us, _words(here))
            elif here is None:
                yield Difference(Cause.NOT_DECIDED, then.unix_us, _words(then))
            else:
                yield Difference(Cause.DECISION, then.unix_us, f"{_words(here)} instead of {_words(then)}")


def _bits(record: Command) -> tuple[object, ...]:
    """All of a record, such that two are equal where every bit is."""
    values = [getattr(record, f.name) for f in fields(record)]
    return (
        type(record).__name__,
        *((v.dtype.str, v.tobytes()) if isinstance(v, np.ndarray) else v for v in values),
    )


def _words(record: Command) -> str:
    if isinstance(record, PowerDecided | ChargedSafely):
        return _site_words(record)
    n = len(record.cell)
    cells = f"{n} cells from number {int(record.cell[0])} on" if n else "no cell"
    if isinstance(record, Decided):
        levels = sorted(set(record.level.tolist()))
        return f"{cells} to levels {levels} by plan {record.plan_id!r}"
    return f"{cells} woken"


def _site_words(record: PowerDecided | ChargedSafely) -> str:
    n = len(record.site)
    sites = f"{n} sites from number {int(record.site[0])} on" if n else "no site"
    if isinstance(record, PowerDecided):
        return f"{sites} to setpoints of {record.battery_w.tolist()} W by plan {record.plan_id!r}"
    return f"{sites} to safe charging"
