"""A controller's loop over doubles in a process of its own, whose core hangs in its first life."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from pathlib import Path
from typing import Any

from controller.live.events import GuardTick, Output
from controller.live.watchdog import Notifier
from controller.live.watching import Watcher
from hw.ports import HostClock
from tests.controller.live.loop_doubles import Scene
from tests.controller.live.test_metrics import state
from tests.hw.adapters.agent_double import renewal

HANGS_AT = 4  # guard tick of the first life


async def live(log: Path) -> None:
    """Renew with each guard tick, and write down when."""
    watcher = Watcher(lambda unix_us: state(unix_us=unix_us), HostClock(), Notifier(), None)
    scene = Scene(watch=watcher.fed)
    first_life = not log.exists()
    log.touch()

    def guard(_: Any) -> Output:
        if first_life and scene.core.count(GuardTick) == HANGS_AT:
            threading.Event().wait(30.0)
        return Output(renewals=[("site-001", renewal())])

    scene.core.answers[GuardTick] = guard
    renew = scene.link.renew

    def noted(message: Any) -> bool:
        with log.open("a") as file:
            file.write(f"{time.monotonic()}\n")
        return renew(message)

    scene.link.renew = noted  # type: ignore[method-assign]
    scene.runner._set_ready = watcher.serving_ready(scene._set_ready)
    await scene.runner.run(scene.stop)


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1])))
