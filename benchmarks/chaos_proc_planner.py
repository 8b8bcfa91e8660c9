"""A policy that real controller processes run as a plug-in: it wants cells deep, and hangs when it is told to.

It is installed by a metadata folder on the module path (benchmarks/chaos_proc_scene.py), and told by environment:
``CHAOS_SEED`` sets its chance; ``CHAOS_FOLDER`` is where a file ``hang`` makes it hang for as long as it is there,
which it says with a file ``hung``; a file ``deepest`` makes it want all cells as deep as they may be.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from random import Random

import numpy as np

from hw.world import SYMBOL
from policies.plugin import PolicyContext
from policies.policy import Decision, Reason, View

LOOK_EVERY_S = 0.01


class Restless:
    """Asks each cell for any level that it may use, often deep."""

    needs_forecast = False

    def __init__(self, context: PolicyContext) -> None:
        self._allowed = context.network.allowed
        self._random = Random(os.environ["CHAOS_SEED"])
        self._folder = Path(os.environ["CHAOS_FOLDER"])

    def plan(self, _view: View) -> Decision:
        """Anything, once it is not told to hang."""
        while (self._folder / "hang").exists():
            (self._folder / "hung").touch()
            time.sleep(LOOK_EVERY_S)
        choices = [np.flatnonzero(row[SYMBOL:]) + SYMBOL for row in self._allowed]
        if (self._folder / "deepest").exists():
            level = [int(choice[-1]) for choice in choices]
        else:
            level = [self._random.choice(choice.tolist()) for choice in choices]
        return Decision(np.array(level, np.uint8), np.full(len(level), Reason.DEEPEST, np.uint8))
