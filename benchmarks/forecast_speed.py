"""How fast the forecaster is: 10,000 cells, 96 steps ahead, five quantiles, from raw observation to array.

Run: ``python -m benchmarks.forecast_speed [--cells 10000] [--skip-lightgbm] [--skip-training]``. Needs ``.[bench]``.
The model is trained here on invented loads of 15 minutes; peers run in the same process on the same features:

- scikit-learn's own predict of the estimators that the graph was made of, in batches of 1 to 10,000 cells: worst ratio;
- LightGBM, one model of 100 trees for each of 96 steps ahead.

``train_minutes`` is a whole training on 28 days of as many cells; it takes most of the time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.rows import print_row
from controller.forecast.model_file import LoadedModel, load_bytes
from controller.forecast.runtime import StepForecaster
from controller.training.blend import Blend
from controller.training.candidates import Candidates, fit_candidates
from controller.training.choose import choose
from controller.training.graph import build_graph
from controller.training.parity import predict
from controller.training.rows import make_series, training_rows
from controller.training.spread import Spread, fit_spread
from controller.training.train import _info, _sealed, quiet, train
from traces import Trace
from traces.trace import make_cells

STEP_S, PER_DAY = 900, 96
START = np.datetime64("2024-03-04T00:00:00", "s")
REPEATS = 7
TRAINING_DAYS = 28
BATCHES = (1, 10, 100, 1000, 10_000)


def invented(n_cells: int, days: int) -> Trace:
    """Loads with a daily shape and correlated noise."""
    rng = np.random.default_rng(0)
    t = np.arange(days * PER_DAY)
    shape = -2.0 + np.sin(2 * np.pi * t / PER_DAY - 1)
    level = rng.normal(0, 0.4, (n_cells, 1))
    load = np.empty((n_cells, len(t)), np.float32)
    noise = np.zeros(n_cells)
    for k in t:
        noise = 0.8 * noise + rng.normal(0, 0.15, n_cells)
        load[:, k] = np.clip(np.exp(shape[k] + level[:, 0] + noise), 0, 1)
    cells = make_cells([f"c{k}" for k in range(n_cells)], site_id=[f"s{k // 3}" for k in range(n_cells)])
    return Trace("invented", cells, START, STEP_S, "UTC", load)


def fastest(run: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median time of some runs after one that warms up. [ms]"""
    run()
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        taken.append(1000 * (time.perf_counter() - began))
    return float(np.median(taken))


def make(trace: Trace) -> tuple[bytes, LoadedModel, Candidates, Blend, Spread]:
    """A model in which every part of the graph works, with the estimators behind it."""
    series = make_series(trace, None)
    until = trace.n_steps
    choice = choose(series, until, 0, quiet)
    rows = training_rows(series, until, np.random.default_rng(0))
    candidates = fit_candidates(rows, seed=0)
    blend = Blend(candidates.anchors, np.tile([0.2, 0.5, 0.3], (len(candidates.anchors), 1)))
    spread = fit_spread(choice.folds, choice.blend)
    named = replace(choice, blend=blend)
    sealed = _sealed(build_graph(candidates, blend, spread), _info(trace, until, None, named, rows))
    return sealed, load_bytes(sealed, "benchmark model"), candidates, blend, spread


def ready(model: LoadedModel, load: NDArray[np.float32], days: int) -> StepForecaster:
    """A forecaster that has seen ``days`` of load."""
    sites = (np.arange(len(load)) // 3).astype(np.int32)
    forecaster = StepForecaster(sites, STEP_S, "UTC", model)
    for k in range(days * PER_DAY):
        forecaster.observe(load[:, k], START + np.timedelta64(k * STEP_S, "s"))
    return forecaster


def round_ms(model: LoadedModel, load: NDArray[np.float32], days: int) -> tuple[float, StepForecaster]:
    """Time from a raw observation to calibrated quantiles of all cells. [ms]"""
    forecaster = ready(model, load, days)
    step = iter(range(days * PER_DAY, load.shape[1]))

    def one_round() -> None:
        k = next(step)
        forecaster.observe(load[:, k], START + np.timedelta64(k * STEP_S, "s"))
        forecaster.forecast()

    return fastest(one_round), forecaster


def memory_mb(sealed: bytes, n_cells: int) -> float:
    """Peak memory of a process of its own that loads the model and forecasts. [MB]"""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        file.write_bytes(sealed)
        command = [sys.executable, "-m", "benchmarks.forecast_memory", str(file), str(n_cells)]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def lightgbm_ms(features: NDArray[np.float32]) -> float:
    """Direct multi-horizon LightGBM on as many features as ours has at one step. [ms]"""
    import lightgbm

    rng = np.random.default_rng(0)
    inputs = features[:, :41]
    data = lightgbm.LGBMRegressor(n_estimators=100, num_leaves=31, verbosity=-1, n_jobs=2)
    model = data.fit(inputs, inputs[:, 0] + rng.normal(0, 0.1, len(inputs)))
    return fastest(lambda: model.predict(inputs), 3) * PER_DAY


def main() -> None:
    """Print one row for each figure."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--cells", type=int, default=10_000)
    arguments.add_argument("--skip-lightgbm", action="store_true")
    arguments.add_argument("--skip-training", action="store_true")
    options = arguments.parse_args()
    n = options.cells
    where = f"{n} cells x {PER_DAY} steps x 5 quantiles, 2 cores, invented loads of 15 min"
    sealed, model, candidates, blend, spread = make(invented(1000, 6))
    load = invented(n, 3).dl_prb_ratio
    ours, forecaster = round_ms(model, load, 2)
    print_row("forecast_ms", ours, "ms", bar=("<=", 150), conditions=where)
    memory = memory_mb(sealed, n)
    alone = f"peak of a whole process that only forecasts; {where}"
    print_row("memory_mb", memory, "MB", bar=("<=", 500), conditions=alone)
    moment = forecaster.memory.moment(forecaster._ahead(START))
    features = forecaster.memory.features(moment, np.arange(n))
    ratios = []
    for batch in [b for b in BATCHES if b <= n]:
        part = features[:batch]
        peer = fastest(lambda part=part: predict(part, candidates, blend, spread), 3)
        ratios.append((fastest(lambda part=part: model.run(part), 3) / peer, batch))
    worst, batch = max(ratios)
    print_row(
        "vs_sklearn",
        worst,
        "ratio",
        bar=("<=", 1.0),
        conditions=f"time of the graph over scikit-learn's predict; worst at a batch of {batch}",
    )
    if not options.skip_lightgbm:
        peer = lightgbm_ms(features)
        print_row(
            "vs_lightgbm",
            peer / ours,
            "ratio",
            ours=ours,
            peer=peer,
            bar=(">=", 10),
            conditions=f"96 LightGBM models of 100 trees, predict only, one timed and times 96; {where}",
        )
    large, _ = round_ms(model, np.tile(load[:, : PER_DAY + 2 * REPEATS], (10, 1)), 1)
    print_row(
        "scaling_100k",
        large / ours,
        "ratio",
        ours=large,
        peer=ours,
        bar=("<=", 10),
        conditions=f"{10 * n} against {n} cells",
    )
    if not options.skip_training:
        trace = invented(n, TRAINING_DAYS)
        began = time.perf_counter()
        train(trace)
        minutes = (time.perf_counter() - began) / 60
        span = f"{n} cells x {TRAINING_DAYS} days of {STEP_S} s, trace in memory"
        print_row("train_minutes", minutes, "min", bar=("<=", 10), conditions=span)


if __name__ == "__main__":
    main()
