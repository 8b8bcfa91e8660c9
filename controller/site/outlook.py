"""What is ahead of every site, from what was known: load, PV, temperature and price, and scenarios of a month.

::

    history of n sites until step t -> Outlook -> forecast(): means and an upper quantile of the load
                                               -> scenarios(): recent days, drawn again for all sites at once

Nothing from step t on is read except prices, which the caller gives as far as they are published.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from controller.site.outlook_days import SiteCalendar, Values, window_before
from controller.site.outlook_drift import WINDOW_DAYS as DRIFT_DAYS
from controller.site.outlook_drift import drift
from controller.site.outlook_load import LOAD, PRICE, TEMPERATURE, Seasonal, seasonal
from controller.site.outlook_pv import PvAhead, pv_ahead
from controller.site.outlook_scenarios import Drift, draw_days, resampled
from controller.site.outlook_upper import upper_load

__all__ = ["Forecast", "Outlook", "Scenarios", "SiteCalendar"]

LOAD_PRIOR, PV_PRIOR = 0.03, 0.15  # how far the mean of weeks strays where too little is known to tell
PV_HALF_LIFE_DAYS = 28.0


class Forecast(NamedTuple):
    """Means over the coming steps. Arrays (n, T)."""

    load_w: Values
    load_upper_w: Values  # 0.99 quantile of the load of a step
    pv_w: Values
    temp_c: Values
    import_price: Values | None  # [currency/kWh]; None where no price was given


class Scenarios(NamedTuple):
    """Equally likely courses. Arrays (S, n, T)."""

    load_w: Values
    pv_w: Values


class Outlook:
    """What can be said at step t of n sites whose history ends there.

    ``load_w``, ``pv_w``, ``temp_c``: (n, t), NaN where nothing was recorded, from the first step of ``calendar`` on.
    ``import_price``: (p,) or (n, p) with p >= t, as far as known [currency/kWh]. ``rated_load_w``: (n,) the most that a
    site can draw; what is said without enough history is then no less wide than that. Raises ValueError for shapes that
    differ, no history, or a site without any load where no ``rated_load_w`` is given.
    """

    def __init__(
        self,
        load_w: Values,
        pv_w: Values,
        temp_c: Values,
        import_price: Values | None,
        calendar: SiteCalendar,
        rated_load_w: Values | None = None,
    ) -> None:
        self._load_w, self._pv_w, self._temp_c = load_w, pv_w, temp_c
        self._price, self._calendar, self._rated_w = import_price, calendar, rated_load_w
        self._now = load_w.shape[1]
        self._check()
        self._window = window_before(calendar, self._now)

    def forecast(self, n_steps: int) -> Forecast:
        """The coming ``n_steps`` steps."""
        load = self._load(n_steps)
        temp = seasonal(self._temp_c, self._window, self._calendar, n_steps, TEMPERATURE)
        return Forecast(
            load_w=load.ahead,
            load_upper_w=upper_load(load, self._window, self._calendar, self._rated_w),
            pv_w=self._pv(n_steps).ahead,
            temp_c=_of_others(temp.ahead),
            import_price=self._prices(n_steps),
        )

    def scenarios(self, n_steps: int, count: int, rng: np.random.Generator) -> Scenarios:
        """``count`` courses of load and PV over ``n_steps`` steps; a day is drawn for all sites at once."""
        load, pv = self._load(n_steps), self._pv(n_steps)
        drawn = draw_days(self._window, self._calendar, n_steps, count, rng)
        longer = window_before(self._calendar, self._now, DRIFT_DAYS)
        strays = Drift(
            drift(self._load_w, longer, LOAD_PRIOR), drift(self._pv_w, longer, PV_PRIOR, PV_HALF_LIFE_DAYS)
        )
        return Scenarios(*resampled(load, pv, self._window.lay_out(self._pv_w), drawn, strays, rng))

    def _load(self, n_steps: int) -> Seasonal:
        load = seasonal(self._load_w, self._window, self._calendar, n_steps, LOAD, trend=True)
        if self._rated_w is None:
            return load._replace(ahead=np.maximum(load.ahead, 0.0))
        ahead = np.where(np.isnan(load.ahead), self._rated_w[:, None], load.ahead)
        return load._replace(ahead=np.maximum(ahead, 0.0))

    def _pv(self, n_steps: int) -> PvAhead:
        return pv_ahead(self._pv_w, self._window, self._calendar, n_steps)

    def _prices(self, n_steps: int) -> Values | None:
        """Known prices as far as they reach, then what is usual at that hour. (n, n_steps)"""
        if self._price is None:
            return None
        price = np.atleast_2d(self._price)
        n_known = price.shape[1] - self._now
        ahead = price[:, self._now : self._now + n_steps]
        if n_known < n_steps:
            window = window_before(self._calendar, price.shape[1])
            beyond = seasonal(price, window, self._calendar, n_steps - n_known, PRICE)
            ahead = np.concatenate([ahead, beyond.ahead], axis=1)
        return np.array(np.broadcast_to(ahead, (len(self._load_w), n_steps)))

    def _check(self) -> None:
        n, t = self._load_w.shape
        for name, values in (("pv_w", self._pv_w), ("temp_c", self._temp_c)):
            if values.shape != (n, t):
                raise ValueError(
                    f"{name} has shape {values.shape}, load_w {(n, t)}; give both the same history"
                )
        if self._price is not None and (
            self._price.shape[-1] < t or np.atleast_2d(self._price).shape[0] not in (1, n)
        ):
            raise ValueError(
                f"import_price has shape {self._price.shape}; give (p,) or ({n}, p) with p >= {t}"
            )
        if self._price is not None and not np.isfinite(self._price).any():
            raise ValueError("import_price holds no price; leave it out or give at least one")
        if not np.isfinite(self._temp_c).any():
            raise ValueError("temp_c holds no temperature; give at least one recorded step of one site")
        if self._rated_w is None and not np.isfinite(self._load_w).any(axis=1).all():
            raise ValueError(
                "a site has no recorded load; give rated_load_w, the most that each site can draw"
            )


def _of_others(values: Values) -> Values:
    """A site without a thermometer has the mean of the others."""
    missing: NDArray[np.bool_] = np.isnan(values[:, 0])
    if missing.any():
        values[missing] = values[~missing].mean(axis=0)
    return values
