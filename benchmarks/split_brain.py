"""Whether two controllers of one network can ever both have cells asleep, whatever becomes of network and clocks.

    .venv/bin/python -m benchmarks.split_brain [--runs 1000] [--first SEED] [--mutant-seeds 100]

Each run is a thousand seconds of two instances with the real election, core, run loop and links, and three to five real
agents, in one process with virtual clocks and networks. Instances are cut off from some or all agents, frozen with what
they were about to send, killed and started again; clocks are set, agents restart, messages are held up and doubled.

Two instances must never take themselves for leaders at one time, frozen ones too. Two leaders' sleeps must never be
in force at one time: not on one cell and, as cells count on their neighbours, not on two cells of the network. And no
cell is below full service beyond its lease (benchmarks/chaos_ledger.py).
Nor may agents grant two at a time, a leader send without the running grants of a majority, or a new one send a sleep
within one lease of its win (benchmarks/split_brain_votes.py).
``take_over_s_max``: from the death of a leader, or its being cut off from all agents, until the other one leads, where
nothing else was broken meanwhile. Then one safeguard at a time is taken out, and the same seeds must notice.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from unittest.mock import patch

from benchmarks.rows import print_row
from benchmarks.split_brain_run import Outcome, simulate
from benchmarks.workers import first_that, two_workers
from controller.live.term import Term
from controller.live.wanted import Wanted
from hw.agents.grants import Grants


@contextmanager
def any_grant() -> Iterator[None]:
    """One agent's grant is enough."""
    init = Term.__init__

    def lonely(self, *args, **more):  # type: ignore[no-untyped-def]
        init(self, *args, **more)
        self.majority = 1

    with patch.object(Term, "__init__", lonely):
        yield


@contextmanager
def agents_follow_anybody() -> Iterator[None]:
    """Agents grant and follow a higher epoch although another instance holds theirs."""
    with patch.object(Grants, "is_free", lambda *_: True):
        yield


@contextmanager
def no_end_of_term() -> Iterator[None]:
    """Who has led once takes itself for the leader for ever."""
    leads = Term.leads

    def for_ever(self, now_us):  # type: ignore[no-untyped-def]
        self.was_leading = getattr(self, "was_leading", False) or leads(self, now_us)
        return self.was_leading

    with patch.object(Term, "leads", for_ever):
        yield


@contextmanager
def no_wait() -> Iterator[None]:
    """A new leader does not wait for the leases of the one before."""
    never = property(lambda _self: 0, lambda _self, _ticks: None)
    with patch.object(Wanted, "wait_ticks", never, create=True):
        yield


MUTANTS = {
    "majority": any_grant,
    "grant": agents_follow_anybody,
    "term": no_end_of_term,
    "wait": no_wait,
}


@dataclass(slots=True)
class Total:
    """What came of many runs."""

    runs: int = 0
    violations: int = 0
    deeper: int = 0
    changes: int = 0  # of the leader
    take_over_s: list[float] = field(default_factory=list)


def one(job: tuple[int, str | None]) -> Outcome:
    """A run, in a process of the pool."""
    seed, mutant = job
    without: AbstractContextManager[None] = MUTANTS[mutant]() if mutant else patch.dict({}, {})
    with without:
        return simulate(seed)


def totals(runs: int, first: int) -> Total:
    """Runs of some seeds; violations are printed with their seed as they come."""
    total = Total()
    with two_workers() as pool:
        for outcome in pool.imap_unordered(one, ((seed, None) for seed in range(first, first + runs)), 4):
            total.runs += 1
            total.violations += len(outcome.violations)
            total.deeper += outcome.deeper
            total.changes += outcome.changes
            total.take_over_s += outcome.take_over_s
            for text in outcome.violations:
                print(f"seed {outcome.seed}: {text}", file=sys.stderr)
            if total.runs % 50 == 0:
                print(f"{total.runs} of {runs} runs, {total.violations} violations", file=sys.stderr)
    return total


def print_totals(total: Total, first: int) -> None:
    """The rows."""
    conditions = (
        f"{total.runs} runs from seed {first}, 1000 virtual s each, two instances, 3 to 5 agents; "
        f"{total.changes} changes of leader, {total.deeper} times deeper"
    )
    print_row("split_brain_violations", total.violations, "violations", conditions, bar=("<=", 0))
    longest_s = max(total.take_over_s, default=0.0)
    seen = f"{len(total.take_over_s)} deaths and cuts of a leader with nothing else broken; term 30 s"
    print_row("take_over_s_max", round(longest_s, 1), "s", seen)


def unnoticed(seeds: range) -> list[str]:
    """Safeguards without which no run breaks anything."""
    left = []
    with two_workers() as pool:
        for mutant in MUTANTS:
            noticed = first_that(lambda outcome: outcome.violations, pool, one, mutant, seeds)
            seed = None if noticed is None else noticed.seed
            print(f"without {mutant}: noticed by seed {seed}", file=sys.stderr)
            if noticed is None:
                left.append(mutant)
    return left


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument(
        "--mutant-seeds", type=int, default=100, help="seeds that may be needed to notice a mutant"
    )
    asked = parser.parse_args()
    total = totals(asked.runs, asked.first)
    print_totals(total, asked.first)
    left = unnoticed(range(asked.mutant_seeds)) if asked.mutant_seeds else []
    print_row("split_brain_mutants_survived", len(left), "mutants", ", ".join(left) or "none", bar=("<=", 0))
    if total.violations or left:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
