"""What the controller process tells its operator: one line when something changes, as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Protocol

from controller.live.events import Event, Output

Value = str | int | float | bool | None
Watch = Callable[[Event, Output, float], None]


class Tell(Protocol):
    """Told what happened and what belongs to it."""

    def __call__(self, what: str, /, **about: Value) -> None:
        """Print one line."""
        ...


def line_teller(write: Callable[[str], None], *, as_json: bool) -> Tell:
    """Lines of ``what name=value ...``, or of one JSON object."""

    def tell(what: str, /, **about: Value) -> None:
        if as_json:
            write(json.dumps({"event": what, **about}, ensure_ascii=False))
        else:
            write(" ".join([what, *(f"{name}={_shown(value)}" for name, value in about.items())]))

    return tell


def _shown(value: Value) -> str:
    """A value on one line, in quotes where it would not stand out."""
    if isinstance(value, str) and value and not any(c.isspace() or c in '"=' for c in value):
        return value
    return json.dumps(value, ensure_ascii=False)
