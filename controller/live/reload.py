r"""A changed configuration file, read again while the controller runs.

::

    SIGHUP -> read, validate, look at what it names -- wrong --> said, nothing changes
                   |
                   +-> each difference told --> constraints: fed to the core, hold from the next plan on
                                           \-> any other field: as before until a restart, and named as such

What the core is fed goes through the journal like any event, so that a rerun changes at the same place.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

from controller.errors import ConfigError
from controller.live.building import constraints_text
from controller.live.config import LiveConfig
from controller.live.doctor import world_and_model
from controller.live.events import Constrained, Event
from controller.live.telling import Tell

LIVE = "constraints"
MAX_SHOWN = 200  # characters of a value


class Reloader:
    """Reads a configuration again when told to, one time after another."""

    def __init__(
        self,
        config: LiveConfig,
        reread: Callable[[], LiveConfig],
        constrain: Callable[[str], Any],
        put: Callable[[Event], None],
        tell: Tell,
    ) -> None:
        """``reread`` and ``constrain``, which reads constraints, raise ConfigError; ``put`` feeds the core."""
        self._config, self._reread = config, reread  # as it is in force
        self._constrain, self._put, self._tell = constrain, put, tell

    async def run(self, asked: asyncio.Event) -> None:
        """Read it again whenever ``asked`` is set, until cancelled."""
        while True:
            await asked.wait()
            asked.clear()
            try:
                new = await asyncio.to_thread(self._checked)
            except ConfigError as error:
                self._tell("reload_refused", cause=str(error), remedy="correct the file and reload again")
                continue
            self._apply(new)

    def _checked(self) -> LiveConfig:
        """The file as it is now. Raises ConfigError where anything in it is wrong."""
        new = self._reread()
        wrong = [finding.text for finding in world_and_model(new) if finding.verdict == "fail"]
        if wrong:
            raise ConfigError("; ".join(wrong))
        self._constrain(constraints_text(new))
        return new

    def _apply(self, new: LiveConfig) -> None:
        changes = list(differences(self._config, new))
        live = [field for field, _, _ in changes if field.split(".")[0] == LIVE]
        for field, before, after in changes:
            counts = "from the next plan" if field in live else "after a restart"
            self._tell("changed", field=field, before=before, after=after, counts=counts)
        if live:
            self._config = self._config.model_copy(update={LIVE: new.constraints})
            self._put(Constrained(constraints_text(new)))
        self._tell("reloaded", changed=len(changes), need_restart=len(changes) - len(live))


def differences(old: LiveConfig, new: LiveConfig) -> Iterator[tuple[str, str, str]]:
    """Fields that differ, by their dotted path, with the value before and after as JSON."""
    yield from _apart(
        "", old.model_dump(mode="json", by_alias=True), new.model_dump(mode="json", by_alias=True)
    )


def _apart(path: str, old: Any, new: Any) -> Iterator[tuple[str, str, str]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _apart(f"{path}.{key}" if path else key, old.get(key), new.get(key))
    elif old != new:
        yield path, _shown(old), _shown(new)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
