"""Whether anything that breaks can make a cell serve less than it was commanded to, or for longer than its lease.

    .venv/bin/python -m benchmarks.chaos [--virtual N] [--sites N] [--processes N] [--mutant-seeds N]
        [--first SEED]

Each virtual run is a thousand seconds of the real controller core, run loop, links, agent servers and cores in one
process, with virtual clocks, network and disks (benchmarks/chaos_run.py). What must hold: benchmarks/chaos_ledger.py.
A run with sites has a battery at each, behind a power agent and the physics of the simulated plant, some of them
under a controller without a guard (benchmarks/chaos_power_run.py); what must hold: benchmarks/chaos_power_ledger.py.
A process run is a plant, two agents and a controller as processes over mutual TLS, for some seconds, with kill -9,
lost packets, full disks and the like (benchmarks/chaos_proc_run.py); it needs root, and is left out elsewhere.
Then one safeguard at a time is taken out of our code (benchmarks/chaos_mutants.py, benchmarks/chaos_power_mutants.py),
and the same seeds must notice. A violation is printed with its seed; ``python -m benchmarks.chaos_run SEED`` runs it
again, ``python -m benchmarks.chaos_power_run SEED`` one with sites, or ``python -m benchmarks.chaos_proc_run SEED``,
whose faults follow from the seed while their effects vary.
"""

from __future__ import annotations

import argparse
import multiprocessing
import multiprocessing.pool
import sys
import time
from collections.abc import Iterable

from benchmarks import chaos_power_run, chaos_processes
from benchmarks.chaos_mutants import MUTANTS
from benchmarks.chaos_power_mutants import MUTANTS as OF_SITES
from benchmarks.chaos_power_run import PowerResult
from benchmarks.chaos_run import Result, simulate
from benchmarks.rows import print_row
from benchmarks.workers import first_that, two_workers


def one(job: tuple[int, str | None]) -> Result:
    """A run, in a process of the pool."""
    return simulate(*job)


def one_with_sites(job: tuple[int, str | None]) -> PowerResult:
    """The same with site power."""
    return chaos_power_run.simulate(*job)


def watched(results: Iterable[Result], total: int) -> tuple[int, int, int]:
    """Runs, violations and times that a cell went deeper or a setpoint began; violations are printed as they come."""
    runs = violations = deeper = 0
    began_s = said_s = time.monotonic()
    for result in results:
        runs += 1
        deeper += result.setpoints if isinstance(result, PowerResult) else result.deeper
        violations += len(result.violations)
        for violation in result.violations:
            print(f"seed {result.seed}, {violation.at_s:.1f} s: {violation.text}", file=sys.stderr)
        if time.monotonic() - said_s > 10:
            said_s = time.monotonic()
            print(
                f"{runs} of {total} runs in {said_s - began_s:.0f} s, {violations} violations",
                file=sys.stderr,
            )
    return runs, violations, deeper


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--virtual", type=int, default=10_000, help="virtual runs; default 10000, less than an hour"
    )
    parser.add_argument("--sites", type=int, default=1000, help="virtual runs with site power; default 1000")
    parser.add_argument("--processes", type=int, default=100, help="process runs; default 100, half an hour")
    parser.add_argument(
        "--mutant-seeds", type=int, default=200, help="seeds that may be needed to notice a mutant"
    )
    parser.add_argument("--first", type=int, default=0, help="first seed")
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.virtual)
    process_seeds = range(asked.first, asked.first + asked.processes)
    made, broken, went_deeper = chaos_processes.watched(process_seeds)
    with two_workers() as pool:
        results = pool.imap_unordered(one, ((seed, None) for seed in seeds), chunksize=4)
        runs, violations, deeper = watched(results, len(seeds))
        conditions = f"seeds {seeds.start} to {seeds.stop - 1}, 1000 virtual s each; {deeper} times deeper"
        print_row("virtual_runs", runs, "runs", conditions, bar=(">=", 10_000))
        site_seeds = range(asked.first, asked.first + asked.sites)
        results = pool.imap_unordered(one_with_sites, ((seed, None) for seed in site_seeds), chunksize=4)
        with_sites, broken_sites, setpoints = watched(results, len(site_seeds))
        conditions = (
            f"seeds {site_seeds.start} to {site_seeds.stop - 1}, with site power; {setpoints} setpoints"
        )
        print_row("site_runs", with_sites, "runs", conditions, bar=(">=", 300))
        about = f"seeds {process_seeds.start} to {process_seeds.stop - 1}, real processes; {went_deeper} times deeper"
        print_row("process_runs", made, "runs", about, bar=(">=", 100))
        each = f"{violations} in virtual runs, {broken_sites} in those with sites, {broken} in process runs"
        violations += broken_sites + broken
        print_row("violations", violations, "violations", each, bar=("<=", 0))
        survived = []
        for mutant in (*MUTANTS, *OF_SITES):
            needed = _noticed(pool, mutant, range(asked.mutant_seeds))
            print(f"without {mutant}: noticed by seed {needed}", file=sys.stderr)
            if needed is None:
                survived.append(mutant)
    noticed = (
        f"{', '.join((*MUTANTS, *OF_SITES))} taken out one at a time, up to {asked.mutant_seeds} seeds each"
    )
    print_row(
        "mutants_survived",
        len(survived),
        "mutants",
        noticed + "".join(f"; {s}" for s in survived),
        bar=("<=", 0),
    )
    if violations or survived:
        raise SystemExit(1)


def _noticed(pool: multiprocessing.pool.Pool, mutant: str, seeds: range) -> int | None:
    """The first seed whose run breaks something without a safeguard."""
    run = one_with_sites if mutant in OF_SITES else one
    noticed = first_that(_found, pool, run, mutant, seeds)
    return None if noticed is None else noticed.seed


def _found(result: Result) -> list[str]:
    """What a run broke; with sites, at them."""
    return result.at_sites if isinstance(result, PowerResult) else result.violations


if __name__ == "__main__":
    main()
