"""Proof that the record of a controller is what it wrote: an export of its journal, checked against signed heads.

::

    journal --export--> header, one line an append, footer       each append's SHA-256 stands for all before it
        |
        +--every hour--> head: number and SHA-256 of the last append, signed --> agents, and a file beside the journal

    verify: lines as they were written? -> chain unbroken? -> footer? -> does it lead through every head?

The chain alone shows what was changed, removed, inserted or reordered; a chain that was written anew as a whole, or cut
with a footer of its own, shows only against heads that somebody else keeps.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from controller.live.journal_batch import Batch, RunRow
from controller.live.journal_entry import N_COLUMNS, Entry
from controller.live.journal_reader import JournalReader

SCHEMA = "quietcell.audit/1"


@dataclass(frozen=True, slots=True)
class AuditHead:
    """Where a journal stood."""

    controller: str
    run: int
    batch: int  # number of the last append
    chain: str  # its SHA-256, in hexadecimal digits
    unix_us: int  # when the head was taken

    def content(self) -> bytes:
        """As it is signed."""
        return _line(asdict(self))


def head_of(content: bytes) -> AuditHead:
    """From ``AuditHead.content``. Raises ValueError where it is none."""
    try:
        head = AuditHead(**_parsed(content))
    except TypeError as error:
        raise ValueError("it is no head") from error
    values = (head.controller, head.chain, head.run, head.batch, head.unix_us)
    if [type(value) for value in values] != [str, str, int, int, int]:
        raise ValueError("it is no head")
    return head


def export(reader: JournalReader) -> Iterator[bytes]:
    """All of a journal that is kept, line by line. Raises JournalError where it is not what was written."""
    after, chain = reader.base()
    yield header(after, chain)
    for batch in reader.batches():
        after, chain = batch.number, batch.chain
        yield line_of(batch)
    yield footer(after, chain)


def header(after: int, chain: bytes) -> bytes:
    """The first line: number and SHA-256 of the append before the first."""
    return _line({"schema": SCHEMA, "after": after, "chain": chain.hex()}) + b"\n"


def line_of(batch: Batch) -> bytes:
    """The line of an append."""
    return _line(_document(batch)) + b"\n"


def footer(end: int, chain: bytes) -> bytes:
    """The last line: number and SHA-256 of the last append."""
    return _line({"end": end, "chain": chain.hex()}) + b"\n"


def batch_of(line: bytes, chain: bytes) -> Batch:
    """From ``line_of``, after an append of this SHA-256. Raises ValueError, TypeError or KeyError where it is none."""
    return _chained(_parsed(_whole(line)), chain)


@dataclass(slots=True)
class Verified:
    """What became of a check."""

    problems: list[str]
    batches: int = 0
    end: int = 0  # number of the last append
    heads: int = 0  # heads that it was compared with
    older_heads: int = 0  # heads of appends that were pruned


def verify(lines: Iterable[bytes], heads: Iterable[AuditHead] = ()) -> Verified:
    """Check an export against itself and against heads. Never raises for what the lines hold."""
    wanted: dict[int, list[AuditHead]] = {}
    for head in heads:
        wanted.setdefault(head.batch, []).append(head)
    found = Verified([])
    reached: dict[int, str] = {}
    try:
        _walk(iter(lines), found, wanted, reached)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        found.problems.append(f"after append {found.end}: not a line as it was written ({error})")
    _compare(found, wanted, reached)
    return found


def _walk(
    lines: Iterator[bytes], found: Verified, wanted: dict[int, list[AuditHead]], reached: dict[int, str]
) -> None:
    first = _parsed(_whole(next(lines, b"")))
    if first.get("schema") != SCHEMA or type(first["after"]) is not int or len(first) != 3:
        raise ValueError(f"no header of {SCHEMA}")
    found.end, chain = first["after"], _bytes_of_hex(first["chain"])
    reached[found.end] = first["chain"]
    for line in lines:
        document = _parsed(_whole(line))
        if "end" in document:
            if document != {"end": found.end, "chain": chain.hex()}:
                raise ValueError("its footer names another end")
            if next(lines, None) is not None:
                raise ValueError("there are lines after its footer")
            return
        batch = _chained(document, chain)
        if batch.number != found.end + 1:
            raise ValueError(f"append {batch.number} follows append {found.end}")
        chain = batch.chain
        found.end, found.batches = batch.number, found.batches + 1
        if batch.number in wanted:
            reached[batch.number] = chain.hex()
    raise ValueError("its end is missing")


def _compare(found: Verified, wanted: dict[int, list[AuditHead]], reached: dict[int, str]) -> None:
    first = min(reached, default=0)
    for number, heads in sorted(wanted.items()):
        for head in heads:
            if number < first:
                found.older_heads += 1
            elif number not in reached:
                found.problems.append(f"it ends at append {found.end}; a head says that {number} were made")
            elif reached[number] != head.chain:
                found.problems.append(f"append {number} is not the one of a head: the chain was rewritten")
            else:
                found.heads += 1


def _document(batch: Batch) -> dict[str, Any]:
    return {
        "append": batch.number,
        "run": batch.run,
        "is_key": batch.is_key,
        "records": batch.records,
        "lost": batch.lost,
        "first_unix_us": batch.first_unix_us,
        "last_unix_us": batch.last_unix_us,
        "start": None if batch.start is None else asdict(batch.start),
        "events": batch.events,
        "block": base64.b64encode(batch.block).decode(),
        "entries": [
            [e.position, int(e.kind), e.unix_us, e.text, e.first_command, e.commands.tolist()]
            for e in batch.entries
        ],
        "sha256": batch.chain.hex(),
    }


def _batch(document: dict[str, Any]) -> Batch:
    names = ("append", "run", "is_key", "records", "lost", "first_unix_us", "last_unix_us")
    numbers = [document[name] for name in names]
    if [type(number) for number in numbers] != [int, int, bool, int, int, int, int]:
        raise ValueError("a number is none")
    start = document["start"]
    about: dict[str, Any] = dict(zip(("number", *names[1:]), numbers, strict=True))
    batch = Batch(
        **about,
        start=None if start is None else RunRow(**start),
        events=document["events"],
        block=base64.b64decode(document["block"], validate=True),
        entries=tuple(map(_entry, document["entries"])),
    )
    if _document(batch) | {"sha256": document["sha256"]} != document:
        raise ValueError("it is not as an export writes it")
    return batch


def _chained(document: dict[str, Any], chain: bytes) -> Batch:
    batch = _batch(document).chained(chain)
    if document["sha256"] != batch.chain.hex():
        raise ValueError(f"append {batch.number}: its content is not what was written")
    return batch


def _entry(parts: list[Any]) -> Entry:
    position, kind, unix_us, text, first, commands = parts
    if not all(type(value) is int for row in [[position, kind, unix_us, first], *commands] for value in row):
        raise ValueError("a number is none")
    return Entry(position, kind, unix_us, text, first, np.array(commands, np.int64).reshape(-1, N_COLUMNS))


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def _whole(line: bytes) -> bytes:
    if not line.endswith(b"\n"):
        raise ValueError("a line without its end")
    return line[:-1]


def _parsed(line: bytes) -> dict[str, Any]:
    """A document of ``_line``. Raises ValueError where the bytes are other ones, even if they mean the same."""
    found = json.loads(line)
    if not isinstance(found, dict) or _line(found) != line:
        raise ValueError("not as it is written")
    return found


def _bytes_of_hex(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except (ValueError, binascii.Error) as error:
        raise ValueError("no SHA-256") from error
    if found.hex() != text or len(found) != 32:
        raise ValueError("no SHA-256")
    return found


def head_now(last: tuple[int, int, bytes], controller: str, unix_us: int) -> AuditHead:
    """Where a journal stands whose last append has this run, number and SHA-256."""
    run, number, chain = last
    return AuditHead(controller, run, number, chain.hex(), unix_us)
