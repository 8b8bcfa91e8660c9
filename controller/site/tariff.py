"""Tariffs: from a file to the price, period and billing month of every step, and to what is known of them when.

::

    YAML -> TariffSpec (tariff_spec.py: names, hours and seasons checked) -> Tariff -> series(): TariffSeries

Local time decides: seasons, hours and billing months are those of the tariff's zone, with its days of 23 and 25 hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from importlib.resources import files
from math import gcd
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from controller.errors import ConfigError
from controller.localtime import utc_seconds
from controller.site.clock import LocalSteps, local_steps, midnight_s, wall_s
from controller.site.tariff_spec import (
    QUARTER_S,
    DemandSpec,
    FixedFeedInSpec,
    SeriesPriceSpec,
    TariffSpec,
    TimeOfUseSpec,
    seconds_of_clock,
)
from controller.site.time_of_use import PriceTable
from controller.strict_yaml import load_yaml
from traces.grid import GridSeries, as_steps

TARIFFS = Path(str(files("controller").joinpath("site", "tariffs")))
_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True, eq=False)
class TariffSeries:
    """Prices of every step. Arrays (T,) unless stated."""

    start: np.datetime64  # begin of the first step, UTC [s]
    step_s: int
    currency: str
    import_price: NDArray[np.float64]  # mean over the step [currency/kWh]
    export_price: NDArray[np.float64]  # paid for fed-in PV; 0 where there is no feed-in [currency/kWh]
    feeds_in: bool  # False: surplus is curtailed
    period: NDArray[np.uint8]  # at the begin of the step: index into period_names
    period_names: tuple[str, ...]
    month: NDArray[np.int64]  # billing month of the begin of the step: 0 for that of the start
    demand_price: NDArray[np.float64]  # of the highest import in each month (n_months,) [currency/kW]
    demand_interval_s: int
    demand_counts: NDArray[np.bool_]  # imports of the step count for the peak
    known_until_step: NDArray[
        np.int64
    ]  # first step whose price is not known at the begin of a step; T: all known

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return len(self.import_price)

    @property
    def n_months(self) -> int:
        """Number of billing months that the steps touch."""
        return len(self.demand_price)

    def known_until(self, step: int) -> int:
        """First step whose price is not yet known at the begin of ``step``; ``n_steps`` if all are."""
        return int(self.known_until_step[step])


@dataclass(frozen=True)
class Tariff:
    """A tariff that was checked. Money is float64 in ``currency``."""

    spec: TariffSpec

    @property
    def name(self) -> str:
        """Name of the tariff."""
        return self.spec.name

    @property
    def currency(self) -> str:
        """ISO 4217 code."""
        return self.spec.currency

    @cached_property
    def zone(self) -> ZoneInfo:
        """Time zone of hours, seasons and billing months."""
        return ZoneInfo(self.spec.time_zone)

    @property
    def market(self) -> str | None:
        """Name of the series that the prices come from; None for a tariff with prices of its own."""
        return self.spec.energy.market if isinstance(self.spec.energy, SeriesPriceSpec) else None

    @property
    def average_co2_kg_per_kwh(self) -> float | None:
        """Average emission of the grid, where the file states it with its year and source. [kg/kWh]"""
        return None if self.spec.co2 is None else self.spec.co2.average_kg_per_kwh

    @cached_property
    def _table(self) -> PriceTable | None:
        energy = self.spec.energy
        return PriceTable(energy) if isinstance(energy, TimeOfUseSpec) else None

    def with_demand(self, price_per_kw: float, interval_s: int = 900) -> Tariff:
        """The same tariff with another demand charge on all hours; 0 removes it."""
        demand = DemandSpec(price_per_kw=price_per_kw, interval_s=interval_s) if price_per_kw else None
        return Tariff(self.spec.model_copy(update={"demand": demand}))

    def series(
        self, start: np.datetime64, n_steps: int, step_s: int, prices: GridSeries | None = None
    ) -> TariffSeries:
        """Prices of ``n_steps`` steps from ``start`` (UTC) on. ``prices``: the series of ``market``. [currency/kWh]

        Raises ConfigError where a price series is missing or not wanted, is of another currency, or the demand
        interval is no whole number of steps or the other way round; TraceError where the series does not reach.
        """
        start = start.astype("datetime64[s]")
        local = local_steps(start, n_steps, step_s, self.zone)
        demand, feed_in = self.spec.demand, self.spec.feed_in
        self._check_interval(step_s)
        own = self._own_prices(start, n_steps, step_s, prices)
        month = self._months(local)
        n_months = int(month[-1]) + 1
        names = self.spec.energy.periods()
        period = np.zeros(n_steps, np.uint8) if self._table is None else self._table.look_up(local)[0]
        counted = names if demand is None or demand.periods is None else demand.periods
        return TariffSeries(
            start=start,
            step_s=step_s,
            currency=self.currency,
            import_price=self._import_price(start, n_steps, step_s, own),
            export_price=self._export_price(n_steps, own),
            feeds_in=feed_in is not None,
            period=period,
            period_names=names,
            month=month,
            demand_price=np.full(n_months, 0.0 if demand is None else demand.price_per_kw),
            demand_interval_s=900 if demand is None else demand.interval_s,
            demand_counts=np.isin(period, [names.index(name) for name in counted]),
            known_until_step=self._known_until(local, step_s),
        )

    def billing_month(self, moment: np.datetime64) -> tuple[np.datetime64, np.datetime64]:
        """Begin and end, UTC, of the billing month in which ``moment`` lies. [s]"""
        day = int(local_steps(moment, 1, 1, self.zone).day[0])
        local = date.fromordinal(day + _EPOCH)
        months = 12 * local.year + local.month - 1 - (local.day < self.spec.billing_day)
        begin, end = (
            midnight_s(date(m // 12, m % 12 + 1, self.spec.billing_day).toordinal() - _EPOCH, self.zone)
            for m in (months, months + 1)
        )
        return np.datetime64(begin, "s"), np.datetime64(end, "s")

    def _own_prices(
        self, start: np.datetime64, n_steps: int, step_s: int, prices: GridSeries | None
    ) -> NDArray[np.float64] | None:
        """Prices of the series in each step, before factor and adder; None for a tariff with prices of its own."""
        if self.market is None:
            if prices is not None:
                raise ConfigError(
                    f"tariff {self.name}: has prices of its own; leave the series {prices.name} out"
                )
            return None
        if prices is None:
            raise ConfigError(f"tariff {self.name}: needs the price series of {self.market}; pass it")
        if prices.unit not in (f"{self.currency}/kWh", "currency/kWh"):
            raise ConfigError(
                f"tariff {self.name}: series {prices.name} is in {prices.unit}, the tariff in {self.currency}/kWh; "
                "convert the series or state its currency in the tariff"
            )
        return as_steps(prices, start, n_steps, step_s)

    def _import_price(
        self, start: np.datetime64, n_steps: int, step_s: int, own: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        if own is not None and isinstance(self.spec.energy, SeriesPriceSpec):
            return own * self.spec.energy.factor + self.spec.energy.adder_per_kwh
        assert self._table is not None
        # Hours begin at whole quarters: samples that meet each of them make a mean over the step that is exact.
        grain_s = gcd(gcd(step_s, QUARTER_S), utc_seconds(start) % QUARTER_S or QUARTER_S)
        per_step = step_s // grain_s
        price = self._table.look_up(local_steps(start, n_steps * per_step, grain_s, self.zone))[1]
        return price if per_step == 1 else price.reshape(n_steps, per_step).mean(axis=1)

    def _export_price(self, n_steps: int, own: NDArray[np.float64] | None) -> NDArray[np.float64]:
        feed_in = self.spec.feed_in
        if feed_in is None:
            return np.zeros(n_steps)
        if isinstance(feed_in, FixedFeedInSpec):
            return np.full(n_steps, feed_in.price_per_kwh)
        assert own is not None
        return own * feed_in.factor + feed_in.adder_per_kwh

    def _months(self, local: LocalSteps) -> NDArray[np.int64]:
        """Billing month of each step, counted from that of the first."""
        dates = local.day.astype("datetime64[D]")
        month = dates.astype("datetime64[M]")
        day_of_month = (dates - month.astype("datetime64[D]")).astype(np.int64) + 1
        number = month.astype(np.int64) - (day_of_month < self.spec.billing_day)
        months: NDArray[np.int64] = number - number[0]
        return months

    def _known_until(self, local: LocalSteps, step_s: int) -> NDArray[np.int64]:
        n_steps, energy = len(local.day), self.spec.energy
        if not isinstance(energy, SeriesPriceSpec) or energy.known_from is None:
            return np.full(n_steps, n_steps, np.int64)
        clock_s = seconds_of_clock(energy.known_from)
        days = np.arange(local.day[0], local.day[-1] + 3)
        published_s = np.array([wall_s(int(day), clock_s, self.zone) for day in days[:-2]])
        midnights_s = np.array([midnight_s(int(day), self.zone) for day in days])
        day = local.day - local.day[0]
        end_s = midnights_s[day + 1 + (local.utc_s >= published_s[day])]
        until: NDArray[np.int64] = np.minimum((end_s - local.utc_s[0]) // step_s, n_steps)
        return until

    def _check_interval(self, step_s: int) -> None:
        demand = self.spec.demand
        if demand is not None and demand.interval_s % step_s and step_s % demand.interval_s:
            raise ConfigError(
                f"tariff {self.name}: demand is measured over {demand.interval_s} s, which steps of {step_s} s do not "
                "fit; choose a step that divides it"
            )


def tariff_names() -> list[str]:
    """Names of the tariffs that are shipped."""
    return sorted(path.stem for path in TARIFFS.glob("*.yaml"))


def load_tariff(name_or_path: str | Path) -> Tariff:
    """A shipped tariff by name, or a tariff file by path.

    Raises ConfigError for an unknown name or a file that is no tariff, naming line, field and remedy.
    """
    path = TARIFFS / f"{name_or_path}.yaml"
    if str(name_or_path) not in tariff_names():
        path = Path(name_or_path)
        if not path.is_file():
            known = ", ".join(tariff_names())
            raise ConfigError(
                f"tariff {str(name_or_path)!r} is neither a file nor a known tariff; known: {known}"
            )
    return Tariff(load_yaml(path, TariffSpec))
