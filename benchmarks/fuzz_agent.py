"""Fuzzed messages through codecs and cores of agents, then to a real agent over mutual TLS, then bytes that are none.

A twin of the contract, written apart, says after each message what the plant may hold. Prints one JSON line a figure; a
violation goes to standard error with its seed and message.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import gc
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.rows import print_row
from tests.hw.agents.fuzz_targets import Fuzz, power_fuzz, radio_fuzz
from tests.hw.agents.fuzz_wire import (
    HandClock,
    ObedientRadio,
    WireFuzz,
    make_lab,
    secured_agent,
    send_garbage,
)

HANG_S = 60.0  # for a thousand messages; the process ends with where it was
CHUNK = 1000
WARM_SHARE = 0.2  # after which memory must not grow
MOST_GROWN_MB = 8.0
MOST_GROWN_OBJECTS = 2000


@dataclass
class Tally:
    """What came of the messages."""

    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    grown_mb: float = 0.0
    grown_objects: int = 0
    slowest_ms: float = 0.0


def held() -> tuple[float, int]:
    """Memory of this process [MB] and objects in it."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6, len(gc.get_objects())


def fuzz_cores(n_messages: int, seed: int, make: Callable[[int], Fuzz]) -> Tally:
    """Feed one kind of agent."""
    tally, fuzz, warm = Tally(), make(seed), held()
    for done in range(0, n_messages, CHUNK):
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        if done <= WARM_SHARE * n_messages:
            warm = held()
        for _ in range(min(CHUNK, n_messages - done)):
            began = time.perf_counter()
            fuzz.one()
            tally.slowest_ms = max(tally.slowest_ms, (time.perf_counter() - began) * 1000)
        if fuzz.violations:
            break
    faulthandler.cancel_dump_traceback_later()
    now = held()
    tally.counts = fuzz.counts
    tally.violations = [f"{make.__name__} seed {seed}: {violation}" for violation in fuzz.violations]
    tally.grown_mb, tally.grown_objects = max(0.0, now[0] - warm[0]), max(0, now[1] - warm[1])
    return tally


def fuzz_wire(n_messages: int, n_connections: int, seed: int) -> tuple[Tally, Counter[str]]:
    """Send messages, then garbage, to a real agent over mutual TLS; it must serve after both."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_lab(folder)
        asyncio.run(WireFuzz(seed, folder).run(min(n_messages, 500)))  # what gRPC and TLS take once
        warm, fuzz = held(), WireFuzz(seed, folder)
        asyncio.run(fuzz.run(n_messages))
        seen = asyncio.run(_garbage(folder, seed, n_connections))
        after = WireFuzz(seed + 1, folder)
        asyncio.run(after.run(100))
        now = held()
    tally.counts = fuzz.counts + after.counts
    tally.violations = [
        f"wire seed {seed}: {violation}" for violation in (*fuzz.violations, *after.violations)
    ]
    tally.grown_mb, tally.grown_objects = max(0.0, now[0] - warm[0]), max(0, now[1] - warm[1])
    return tally, seen


async def _garbage(folder: Path, seed: int, n_connections: int) -> Counter[str]:
    async with secured_agent(folder, folder / "state", HandClock(1_000_000), ObedientRadio()) as server:
        return await send_garbage(folder, server.port, seed, n_connections)


def tell(tally: Tally, prefix: str, conditions: str) -> None:
    """Print the rows of one tally."""
    counts = tally.counts
    print("\n".join(tally.violations), file=sys.stderr, end="")
    ended = {name: count for name, count in counts.items() if name != "messages"}
    share = counts["judged"] / max(1, counts["messages"])
    conditions = f"{conditions}; {', '.join(f'{count} {name}' for name, count in sorted(ended.items()))}"
    print_row(f"{prefix}_messages", counts["messages"], "messages", conditions)
    print_row(f"{prefix}_share_reaching_validation", share, "ratio", conditions, bar=(">=", 0.5))
    print_row(f"{prefix}_violations", len(tally.violations), "violations", conditions, bar=("==", 0))
    print_row(f"{prefix}_growth_mb", tally.grown_mb, "MB", conditions, bar=("<=", MOST_GROWN_MB))
    print_row(
        f"{prefix}_growth_objects", tally.grown_objects, "objects", conditions, bar=("<=", MOST_GROWN_OBJECTS)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--messages", type=int, default=1_000_000, help="to the cores, half radio, half power"
    )
    parser.add_argument("--wire", type=int, default=100_000, help="messages over mutual TLS")
    parser.add_argument(
        "--connections", type=int, default=2_000, help="connections with bytes that are no message"
    )
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    logging.disable(logging.ERROR)  # each refusal is a line
    tallies = [fuzz_cores(given.messages // 2, given.seed, make) for make in (radio_fuzz, power_fuzz)]
    both = Tally(
        tallies[0].counts + tallies[1].counts,
        tallies[0].violations + tallies[1].violations,
        sum(tally.grown_mb for tally in tallies),
        sum(tally.grown_objects for tally in tallies),
    )
    slowest_ms = max(tally.slowest_ms for tally in tallies)
    tell(
        both, "fuzz", f"codec and core in one process, seed {given.seed}, slowest message {slowest_ms:.0f} ms"
    )
    wire, seen = fuzz_wire(given.wire, given.connections, given.seed)
    garbage = ", ".join(f"{count} {name}" for name, count in sorted(seen.items()))
    tell(wire, "fuzz_wire", f"radio agent over mutual TLS, seed {given.seed}; garbage connections: {garbage}")
    raise SystemExit(bool(both.violations or wire.violations))


if __name__ == "__main__":
    main()
