"""Chaos runs of real processes, some at a time: ``python -m benchmarks.chaos_processes [--runs N] [--first SEED]``.

A run is one of benchmarks/chaos_proc_run.py: a plant, two agents and a controller over mutual TLS, in namespaces of
its own. Prints the rows ``process_runs`` and ``process_violations``; benchmarks/chaos.py adds the runs to its own rows.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from benchmarks.chaos_proc_net import missing
from benchmarks.chaos_proc_run import Result, isolated_run
from benchmarks.chaos_proc_scene import make_scene
from benchmarks.rows import print_row

AT_A_TIME = 4


def results(seeds: range, at_a_time: int = AT_A_TIME) -> Iterator[Result]:
    """Runs of some seeds as they end. Empty, with the reason on standard error, where none can be made."""
    why = missing() if len(seeds) else "none was asked for"
    if why:
        print(f"no runs of real processes: {why}", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as made, ThreadPoolExecutor(at_a_time) as pool:
        top = Path(made)
        (top / "scene").mkdir()
        scene = make_scene(top / "scene")

        def run(seed: int) -> Result:
            folder = top / f"run-{seed}"
            folder.mkdir()
            return isolated_run(scene, folder, seed)

        for ended in as_completed([pool.submit(run, seed) for seed in seeds]):
            yield ended.result()


def watched(seeds: range, at_a_time: int = AT_A_TIME) -> tuple[int, int, int]:
    """Runs, violations and times that a cell went deeper; violations are printed as they come, with what happened."""
    runs = violations = deeper = 0
    for result in results(seeds, at_a_time):
        runs, deeper = runs + 1, deeper + result.deeper
        violations += len(result.violations)
        print(
            f"process run {result.seed}: {result.took_s:.0f} s, {result.deeper} times deeper", file=sys.stderr
        )
        if result.violations:
            for line in (*result.faults, *result.violations):
                print(f"process seed {result.seed}: {line}", file=sys.stderr)
    return runs, violations, deeper


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=100, help="runs; default 100")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--at-a-time", type=int, default=AT_A_TIME, help="runs beside each other")
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.runs)
    runs, violations, deeper = watched(seeds, asked.at_a_time)
    conditions = f"real processes, seeds {seeds.start} to {seeds.stop - 1}; {deeper} times deeper"
    print_row("process_runs", runs, "runs", conditions, bar=(">=", 100))
    print_row("process_violations", violations, "violations", conditions, bar=("<=", 0))


if __name__ == "__main__":
    main()
