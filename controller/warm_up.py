"""Compiles and caches every kernel that replay, forecast and the tick use, by running a tiny network through them.

numba compiles a kernel once for each combination of argument types and keeps the result on disk. So what is run here
must look like what is run later: tests/controller/test_warm_up.py checks that a replay finds nothing left to compile.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from controller.errors import ConfigError

ROOMS = ("controller", "policies", "hw", "traces")
NO_LOCATOR = "no locator available"  # how numba says that it found no folder to write to
WRITABLE = "set NUMBA_CACHE_DIR to a folder that the controller's user may write to"


class Part(NamedTuple):
    """What one part of the warm-up took."""

    name: str
    wall_s: float
    compiled: int  # kernels, for each combination of types
    loaded: int  # from the cache


def warm_up(progress: Callable[[str, float], None]) -> Iterator[Part]:
    """Run all parts. Raises ConfigError where numba has no folder to write to, or does not compile at all."""
    began = time.perf_counter()
    try:
        parts = _parts()
    except RuntimeError as error:
        if NO_LOCATOR not in str(error):
            raise
        raise ConfigError(f"numba finds no folder for compiled kernels: {error}; {WRITABLE}") from error
    if not kernels():
        raise ConfigError("NUMBA_DISABLE_JIT is set, so nothing is compiled; unset it")
    yield Part("imports", time.perf_counter() - began, 0, 0)
    for at, (name, run) in enumerate(parts):
        progress(name, at / len(parts))
        began, before = time.perf_counter(), _counts()
        run()
        after = _counts()
        yield Part(name, time.perf_counter() - began, after[0] - before[0], after[1] - before[1])


def kernels() -> dict[str, Any]:
    """Every kernel of ours that is kept on disk, by module and name."""
    from numba.core.dispatcher import Dispatcher

    found = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ROOMS:
            for value in vars(module).values():
                if isinstance(value, Dispatcher) and value.stats.cache_path:
                    found[f"{value.py_func.__module__}.{value.py_func.__name__}"] = value
    return found


def cache_folder() -> Path:
    """Where the compiled kernels are: the folder above all of them."""
    return Path(os.path.commonpath([kernel.stats.cache_path for kernel in kernels().values()]))


def _counts() -> tuple[int, int]:
    """Kernels compiled and loaded by this process so far."""
    stats = [kernel.stats for kernel in kernels().values()]
    return (
        sum(sum(one.cache_misses.values()) for one in stats),
        sum(sum(one.cache_hits.values()) for one in stats),
    )


def _parts() -> list[tuple[str, Callable[[], object]]]:
    """Name and work of each part. Kernels are imported from here on."""
    from controller.config import load_profile
    from controller.explain.rerun import rerun
    from controller.forecast.outlook import Outlook
    from controller.forecast.runtime import StepForecaster
    from controller.replay.run import run_policy
    from controller.replay.stage import Stage, Task, quiet
    from controller.site.warm_up import compare, cool_and_guard
    from controller.worlds import DEFAULT_WORLD, load_world
    from traces.synthesis import SynthSpec, generate

    # three cells of which two may leave the air, and a gap in their telemetry
    trace = generate(SynthSpec(n_sites=1, sectors=1, layers=3, days=2, seed=0, missing_share=0.01))
    profile = load_profile(None)
    early = profile.predictive.model_copy(update={"off_air_after_h": 2.0})
    task = Task(trace, load_world(DEFAULT_WORLD), profile.model_copy(update={"predictive": early}))
    watched = Task(task.trace, task.world, task.profile, guard=True)
    alone = Task(trace.select_cells(np.array([0])), task.world, task.profile)

    def replay(name: str, *tasks: Task) -> Callable[[], object]:
        keep = np.ones(1, np.bool_)
        return lambda: [
            run_policy(name, Stage(one), keep=np.resize(keep, one.trace.n_cells)) for one in tasks
        ]

    def forecast() -> None:
        clock = Stage(task).clock
        steps = StepForecaster(trace.cells.site_numbers(), clock.tick_s, clock.time_zone, None)
        outlook = Outlook(
            steps,
            trace.n_cells,
            step_s=clock.tick_s,
            sample_s=clock.sample_s,
            tick_s=clock.tick_s,
            horizon_ticks=profile.forecast.horizon_ticks,
            trained_until=clock.start,
        )
        for tick in range(4):
            outlook.observe(np.full((trace.n_cells, clock.per_tick), 0.1, np.float32), clock.tick_time(tick))
            outlook.course(clock.tick_time(tick + 1))

    return [
        ("traffic", lambda: Stage(task).scene(0)),
        ("plant", replay("none", task, alone)),
        ("baselines", replay("threshold", task)),
        ("forecaster", forecast),
        ("planner", replay("predictive", task, alone)),
        ("guard loop", replay("predictive", watched)),
        ("oracle", replay("oracle", task)),
        ("oracle with guard loop", replay("oracle", watched)),
        ("explanation", lambda: rerun("predictive", task, 0, 1, quiet)),
        ("site power", compare),
        ("cooling and safe charging", cool_and_guard),
    ]
