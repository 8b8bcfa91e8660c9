"""Sleep that is weighed by the price of energy: what is told, and what it saves at the same service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.energy_price import EnergyPrices
from controller.errors import ConfigError
from controller.replay.figures import service_figures
from controller.replay.run import run_policy
from controller.replay.stage import Stage
from controller.site.building import prepare
from controller.site.sleep_price import running_price, sleep_prices, with_events
from policies.price_ratio import MOST
from tests.controller.site.site_made import DEFAULTS, HEAD, PER_DAY, STEP_S, grid, write
from traces import Trace
from traces.synthesis import SynthSpec, generate

SITE = np.array([0, 0, 1])
EVENT = """schema: quietcell.grid-events/1
source: made up
events:
- {{name: first, kind: reduce_by, amount_w: 500, begin: 2025-03-04T10:00:00Z, end: 2025-03-04T12:00:00Z,
   announced: 2025-03-04T02:00:00Z, sites: [west]{money}}}
"""


def told(folder: Path, more: str) -> EnergyPrices | None:
    return sleep_prices(prepare(write(folder, HEAD + more + DEFAULTS), grid(6)), SITE)


def test_by_energy_nothing_is_told(tmp_path: Path) -> None:
    assert told(tmp_path, "") is None


def test_by_price_all_cells_are_told_the_tariff(tmp_path: Path) -> None:
    found = told(tmp_path, "sleep_by: price\n")
    assert found is not None
    given = prepare(write(tmp_path, HEAD + DEFAULTS), grid(6)).series
    for step in (0, 30, 6 * PER_DAY - 1):
        now = given.start + np.timedelta64(step * STEP_S, "s")
        assert (found(now) == given.import_price[step]).all()
        assert found(now).shape == (3,)
    assert len(set(given.import_price)) >= 4


@pytest.mark.parametrize(
    ("money", "extra"), [(", penalty_per_kwh: 2.0, reward_per_kwh: 0.5", 2.5), ("", None)]
)
def test_an_event_makes_energy_dear_at_its_site(tmp_path: Path, money: str, extra: float | None) -> None:
    (tmp_path / "events.yaml").write_text(EVENT.format(money=money))
    found = told(tmp_path, "sleep_by: price\ngrid_events: events.yaml\n")
    plain = told(tmp_path, "sleep_by: price\n")
    assert found is not None
    assert plain is not None
    before, during = (np.datetime64(f"2025-03-04T{hour}:00:00") for hour in ("09", "11"))
    assert np.array_equal(found(before), plain(before))
    firm = (MOST - 1) * plain.price.max()
    assert found(during) - plain(during) == pytest.approx([0, 0, firm if extra is None else extra])
    assert np.array_equal(found.select(np.array([2]))(during), found(during)[2:])


def test_an_event_counts_from_the_step_on_at_whose_begin_it_is_known(tmp_path: Path) -> None:
    (tmp_path / "events.yaml").write_text(EVENT.format(money=", penalty_per_kwh: 1.0"))
    text = HEAD + "grid_events: events.yaml\n" + DEFAULTS
    events = prepare(write(tmp_path, text), grid(6)).events
    assert events is not None
    asked = events.reduce_w[1] > 0
    late = events._replace(known_at=np.where(asked, np.flatnonzero(asked)[1], 0)[None].repeat(2, 0))
    found = with_events(np.zeros(len(asked)), late)
    assert found[1, asked].tolist() == [0.0] + [1.0] * (int(asked.sum()) - 1)


def test_emissions_are_a_series_marginal_ones_first(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no emissions are known that change with time"):
        told(tmp_path, "sleep_by: co2\n")
    hours = np.datetime64("2025-03-01T00:00:00") + np.arange(24 * 12) * np.timedelta64(1, "h")
    for name, first in (("average", 0.2), ("marginal", 0.5)):
        rows = [f"{hour}Z,{first + 0.1 * (k % 3)}" for k, hour in enumerate(hours)]
        text = f"timestamp,{name}_co2_kg_per_kwh\n" + "\n".join(rows) + "\n"
        (tmp_path / f"{name}.csv").write_text(text)
    average = told(tmp_path, "sleep_by: co2\nco2: {average: average.csv}\n")
    both = told(tmp_path, "sleep_by: co2\nco2: {average: average.csv, marginal: marginal.csv}\n")
    assert average is not None
    assert both is not None
    assert average.price.min() == pytest.approx(0.2)
    assert both.price - average.price == pytest.approx(0.3)


def test_a_running_controller_knows_the_tariff_and_no_series(tmp_path: Path) -> None:
    file = write(tmp_path, HEAD + "sleep_by: price\n" + DEFAULTS)
    price = running_price(file, STEP_S, 3)
    assert price is not None
    given = prepare(file, grid(6)).series
    now = given.start + np.timedelta64(40 * STEP_S, "s")
    assert (price(now) == given.import_price[40]).all()
    assert running_price(write(tmp_path, HEAD + DEFAULTS), STEP_S, 3) is None
    with pytest.raises(ConfigError, match="sleep_by is co2, but emissions are a series"):
        running_price(write(tmp_path, HEAD + "sleep_by: co2\n" + DEFAULTS), STEP_S, 3)
    market = HEAD.replace("cn-five-period-demand", "be-day-ahead").replace("exchange_rate: 7.7\n", "")
    with pytest.raises(ConfigError, match="prices of tariff be-day-ahead are a series"):
        running_price(write(tmp_path, market + "sleep_by: price\n" + DEFAULTS), STEP_S, 3)


@pytest.fixture(scope="module")
def network() -> Trace:
    """Two dozen cells over ten days, quarter-hourly."""
    return generate(SynthSpec(n_sites=8, layers=1, days=10, seed=12, median_load=0.15))


def two_prices(trace: Trace, stage: Stage) -> EnergyPrices:
    """Dear from 12 to 20 h, cheap at night."""
    clock = stage.clock
    hour = np.arange(clock.n_ticks) * clock.tick_s / 3600 % 24
    price = np.where((hour >= 12) & (hour < 20), 1.5, np.where(hour < 7, 0.3, 0.8))
    return EnergyPrices.everywhere(clock.start, clock.tick_s, price, trace.n_cells)


def test_it_costs_less_at_the_same_limits(network: Trace, make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(network, guard=True)
    price = two_prices(network, stage)
    cost, energy, spent = [], [], []
    for made in (stage, make_stage(network, guard=True, energy_price=price)):
        run = run_policy("predictive", made, with_power=True)
        assert run.power is not None
        cost.append(float((run.power * price.price[0]).sum()))
        energy.append(float(run.power.sum()))
        service = made.task.world.evaluation.service
        spent.append(service_figures(run.outcome, service, made.clock.per_day))
    assert cost[1] < 0.999 * cost[0]
    assert cost[1] / energy[1] < cost[0] / energy[0]
    assert spent[1]["limits_held"]
    assert spent[1]["below_target_share"] < 1.1 * spent[0]["below_target_share"]


def test_a_plan_knows_no_later_price(network: Trace, make_stage: Callable[..., Stage], replay: Any) -> None:
    price = two_prices(network, make_stage(network))
    changed = price.price.copy()
    changed[:, 500:] = 1 / changed[:, 500:]
    other = EnergyPrices(price.start, price.tick_s, changed, price.kind)
    plans = []
    for told_price in (price, other):
        run = replay("predictive", network, energy_price=told_price)
        plans.append(np.concatenate(run.series.level))
    assert np.array_equal(plans[0][:, :500], plans[1][:, :500])
    assert not np.array_equal(plans[0][:, 500:], plans[1][:, 500:])
