"""By what a radio plan weighs its sleep: the price of energy at each site, grid events included, or its emissions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.energy_price import EnergyPrices, PriceAt
from controller.site.building import Prepared, read_tariff
from controller.site.grid_events import EventSeries
from controller.site.sites_file import SitesFile
from controller.site.tariff import Tariff
from policies.price_ratio import MOST


def sleep_prices(made: Prepared, site: NDArray[np.intp]) -> EnergyPrices | None:
    """Prices of the cells of a trace, whose ``site`` (n,) are those of the grid; None where energy alone counts.

    Raises ConfigError where it asks for emissions and names no series of them.
    """
    by, grid = made.file.spec.sleep_by, made.grid
    if by == "energy":
        return None
    if by == "co2":
        known = made.emissions
        wanted = known.average if known.marginal is None else known.marginal
        if wanted is None or not np.ptp(wanted):
            raise made.file.error(
                "sleep_by is co2, but no emissions are known that change with time; add co2: marginal or average"
            )
        return EnergyPrices.everywhere(grid.start, grid.step_s, wanted, len(site))
    price = made.series.import_price
    if made.events is None:
        return EnergyPrices.everywhere(grid.start, grid.step_s, price, len(site))
    return EnergyPrices(grid.start, grid.step_s, with_events(price, made.events), site)


def with_events(price: NDArray[np.float64], events: EventSeries) -> NDArray[np.float64]:
    """Price of a step at each site: what a grid event charges and pays comes on top once it is known. (n, T)

    ``price`` (T,) is the tariff's. An event without money is firm: in it energy is as dear as any hour may count.
    """
    asked = (np.isfinite(events.limit_w) | (events.reduce_w > 0)) & (events.known_at <= np.arange(len(price)))
    extra = events.penalty_per_kwh + events.reward_per_kwh
    firm = (MOST - 1) * np.abs(price).max() if len(price) else 0.0
    return np.where(asked, price + np.where(extra > 0, extra, firm), price)


@dataclass(frozen=True, slots=True)
class TariffPrice:
    """The price of a tariff with prices of its own, at any moment. It is a ``PriceAt``."""

    tariff: Tariff
    tick_s: int
    n_cells: int

    def __call__(self, now: np.datetime64) -> NDArray[np.float64]:
        """Price in the tick that begins ``now`` (UTC). (n_cells,)"""
        return np.full(self.n_cells, self.tariff.series(now, 1, self.tick_s).import_price[0])


def running_price(file: SitesFile, tick_s: int, n_cells: int) -> PriceAt | None:
    """What a running controller weighs the sleep of its cells by; None where energy alone counts.

    Raises ConfigError for what only a replay knows.
    """
    by = file.spec.sleep_by
    if by == "energy":
        return None
    tariff = read_tariff(file)
    if by == "co2" or tariff.market is not None:
        what = "emissions" if by == "co2" else f"the prices of tariff {tariff.name}"
        raise file.error(
            f"sleep_by is {by}, but {what} are a series, which ends; a running controller can weigh sleep by energy, "
            "or by price under a tariff with prices of its own"
        )
    return TariffPrice(tariff, tick_s, n_cells)
