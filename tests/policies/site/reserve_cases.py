"""Random sites for the tests of the reserve."""

from __future__ import annotations

import numpy as np

from policies.site.reserve import Agents, Backup, Loads, Pack

STEP_S = 900


def random_case(seed: int, n: int = 3, steps: int = 12) -> tuple[Backup, Loads, Agents, Pack]:
    """Sites with packs that always suffice; times are whole minutes."""
    rng = np.random.default_rng(seed)
    radio_s = 60.0 * rng.integers(0, 240, n)
    transport_s = radio_s + 60.0 * rng.integers(0, 240, n)
    span = steps + int(np.ceil(transport_s.max() / STEP_S))
    full = rng.uniform(500, 3000, (n, span))
    backup = Backup(radio_s, transport_s, 60.0 * rng.integers(0, 90, n))
    loads = Loads(
        full * rng.uniform(0.2, 1.1, (n, span)),
        full,
        full * rng.uniform(0.1, 1.1, (n, span)),
        rng.uniform(100, 400, (n, span)),
    )
    agents = Agents(rng.random(n) < 0.5, 60.0 * rng.integers(0, 30, n))
    cut = rng.uniform(100, 2000, (n, steps + 1))
    pack = Pack(np.full_like(cut, 1e6), cut, cut * 0.5, rng.uniform(0.8, 1, n), rng.uniform(0, 20, n))
    return backup, loads, agents, pack


def plain_case(
    *, radio_h: float, transport_h: float, capacity_wh: float, n_steps: int = 4
) -> tuple[Backup, Loads, Agents, Pack]:
    """One site by hand: radio 1000 W, asleep 400 W, on program 250 W; transport 200 W; cut-offs 500 and 300 Wh."""
    span = n_steps + int(np.ceil(transport_h * 3600 / STEP_S))
    row = np.ones((1, span))
    flat = np.ones((1, n_steps + 1))
    return (
        Backup(np.array([radio_h * 3600]), np.array([transport_h * 3600]), np.array([1800.0])),
        Loads(400 * row, 1000 * row, 250 * row, 200 * row),
        Agents(np.array([False]), np.array([600.0])),
        Pack(capacity_wh * flat, 500 * flat, 300 * flat, np.array([0.9]), np.array([0.0])),
    )
