"""How fast plans are carried out and made. Prints one JSON object a line; needs no data.

A cell-step is one simulated sample of one cell. The plan that is carried out is one of the shipped policy on a
synthetic network of single cells, repeated to the full size; kernels are compiled before anything is timed.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray

from benchmarks.numpy_twin import execute_numpy
from benchmarks.rows import print_row
from controller.config import load_profile
from controller.replay.planners import make_planner
from controller.replay.planning import make_controller, run_controller
from controller.replay.scene import Scene, make_scene
from controller.worlds import load_world
from hw.plant import Figures, Groups, execute
from hw.tables import pack
from policies.policy import Allowance
from traces.synthesis import SynthSpec, generate

N_CELLS, N_STEPS, STEP_S, STEPS_A_DAY = 100_000, 672, 900, 96
TWIN_CELLS = 10_000
PLAN_SITES = 3_400  # of three cells
WORLD = load_world("3gpp-cat1-set1")
TABLES = pack(WORLD.world, sample_s=STEP_S, target_mbit_s=25, target_share=0.8)


def median_s(work: Callable[[], object], turns: int) -> float:
    """Median wall time of some turns. [s]"""
    times = []
    for _ in range(turns):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def groups_of(n: int) -> Groups:
    """``n`` cells, each a group of its own."""
    number = np.arange(n + 1, dtype=np.int32)
    return Groups(
        np.zeros(n, np.int32),
        np.zeros(n + 1, np.int32),
        np.zeros(0, np.int32),
        number,
        number[:-1],
        np.zeros(0, np.float32),
    )


def planned(n_sites: int, days: int) -> tuple[Scene, NDArray[np.uint8], float]:
    """A single-layer network, its plan by the shipped profile, and the seconds that path and plan took."""
    trace = generate(SynthSpec(n_sites=n_sites, layers=1, days=days, seed=3, missing_share=0.0))
    begin = time.perf_counter()
    scene = make_scene(trace, WORLD, seed=0)
    profile = load_profile(None)
    controller = make_controller(
        make_planner("predictive", scene, profile), scene, profile, Allowance(0.001, 0.01)
    )
    plan = run_controller(controller, scene, progress=lambda _: None).plan
    return scene, plan, time.perf_counter() - begin


def full_size(
    plan: NDArray[np.uint8], loads: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Loads and plan repeated to the full number of cells, shifted so that no two copies are equal."""
    turns = -(-N_CELLS // len(plan))
    rng = np.random.default_rng(0)
    factor = rng.uniform(0.9, 1.1, (turns * len(plan), 1)).astype(np.float32)
    path = np.minimum(np.tile(loads, (turns, 1)) * factor, 1)[:N_CELLS]
    return np.ascontiguousarray(path), np.ascontiguousarray(np.tile(plan, (turns, 1))[:N_CELLS])


def peak_bytes() -> float:
    """Peak memory that inputs and execution of the full size add to a small run, each in a process of its own."""
    peaks = []
    for n in (1_000, N_CELLS):
        script = f"from benchmarks.replay_throughput import carry_out_noise; carry_out_noise({n})"
        done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
        peaks.append(float(done.stdout))
    return peaks[1] - peaks[0]


def carry_out_noise(n: int) -> None:
    """Carry out a plan on ``n`` cells and print the peak memory of this process. [byte]"""
    path, plan = np.empty((n, N_STEPS), np.float32), np.empty((n, N_STEPS), np.uint8)
    path[:], plan[:] = 0.3, 2
    ul = np.full((n, 1), 0.25, np.float32)
    execute(TABLES, groups_of(n), path, ul, plan, samples_per_tick=1, samples_per_day=STEPS_A_DAY)
    # not ru_maxrss, which begins with that of the parent
    status = Path("/proc/self/status").read_text()
    print(1024 * int(status.split("VmHWM:")[1].split()[0]))


def triad_bytes_per_s() -> float:
    """Memory bandwidth of a = b + s c over arrays beyond the caches, all threads. [byte/s]"""
    size = 50_000_000
    a, b, c = np.zeros(size, np.float32), np.ones(size, np.float32), np.ones(size, np.float32)
    _triad(a, b, c)
    return 3 * a.nbytes / median_s(lambda: _triad(a, b, c), 7)


@numba.njit(parallel=True)
def _triad(a, b, c):  # type: ignore[no-untyped-def]
    for i in numba.prange(len(a)):
        a[i] = b[i] + 0.5 * c[i]


def main() -> None:
    """Measure and print all rows."""
    threads = numba.get_num_threads()
    planned(2, 1)
    scene, plan, _ = planned(200, N_STEPS // STEPS_A_DAY)
    path, levels = full_size(plan, np.nan_to_num(scene.path.reshape(len(plan), N_STEPS, -1).mean(2)))
    scene, _, plan_s = planned(PLAN_SITES, 2)
    ul = np.full((N_CELLS, 1), 0.25, np.float32)
    groups = groups_of(N_CELLS)

    def run(n: int = N_CELLS, changing: NDArray[np.uint8] | None = None) -> Figures:
        chosen = levels if changing is None else changing
        return execute(
            TABLES, groups_of(n) if n != N_CELLS else groups, path[:n], ul[:n], chosen[:n],
            samples_per_tick=1, samples_per_day=STEPS_A_DAY,
        )  # fmt: skip

    figures = run()
    touched_bytes = path.nbytes + levels.nbytes + ul.nbytes
    touched_bytes += figures.table.nbytes + figures.latency.nbytes
    steps = N_CELLS * N_STEPS
    execute_s = median_s(run, 7)
    busy = levels.copy()
    busy[:, ::2] = 1
    busy_s = median_s(lambda: run(changing=busy), 3)
    size = f"{N_CELLS} cells x {N_STEPS} steps, {threads} threads"
    print_row(
        "execute_cell_steps_per_s", steps / execute_s, "cell-step/s",
        f"{size}; a plan of the shipped policy; {steps / busy_s:.3g} with a change in nearly every step",
        bar=(">=", 5e7),
    )  # fmt: skip
    print_row(
        "plan_cell_steps_per_s", scene.path.size / plan_s, "cell-step/s",
        f"{scene.path.shape[0]} single cells x {scene.path.shape[1]} samples of 60 s: paths, ticks, guards and "
        f"simulated telemetry; {threads} threads",
        bar=(">=", 2e6),
    )  # fmt: skip
    n = TWIN_CELLS
    ours = run(n)
    twin = execute_numpy(TABLES, path[:n], ul[:n], levels[:n], STEPS_A_DAY)
    np.testing.assert_allclose(ours.table, twin[0], rtol=1e-4, atol=1e-3)
    numpy_s = median_s(lambda: execute_numpy(TABLES, path[:n], ul[:n], levels[:n], STEPS_A_DAY), 5)
    kernel_s = median_s(lambda: run(n), 9)
    print_row(
        "execute_vs_numpy", numpy_s / kernel_s, "ratio",
        f"{n} cells x {N_STEPS} steps, equal to 1e-4; whole-array NumPy against the kernel, {threads} threads",
        ours=n * N_STEPS / kernel_s, peer=n * N_STEPS / numpy_s, bar=(">=", 10.0),
    )  # fmt: skip
    print_row(
        "bytes_per_cell_step", peak_bytes() / steps, "byte",
        f"{size}; peak memory of a fresh process less that of the same process with 1,000 cells", bar=("<=", 24.0),
    )  # fmt: skip
    triad = triad_bytes_per_s()
    touched = touched_bytes / execute_s
    print_row(
        "memory_bandwidth_share", touched / triad, "ratio",
        f"bytes of inputs and figures a second over a triad of {triad:.3g} byte/s in the same run",
        ours=touched, peer=triad,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
