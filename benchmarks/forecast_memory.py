"""How much memory a process needs that only forecasts: ``python -m benchmarks.forecast_memory MODEL CELLS``.

``benchmarks.forecast_speed`` starts it, so that nothing that trains or measures is in the process. Prints the MB.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from controller.forecast.model_file import load_model
from controller.forecast.runtime import StepForecaster

START = np.datetime64("2024-03-04T00:00:00", "s")
ROUNDS = 8


def peak_mb(model_file: Path, n_cells: int) -> float:
    """Peak resident memory of this process after some rounds of observation and forecast. [MB]"""
    model = load_model(model_file)
    step_s = model.info.step_s
    forecaster = StepForecaster((np.arange(n_cells) // 3).astype(np.int32), step_s, "UTC", model)
    rng = np.random.default_rng(0)
    for k in range(ROUNDS):
        load = rng.uniform(0, 1, n_cells).astype(np.float32)
        forecaster.observe(load, START + np.timedelta64(k * step_s, "s"))
        forecaster.forecast()
    # not ru_maxrss: a child process begins with the peak of its parent there
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    print(peak_mb(Path(sys.argv[1]), int(sys.argv[2])))
