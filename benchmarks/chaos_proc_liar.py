"""An agent that lies: ``python -m benchmarks.chaos_proc_liar ARGUMENTS`` of the ``quietcell`` command.

Levels, revisions, digests, numbers of messages and traffic in what it says are wrong at random, now and then by far.
What it does at its radios is right. It never claims that another controller leads: who is told so only wakes from then
on, as it must. ``CHAOS_SEED`` sets its chance.
"""

from __future__ import annotations

import os
from dataclasses import replace
from random import Random
from typing import Any
from unittest.mock import patch

import numpy as np

from controller.cli import main
from hw.adapters.radio import Report
from hw.agents.radio_core import RadioAgentCore

random = Random(os.environ["CHAOS_SEED"])
_report, _digest = RadioAgentCore.report, RadioAgentCore.digest


def lying_report(core: RadioAgentCore, *given: Any, **named: Any) -> Report:
    """A report of which one thing is wrong."""
    true = _report(core, *given, **named)
    n, levels = len(true.level), len(core.abilities.level_names)
    wrong = np.array([random.randrange(levels) for _ in range(n)], np.uint8)
    lies: list[dict[str, Any]] = [
        {"level": wrong, "commanded_level": wrong},
        {"level": np.zeros(n, np.uint8)},
        {"revision": true.revision + np.uint64(random.choice((1, 5, 2**61, 2**63)))},
        {"carried": np.full_like(true.carried, random.choice((0.0, 1e30, -1.0, np.nan)))},
        {"active_digest": random.randbytes(32)},
        {"lease_left_ms": np.full(n, 3_600_000, np.int64)},
        {"sequence": random.randrange(2**40)},
        {"monotonic_us": true.monotonic_us + random.choice((-1, 1)) * 3_600_000_000},
        {"boot_id": random.randbytes(16)},
    ]
    return replace(true, **random.choice(lies))


def lying_digest(core: RadioAgentCore) -> bytes:
    """A digest that is wrong half of the times."""
    return random.choice((_digest(core), random.randbytes(32)))


if __name__ == "__main__":
    with (
        patch.object(RadioAgentCore, "report", lying_report),
        patch.object(RadioAgentCore, "digest", lying_digest),
    ):
        main()
