"""PV ahead: the clear day of the last two weeks by time of day, and how clear it has been of late."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from controller.site.outlook_days import SiteCalendar, Values, Window

CLEAR_DAYS = 14
CLEAR_QUANTILE = 0.9
RECENT_H = 2.0
RECENT_FADES_H = 3.0
DAY_SHARE = 0.3  # of the last day's departure that carries over to the next
DAY_FADES_H = 30.0
MIN_CLEAR_SHARE = 0.05  # of the mean clear power: below, the sun is too low to tell how clear it is


class PvAhead(NamedTuple):
    """A forecast of PV with what it rests on."""

    ahead: Values  # (n, T)
    clear: Values  # of a clear day (n, slots)
    usual: Values  # mean of the last days (n, slots)


def pv_ahead(values: Values, window: Window, calendar: SiteCalendar, n_steps: int) -> PvAhead:
    """Forecast ``n_steps`` steps from ``window.now`` on. ``values`` (n, now or longer): only those before now count.

    With less than a day of history a slot that was never seen has no PV: too little is the safe side.
    """
    grid = window.lay_out(values)
    days = grid[:, max(0, window.n_days - 1 - CLEAR_DAYS) :]
    known = np.isfinite(days)
    clear = np.maximum(_upper(days, CLEAR_QUANTILE), 0.0)
    count = np.maximum(known.sum(axis=1), 1)
    usual = np.where(known, days, 0.0).sum(axis=1) / count
    mean_clear = np.maximum(clear.mean(axis=1), 1e-12)
    usual_share = usual.mean(axis=1) / mean_clear
    per_day = window.n_slots
    recent = _clearness(values, clear, window, max(1, round(RECENT_H * 3600 / calendar.step_s)))
    day = _clearness(values, clear, window, per_day)
    day = np.where(np.isnan(day), usual_share, day) - usual_share
    recent = np.where(np.isnan(recent), day, recent - usual_share)
    ahead_h = (np.arange(n_steps) + 0.5) * calendar.step_s / 3600
    fades = np.exp(-ahead_h / RECENT_FADES_H)
    departs = recent[:, None] * fades + day[:, None] * DAY_SHARE * (1 - fades) * np.exp(
        -ahead_h / DAY_FADES_H
    )
    slot = calendar.slot(window.now, n_steps)
    ahead = usual[:, slot] + departs * clear[:, slot]
    return PvAhead(np.clip(ahead, 0.0, clear[:, slot]), clear, usual)


def _clearness(values: Values, clear: Values, window: Window, count: int) -> Values:
    """PV over that of a clear day, in the last ``count`` steps; NaN where the sun was too low. (n,)"""
    count = min(count, len(window.slot))
    # a copy in one order, so that sums round alike whatever the layout of the history
    seen = np.ascontiguousarray(values[:, window.now - count : window.now])
    could = np.where(np.isfinite(seen), clear[:, window.slot[len(window.slot) - count :]], 0.0)
    total = could.sum(axis=1)
    enough = total > MIN_CLEAR_SHARE * count * clear.mean(axis=1)
    got = np.where(np.isfinite(seen), seen, 0.0).sum(axis=1)
    share: Values = np.divide(got, total, out=np.full(len(got), np.nan), where=enough & (total > 0))
    return share


def _upper(days: Values, quantile: float) -> Values:
    """Upper quantile over days of each slot, among what is known; 0 where nothing is. (n, slots)"""
    ordered = np.sort(days, axis=1)  # NaN last
    count = np.isfinite(days).sum(axis=1)
    index = np.maximum(np.ceil(quantile * count).astype(np.int64) - 1, 0)
    found = np.take_along_axis(ordered, index[:, None, :], axis=1)[:, 0]
    return np.where(count > 0, found, 0.0)
