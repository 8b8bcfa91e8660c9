"""How long a controller process of 9,999 cells takes from its start to its first decision. JSON, one row a line.

    .venv/bin/python -m benchmarks.start_up

``start_up_s_warm`` finds compiled kernels, as after ``quietcell warm-up``; ``start_up_s_cold`` has an empty cache and
compiles what it needs. The peer of the warm start is the cold one of the same run. Needs no data.
"""

from __future__ import annotations

import os
import statistics
import tempfile

from benchmarks.rows import print_row
from controller.start_up import CELLS, measure_start_up

REPEATS = 5


def main() -> None:
    """Print both rows."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        cold = measure_start_up(CELLS, environment)
        warm = statistics.median(measure_start_up(CELLS, environment) for _ in range(REPEATS))
    about = f"{CELLS} cells, a third of them coverage cells under two capacity cells each; process to first decision"
    print_row("start_up_s_warm", warm, "s", f"{about}; median of {REPEATS}", ours=warm, peer=cold)
    print_row("start_up_s_cold", cold, "s", f"{about}; empty kernel cache")


if __name__ == "__main__":
    main()
