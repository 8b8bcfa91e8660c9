"""Every figure of a report, worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from controller.replay.figures import (
    CeilingError,
    Outcome,
    captured,
    captured_figures,
    gain,
    join,
    latency_p95_ms,
    level_shares,
    service_figures,
    share,
)
from controller.replay.planning import Planned
from controller.replay.run import score
from controller.worlds import EvaluatedWorld
from hw.plant import BELOW, CHANGES, LOST, N_COLUMNS, OFFERED, UNSERVED, Figures
from hw.spec import ServiceSpec
from hw.tables import LATENCY_BINS, LATENCY_CAP_MS

LEVELS = ("full", "symbol", "rf_channel_8")
PER_DAY = 1440


def outcome(cells: list[list[dict[Any, float]]], latency: Any = None) -> Outcome:
    """What happened per cell and day: columns of the table, ``("at", level)`` samples and ``("on", level)`` energy."""
    table = np.zeros((len(cells), len(cells[0]), N_COLUMNS + 2 * len(LEVELS)))
    for i, days in enumerate(cells):
        for d, booked in enumerate(days):
            for key, value in booked.items():
                column = key
                if isinstance(key, tuple):
                    column = N_COLUMNS + LEVELS.index(key[1]) + (len(LEVELS) if key[0] == "on" else 0)
                table[i, d, column] = value
    return Outcome(table, np.zeros(LATENCY_BINS) if latency is None else latency, len(LEVELS))


BUSY = {
    OFFERED: 600,
    UNSERVED: 3,
    BELOW: 12,
    LOST: 60,
    CHANGES: 8,
    ("at", "symbol"): 1440,
    ("on", "symbol"): 14400,
}
CALM = {OFFERED: 400, UNSERVED: 0, BELOW: 2, LOST: 20, CHANGES: 4, ("at", "full"): 720, ("on", "full"): 7200}
REST = {OFFERED: 0, CHANGES: 2, ("at", "rf_channel_8"): 1440, ("on", "rf_channel_8"): 3600}
GONE: dict[Any, float] = {}  # a cell of which nothing was recorded
CELLS = [[BUSY, BUSY], [CALM, CALM], [REST, REST], [GONE, GONE]]


@pytest.fixture
def service(world: EvaluatedWorld) -> ServiceSpec:
    return world.evaluation.service


def test_service_figures_add_up_over_cells_and_days(service: ServiceSpec) -> None:
    figures = service_figures(outcome(CELLS), service, PER_DAY)
    assert figures == {
        "unserved_share": pytest.approx(6 / 2000),
        "below_target_share": pytest.approx(28 / 2000),
        "cells_over_limit_share": pytest.approx(
            1 / 3
        ),  # 2 % of the first cell, 0.5 % of the second, of three
        "worst_cell_unserved_share": pytest.approx(6 / 1200),
        "throughput_loss_mean": pytest.approx(160 / 2000),
        "emergency_wakes_per_cell_day": 0.0,
        "level_changes_per_cell_day": pytest.approx(28 / 5),  # 7200 scored samples are five cell-days
        "limits_held": False,
    }


def test_a_cell_exactly_at_its_limit_is_not_over_it(service: ServiceSpec) -> None:
    day = {OFFERED: 1000, BELOW: 10, ("at", "symbol"): 1440}
    assert service_figures(outcome([[day]]), service, PER_DAY)["cells_over_limit_share"] == 0
    over = day | {BELOW: 10.001}
    assert service_figures(outcome([[over]]), service, PER_DAY)["cells_over_limit_share"] == 1


LIMITS = [  # booked on one cell of a hundred; is it still within the limits?
    ({UNSERVED: 0.99e-4 * 1000}, True),
    ({UNSERVED: 1.01e-4 * 1000}, False),
    ({BELOW: 0.99e-3 * 1000}, True),
    ({BELOW: 1.01e-3 * 1000}, False),
    ({CHANGES: 12}, True),
    ({CHANGES: 12.01}, False),
]


@pytest.mark.parametrize(("booked", "held"), LIMITS)
def test_each_limit_counts(booked: dict[Any, float], held: bool, service: ServiceSpec) -> None:
    day = {OFFERED: 10, ("at", "symbol"): 1440}
    cells: Any = [
        [day | {key: value / 100 if key != CHANGES else value for key, value in booked.items()}]
    ] * 100
    assert service_figures(outcome(cells), service, PER_DAY)["limits_held"] is held


@pytest.mark.parametrize(("n_over", "held"), [(1, True), (2, False)])
def test_one_cell_of_a_hundred_may_exceed_its_own_limit(
    n_over: int, held: bool, service: ServiceSpec
) -> None:
    calm, over = {OFFERED: 100, ("at", "symbol"): 1440}, {OFFERED: 100, BELOW: 1.1, ("at", "symbol"): 1440}
    cells: Any = [[over]] * n_over + [[calm]] * (100 - n_over)
    assert service_figures(outcome(cells), service, PER_DAY)["limits_held"] is held


def test_nothing_recorded_is_nothing_missed(service: ServiceSpec) -> None:
    figures = service_figures(outcome([[GONE]]), service, PER_DAY)
    assert figures.pop("limits_held") is True
    assert set(figures.values()) == {0}
    assert all(type(value) is float for value in figures.values())


def test_efficiency_is_served_traffic_over_energy() -> None:
    """None serves 1000 with 50,000; the policy serves 990 with 40,000: 24.75 against 20 per thousand."""
    none = outcome([[{OFFERED: 1000, ("at", "full"): 1440, ("on", "full"): 50_000}]])
    saved = outcome([[{OFFERED: 1000, UNSERVED: 10, ("at", "symbol"): 1440, ("on", "symbol"): 40_000}]])
    assert gain(saved, none) == pytest.approx(24.75 / 20 - 1)
    assert gain(none, none) == 0
    nothing = outcome([[{OFFERED: 0, ("at", "full"): 1440, ("on", "full"): 50_000}]])
    assert gain(saved, nothing) is None
    off = outcome([[{OFFERED: 1000, UNSERVED: 1000, ("on", "symbol"): 1}]])
    assert gain(off, none) == -1


def test_captured_share_is_the_way_from_the_baseline_to_the_ceiling() -> None:
    assert captured(70, 100, 60) == pytest.approx(0.75)
    assert captured(110, 100, 60) == pytest.approx(-0.25)
    assert captured(100, 100, 100) is None
    found = captured_figures("predictive", 70, 100, 90, 60, True)
    assert found == {
        "captured_share": pytest.approx(0.75),
        "captured_share_beyond_symbol": pytest.approx(20 / 30),
    }


UNDEFINED = [
    ({"ceiling": None}, "captured_share", "no ceiling was computed"),
    ({"energy_symbol": None}, "captured_share_beyond_symbol", "not identified"),
    ({"ceiling": 90}, "captured_share_beyond_symbol", "nothing can be saved"),
    ({"energy": 50, "held": False}, "captured_share", "limits were missed"),
    ({"energy": 50, "name": "logged"}, "captured_share", "other instants"),
]


@pytest.mark.parametrize(("change", "key", "reason"), UNDEFINED)
def test_what_is_undefined_says_why(change: dict[str, Any], key: str, reason: str) -> None:
    known = {"name": "x", "energy": 95, "energy_none": 100, "energy_symbol": 90, "ceiling": 60, "held": True}
    found = captured_figures(**(known | change))
    assert found[key] is None
    assert reason in found[f"{key}_reason"]


def test_above_the_ceiling_within_the_limits_is_an_error() -> None:
    with pytest.raises(CeilingError, match=r"predictive: captured_share is 1\.0025"):
        captured_figures("predictive", 59.9, 100, 90, 60, True)
    rounded = captured_figures("oracle", 60 * (1 - 1e-8), 100, 90, 60, True)
    assert rounded["captured_share"] == 1, "the tables of the oracle are float32"


def test_level_shares_are_of_scored_time() -> None:
    found = level_shares(outcome(CELLS), LEVELS)
    assert found == {
        "full": pytest.approx(0.2),
        "symbol": pytest.approx(0.4),
        "rf_channel_8": pytest.approx(0.4),
    }
    assert level_shares(outcome([[CALM]]), LEVELS) == {"full": 1.0}


def test_energy_and_traffic_of_parts() -> None:
    whole = outcome([[BUSY, CALM], [REST, BUSY]])
    assert whole.energy == 14400 + 7200 + 3600 + 14400
    assert (whole.offered, whole.served, whole.samples) == (1600, 1594, 1440 * 3 + 720)
    assert whole.days(1).energy == 7200 + 14400
    assert whole.cells(np.array([1])).offered == 600


def test_blocks_are_joined_in_order() -> None:
    one, two = outcome([[BUSY]]), outcome([[CALM], [REST]])
    parts = [
        Figures(
            part.table,
            np.full((len(part.table), LATENCY_BINS), 2, np.float32),
            np.zeros((1, 0), np.float32),
            3,
        )
        for part in (one, two)
    ]
    joined = join(parts)
    assert joined.table[:, 0, OFFERED].tolist() == [600, 400, 0]
    assert joined.latency.tolist() == [6.0] * LATENCY_BINS


def test_the_latency_quantile_is_weighted_by_traffic() -> None:
    """94 % of the traffic is not delayed, 6 % lands in one bin; bins are spaced by the square root."""
    latency = np.zeros(LATENCY_BINS)
    latency[0], latency[20] = 94, 6
    upper_edge_ms = LATENCY_CAP_MS * (21 / (LATENCY_BINS - 1)) ** 2
    assert latency_p95_ms(outcome([[BUSY]], latency)) == pytest.approx(upper_edge_ms)
    latency[0], latency[20] = 96, 4
    assert latency_p95_ms(outcome([[BUSY]], latency)) == 0
    assert latency_p95_ms(outcome([[BUSY]])) == 0


def test_a_share_of_nothing_is_nothing() -> None:
    assert share(1, 4) == 0.25
    assert share(0, 0) == 0


def test_a_quiet_cell_on_few_channels_from_the_plant_to_the_figures(
    small_trace: Any, make_stage: Any, world: EvaluatedWorld
) -> None:
    """One cell at a load of 0.1 for a day, half of it on 8 of 64 TxRU; every figure from the definitions."""
    stage = make_stage(small_trace(np.full((1, 96), 0.1)), sigma=0.0)
    plan = np.full((1, 96), 1, np.uint8)
    plan[0, :48] = 4
    done = score(stage, [Planned(plan)])
    figures = service_figures(done, world.evaluation.service, PER_DAY)
    rate = np.log2(1 + 10 ** ((20 - 9) / 10)) / np.log2(1 + 100)
    throughput, alone = 1000 * (rate - 0.1), 900
    assert done.offered == pytest.approx(144)
    assert figures["throughput_loss_mean"] == pytest.approx(0.5 * (1 - throughput / alone), rel=1e-5)
    assert figures["level_changes_per_cell_day"] == 2
    assert figures["unserved_share"] == figures["below_target_share"] == 0
    added_ms = 1000 / throughput - 1000 / alone
    assert added_ms <= latency_p95_ms(done) < 1.2 * added_ms

    def power(r: float, txru: float) -> float:
        """Mean of the downlink symbols (always on, used, empty) and of the uplink, in P1."""
        used = 55 + txru * 225 * (0.4 + 0.6 * (1 + r) / 2)
        always = 55 + txru * 225 * (0.4 + 0.6 * 20 / 273)
        filled = 2 * r / (1 + r)
        down = 48 / 560 * always + 512 / 560 * (filled * used + (1 - filled) * 55)
        return 0.75 * down + 0.25 * (55 + 0.25 * r * txru * 55)

    assert done.energy == pytest.approx(720 * (power(0.1, 1) + power(0.1 / rate, 1 / 8)), rel=1e-5)
