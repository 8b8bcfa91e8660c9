"""Words of operators, and what became of them, as the text of a journal entry."""

from __future__ import annotations

import json
from dataclasses import astuple
from typing import Any

from controller.live.events import (
    Approved,
    CallRefused,
    Lifted,
    Overridden,
    Ruling,
    Scope,
    StageChanged,
    Word,
)

WORDS: dict[str, type[Word]] = {
    word.__name__: word for word in (Approved, Overridden, Lifted, StageChanged, CallRefused)
}


def ruling_text(ruling: Ruling) -> str:
    """All of a ruling but its time, as JSON."""
    word = [type(ruling.asked).__name__, *astuple(ruling.asked)]
    return json.dumps([ruling.verdict, ruling.number, ruling.cause, word])


def ruling_of(unix_us: int, text: str) -> Ruling:
    """The ruling of a time and the text of ``ruling_text``."""
    verdict, number, cause, (kind, *parts) = json.loads(text)
    made: Any = WORDS[kind]
    scoped = [Scope(*part) if isinstance(part, list) else part for part in parts]
    return Ruling(unix_us, verdict, made(*scoped), number, cause)


def still_holds(rulings: list[Ruling], more: Ruling, unix_us: int) -> list[Ruling]:
    """Rulings from which a restart resumes, oldest first, after one more; ``unix_us``: now."""
    said = more.asked
    if more.verdict != "in force" or isinstance(said, Approved):
        return rulings
    if isinstance(said, Lifted):
        return [one for one in rulings if one.number != said.number]
    return [one for one in rulings if not _is_over(one, more, unix_us)] + [more]


def _is_over(one: Ruling, more: Ruling, unix_us: int) -> bool:
    """Whether an earlier ruling says nothing any more."""
    if isinstance(one.asked, Overridden):
        return one.asked.until_unix_us <= unix_us
    same = isinstance(one.asked, StageChanged) and isinstance(more.asked, StageChanged)
    return same and (more.asked.scope in (one.asked.scope, Scope("network")))  # type: ignore[union-attr]
