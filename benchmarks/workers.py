"""Two processes for runs in virtual time, and how many of their runs it takes to notice that a safeguard is gone."""

from __future__ import annotations

import multiprocessing
import multiprocessing.pool
from collections.abc import Callable, Iterable
from typing import TypeVar

import numba

AT_A_TIME = 8  # seeds
Outcome = TypeVar("Outcome")


def two_workers() -> multiprocessing.pool.Pool:
    """A pool whose kernels run in one thread: on networks this small, threads of two workers wait for each other."""
    return multiprocessing.get_context("spawn").Pool(2, numba.set_num_threads, (1,))


def first_that(
    is_found: Callable[[Outcome], object],
    pool: multiprocessing.pool.Pool,
    run: Callable[[tuple[int, str | None]], Outcome],
    mutant: str,
    seeds: range,
) -> Outcome | None:
    """The first outcome, by seed, in which something is found; None: none of them.

    A few seeds at a time, as all that a pool was asked for runs, wanted or not.
    """
    for first in range(0, len(seeds), AT_A_TIME):
        jobs: Iterable[tuple[int, str]] = [(seed, mutant) for seed in seeds[first : first + AT_A_TIME]]
        for outcome in pool.map(run, jobs, 1):
            if is_found(outcome):
                return outcome
    return None
