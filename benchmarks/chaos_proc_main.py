"""The ``quietcell`` command with a wall clock that can be set: ``python -m benchmarks.chaos_proc_main ARGUMENTS``.

The file that ``CHAOS_CLOCK`` names holds by how much the wall clock of this process is off. [s]
The monotonic clock, by which leases run, stays the host's.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from controller.cli import main

_true_ns = time.time_ns


def _offset_s() -> float:
    try:
        return float(Path(os.environ["CHAOS_CLOCK"]).read_text())
    except FileNotFoundError:  # it was never set
        return 0.0


if __name__ == "__main__":
    time.time_ns = lambda: _true_ns() + int(_offset_s() * 1e9)
    time.time = lambda: time.time_ns() / 1e9
    main()
