"""What acting saves, with an interval: by matched controls, by the calibrated baseline, and by both together.

Meters give what a site drew. What it would have drawn without saving is the baseline: the tables' energy at the traffic
that it carried. How far a site's meter lies from that baseline is known from the history::

    r(window) = log(measured / baseline) in the window  -  the same in the history
    by baseline:  saving of r                by controls:  saving of r - weighted mean of the controls' r
    saving = 1 - exp(r)

Three kinds of error move r, and none of them can be told from a saving in one site alone:

- the site's own (meter, tables that do not fit, slow change): its variance over the controls in the same window;
- what the controls bring in with it: the same variance, by their weights;
- what all sites have in common (weather, season): controls take it out, the baseline alone does not. Its variance comes
  from the days of the history and their autocorrelation.

Where everybody acts there are no controls. The site's own error is then read from the days of the history, too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

CONFIDENCE = 0.95
LEAST_CONTROLS = 5  # sites below which controls say too little
LEAST_DAYS = 7  # of history below which the days say nothing


class Record(NamedTuple):
    """Energy of s sites over T ticks, in whole days. NaN unmeasured."""

    measured: Floats  # (s, T) by the meter [energy_unit]
    baseline: Floats  # (s, T) by the tables at full service and the carried traffic [energy_unit]


class Span(NamedTuple):
    """Which ticks are history and which are scored."""

    history: Bools  # (T,) nobody acted
    window: Bools  # (T,)
    day: Ints  # (T,) number of the day
    hour: Ints  # (T,) local hour [h]


class Saving(NamedTuple):
    """Savings of one or several rows (R,), each with its ``CONFIDENCE`` interval. NaN where it cannot be told."""

    ratio: Floats  # 1 less energy over that without saving [ratio]
    low: Floats  # [ratio]
    high: Floats  # [ratio]
    without: Floats  # energy without saving, as the meters would have shown it [energy_unit]

    @property
    def saved(self) -> Floats:
        """Energy saved. (R,) [energy_unit]"""
        return np.asarray(self.ratio * self.without)

    @property
    def width(self) -> Floats:
        """Width of the interval. (R,) [ratio]"""
        return np.asarray(self.high - self.low)

    @property
    def efficiency_gain(self) -> tuple[Floats, Floats, Floats]:
        """Gain of served bits per joule against no saving at equal traffic: value, low and high. (R,) each [ratio]"""
        value, low, high = (1 / (1 - x) - 1 for x in (self.ratio, self.low, self.high))
        return value, low, high


class Savings(NamedTuple):
    """The same rows by three ways."""

    by_controls: Saving
    by_baseline: Saving
    combined: Saving


def efficiency_gain(
    served_bit: float, energy_j: float, served_before_bit: float, energy_before_j: float
) -> float:
    """The plan's index: bits per joule now over those of the reference period, less 1. [ratio]

    Its two periods carry different traffic, and busier cells are more efficient by themselves; a saving is only what
    ``Saving.efficiency_gain`` says at equal traffic. Raises ValueError unless all four are above 0.
    """
    if min(served_bit, energy_j, served_before_bit, energy_before_j) <= 0:
        raise ValueError("an efficiency needs bits and joules above 0 in both periods")
    return (served_bit / energy_j) / (served_before_bit / energy_before_j) - 1


def estimate(
    canary: Record, control: Record, weight: Floats, span: Span, region: Ints
) -> tuple[Savings, Savings]:
    """Savings of every canary site (s rows), and of every region (rows in the order of their numbers).

    Parameters
    ----------
    control : sites that never act; none where everybody acts.
    weight : weight of each control for each canary site, rows summing to 1 or 0. Shape (s, c).
    region : region of each canary site. Shape (s,).
    """
    shift, without = _shift(canary, span)
    control_shift, _ = _shift(control, span)
    usable = np.isfinite(control_shift)
    kept = np.where(usable & (usable.sum() >= LEAST_CONTROLS), weight, 0.0)
    total = kept.sum(1, keepdims=True)
    weight = np.divide(kept, total, where=total > 0, out=np.zeros(kept.shape))
    errors = _errors(canary, control, control_shift[usable], span)
    energy = np.where(np.isfinite(shift), np.nan_to_num(without), 0.0)
    measured = energy * np.exp(np.nan_to_num(shift))
    factor = np.exp(weight @ np.where(usable, control_shift, 0.0))
    numbers = np.unique(region)
    matched = weight.sum(1) > 0
    rows = [np.eye(len(shift)), (numbers[:, None] == region).astype(np.float64)]
    sites, regions = (_rows(part, measured, energy, factor, weight, matched, errors) for part in rows)
    return sites, regions


class _Error(NamedTuple):
    """A variance of log energy, and its degrees of freedom."""

    variance: float  # NaN unknown
    freedom: float


def _shift(record: Record, span: Span) -> tuple[Floats, Floats]:
    """r of each site, and its energy without saving before any correction by controls. (s,) each"""
    inside, before = (_log_ratio(record, ticks, span.hour) for ticks in (span.window, span.history))
    without = np.nansum(record.baseline[:, span.window], axis=1) * np.exp(before)
    return inside - before, without


def _log_ratio(record: Record, ticks: Bools, hour: Ints) -> Floats:
    """Log of measured over baseline energy. (s,)

    A lost reading counts as the others of its hour: savings differ by the hour, and a lost night is no lost saving.
    """
    measured, baseline = record.measured[:, ticks], record.baseline[:, ticks]
    inside = (hour[ticks][:, None] == np.unique(hour)).astype(np.float64)
    both = np.isfinite(measured) & np.isfinite(baseline)
    seen, beside = np.where(both, measured, 0.0) @ inside, np.where(both, baseline, 0.0) @ inside
    whole = np.nan_to_num(baseline) @ inside
    usual = _divide(seen.sum(1), beside.sum(1))[:, None]
    drawn = (whole * np.where(beside > 0, _divide(seen, beside), usual)).sum(1)
    known = (usual[:, 0] > 0) & (whole.sum(1) > 0)
    return np.where(known, np.log(np.where(known, drawn, 1.0) / np.where(known, whole.sum(1), 1.0)), np.nan)


class _Errors(NamedTuple):
    own: _Error  # of one site
    common: _Error  # of all sites together


def _errors(canary: Record, control: Record, control_shift: Floats, span: Span) -> _Errors:
    """What moves r without any saving: from the controls where there are enough, else from the days of the history."""
    daily = np.concatenate([_by_day(canary, span), _by_day(control, span)])
    days = np.unique(span.day[span.history])
    window = np.unique(span.day[span.window])
    known = daily[np.isfinite(daily).all(1)]
    if len(days) < LEAST_DAYS or len(known) == 0:
        common = own = _Error(np.nan, 1.0)
    else:
        mean = known.mean(0)
        common = _of_days(mean[None, :], 1.0, days, window)
        own = _of_days(known - mean, max(len(known) - 1, 1), days, window)
    n = len(control_shift)
    if n >= LEAST_CONTROLS:
        own = _Error(float(control_shift.var(ddof=1)), n - 1)
    return _Errors(own, common)


def _by_day(record: Record, span: Span) -> Floats:
    """Log of measured over baseline energy of each day of the history. (s, days)"""
    days = np.unique(span.day[span.history])
    found = [_log_ratio(record, span.history & (span.day == d), span.hour) for d in days]
    return np.stack(found, axis=1) if found else np.zeros((len(record.measured), 0))


def _of_days(daily: Floats, series: float, days: Ints, window: Ints) -> _Error:
    """Variance of the mean of the window's days less that of the history's, if days follow a first-order course.

    ``daily`` (s, D) are logs of the history's days; ``series`` counts how many of its rows are free.
    """
    n = daily.shape[1]
    off = daily - daily.mean(1, keepdims=True)
    spread = float((off**2).sum()) / n / series
    if spread <= 0:
        return _Error(0.0, series * (n - 1))
    memory = float((off[:, 1:] * off[:, :-1]).sum()) / (n - 1) / series / spread
    memory = float(
        np.clip(memory + (1 + 4 * max(memory, 0.0)) / n, 0.0, 0.95)
    )  # short series show too little of it
    all_days = np.concatenate([window, days])
    correlation = memory ** np.abs(all_days[:, None] - all_days)
    contrast = np.concatenate([np.full(len(window), 1 / len(window)), np.full(n, -1 / n)])
    seen = 1 - float(correlation[len(window) :, len(window) :].mean())  # of the variance, inside the history
    variance = spread / max(seen, 0.05) * float(contrast @ correlation @ contrast)
    return _Error(variance, series * max(n * (1 - memory) / (1 + memory) - 1, 2.0))


def _rows(
    part: Floats,
    measured: Floats,
    energy: Floats,
    factor: Floats,
    weight: Floats,
    matched: Bools,
    errors: _Errors,
) -> Savings:
    """Savings of rows of sites. ``part`` (R, s) says which sites a row is made of."""
    own, common = errors
    drawn, without = part @ measured, part @ energy
    share = _divide(part * energy, without[:, None])
    carried = share @ weight  # (R, c) how much each control counts
    by_own, by_control = own.variance * (share**2).sum(1), own.variance * (carried**2).sum(1)
    corrected = part @ (energy * factor)
    all_matched = (part @ ~matched) == 0
    blind = np.full(len(part), np.nan)
    # by the variances of what the two do not share; all on the controls where the history is too short to know
    known = np.nan_to_num(common.variance, nan=1.0) + np.zeros(len(part))
    trust = np.where(all_matched & (known + by_control > 0), _divide(known, known + by_control), 0.0)
    trust[all_matched & np.isnan(common.variance)] = 1.0
    mixed = without * np.where(without > 0, _divide(corrected, without), 1.0) ** trust
    of_controls = [(by_own + by_control, own.freedom)]
    return Savings(
        _saving(drawn, np.where(all_matched, corrected, blind), of_controls),
        _saving(drawn, without, [(by_own, own.freedom), (common.variance + 0 * by_own, common.freedom)]),
        _saving(
            drawn,
            mixed,
            [
                (by_own + trust**2 * by_control, own.freedom),
                (np.where(trust < 1, (1 - trust) ** 2 * common.variance, 0.0), common.freedom),
            ],
        ),
    )


def _divide(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.divide(a, b, where=b > 0, out=np.zeros(np.broadcast_shapes(a.shape, b.shape))))


def _saving(drawn: Floats, without: Floats, parts: list[tuple[Floats, float]]) -> Saving:
    """A saving from the energies of each row and the variances of log ``without``, with their degrees of freedom."""
    variance = np.sum([v for v, _ in parts], axis=0)
    spent = np.sum([np.where(v > 0, v**2 / f, 0.0) for v, f in parts], axis=0)
    freedom = np.where(spent > 0, variance**2 / np.where(spent > 0, spent, 1.0), np.inf)
    reach = stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * np.sqrt(variance)
    known = (without > 0) & (drawn > 0)
    left = np.where(known, drawn / np.where(known, without, 1.0), np.nan)
    return Saving(
        1 - left, 1 - left * np.exp(reach), 1 - left * np.exp(-reach), np.where(known, without, np.nan)
    )
