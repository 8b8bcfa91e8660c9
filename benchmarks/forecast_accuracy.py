"""Error and coverage of the forecaster on recorded networks, against peers refitted at the same instants.

    .venv/bin/python -m benchmarks.forecast_accuracy [--set itu] [--quick]

Needs the ``bench`` extra and QUIETCELL_DATA with ``itu5g_energy`` (cells with five days or more of recorded load),
``lte_br4`` and ``lte_vn3``. The test part is the last two days (refit each day), of the latter two sets the last 56
(refit every 28). From each of its hours all models forecast 1, 4 and 24 steps ahead, and are scored where the truth is
recorded.

``wape_ratio_*``: sum of absolute errors over sum of loads, of our median over that of the best peer, which is chosen
per set and horizon by the result. ``pinball_ratio_*``: the same of the pinball loss over five quantiles.
``coverage_error_*``: distance between the level of a quantile and the share of truths at most as large, worst over the
five levels. A row is the worst over the sets. Rows go to stdout, one JSON object a line; a table with 95 % intervals
over cells and days to stderr.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from benchmarks.forecast_coverage import (
    LEAST_HOUR_DAYS,
    Coverage,
    by_decile,
    by_hour,
    coverage,
    within,
)
from benchmarks.forecast_protocol import (
    HORIZON_NAMES,
    HORIZONS,
    SETS,
    Bool,
    Case,
    Float32,
    Score,
    cell_wape,
    common_pairs,
    load_case,
    scores_of,
)
from benchmarks.forecast_runs import Run, run_all
from benchmarks.rows import print_row
from controller.evaluation.bootstrap import Interval

BARS = {
    "default": {"1step": 0.95, "4h": 0.95, "24h": 0.98},
    "tuned": {"1step": 0.99, "4h": 0.99, "24h": 1.0},
}
CELLS_WORSE_BAR = 0.10
COVERAGE_BAR = 0.015
CONDITIONAL_BAR = 0.04
FILLED = "statsforecast and mlforecast see gaps filled with the value a day before, else the last one"


@dataclass
class Result:
    """What one set gave."""

    case: Case
    scores: list[Score]
    left_out: int
    cells_worse: float
    seasonal: str
    pairs: Bool
    quantile: Float32
    shifted: Coverage | None


def score_case(case: Case, runs: list[Run]) -> Result:
    """Score all models of a set on the same pairs."""
    forecasts = [one for run in runs for one in run.forecasts]
    mine = forecasts[0]
    if mine.quantile is None:
        raise ValueError("our forecast has no quantiles")
    pairs, left_out = common_pairs(case, forecasts)
    scores = [score for one in forecasts for score in scores_of(case, mine, one, pairs)]
    medians = [one for one in forecasts if one.model.startswith("hour_median")]
    seasonal = min(medians, key=lambda one: float(np.abs(case.truth - one.median)[pairs].sum()))
    worse = float(np.mean(cell_wape(case, mine, pairs) > cell_wape(case, seasonal, pairs)))
    shifted = runs[0].shifted
    return Result(case, scores, left_out, worse, seasonal.model, pairs, mine.quantile, shifted)


def print_table(result: Result) -> None:
    """All models of a set for people, on stderr."""
    case = result.case
    print(
        f"\n{case.name}: {case.trace.n_cells} cells, {case.test_days} test days, refits at {case.refits}; "
        f"{result.left_out} pairs left out",
        file=sys.stderr,
    )
    print(
        f"{'model':<22}{'ahead':>6}{'WAPE':>8}  {'95 %':<16}{'ours/it':>8}  {'95 %':<16}{'pinball':>9}{'pairs':>7}",
        file=sys.stderr,
    )
    for k, name in enumerate(HORIZON_NAMES):
        for one in sorted(result.scores[k :: len(HORIZONS)], key=lambda score: score.wape):
            pinball = "" if one.pinball is None else f"{one.pinball:.5f}"
            print(
                f"{one.model:<22}{name:>6}{one.wape:>8.4f}  {span(one.within):<16}{one.ratio:>8.3f}  "
                f"{span(one.ratio_within):<16}{pinball:>9}{one.n_pairs:>7} {one.partial}",
                file=sys.stderr,
            )


def span(one: Interval) -> str:
    """An interval in words."""
    return one.reason if one.low is None or one.high is None else f"{one.low:.4f}..{one.high:.4f}"


def print_wape_rows(results: list[Result]) -> None:
    """Ratios to the best peer of each group, the worst over the sets, and the pinball losses."""
    for group, bars in BARS.items():
        for k, name in enumerate(HORIZON_NAMES):
            found = [(r, s) for r in results for s in r.scores[k :: len(HORIZONS)] if s.group == group]
            result, worst = max(found, key=lambda one: one[1].ratio)
            conditions = (
                f"{result.case.name}, {worst.model}{', ' if worst.partial else ''}{worst.partial}; ratio "
                f"{span(worst.ratio_within)}, peer {span(worst.within)} (95 %, cells and day blocks); "
                f"{worst.n_pairs} pairs, {result.left_out} of the set left out; {FILLED}; {ratios(found)}"
            )
            ours = worst.ratio * worst.wape
            print_row(
                f"wape_ratio_{name}_{group}",
                worst.ratio,
                "ratio",
                conditions,
                ours=ours,
                peer=worst.wape,
                bar=("<=", bars[name]),
            )
    for k, name in enumerate(HORIZON_NAMES):
        pinballs = [
            (s.pinball_ratio, s, r)
            for r in results
            for s in r.scores[k :: len(HORIZONS)]
            if s.group != "ours" and s.pinball_ratio is not None and s.pinball is not None
        ]
        value, score, result = max(pinballs, key=lambda one: one[0])
        peer = score.pinball or 0.0
        where = f"{result.case.name}, {score.model}; mean of five quantiles [load ratio]"
        print_row(f"pinball_ratio_{name}", value, "ratio", where, ours=value * peer, peer=peer)


def ratios(found: Iterable[tuple[Result, Score]]) -> str:
    """The ratio to the best peer of each set."""
    best: dict[str, Score] = {}
    for result, score in found:
        if result.case.name not in best or score.ratio > best[result.case.name].ratio:
            best[result.case.name] = score
    return ", ".join(f"{name} {score.ratio:.3f} ({score.model})" for name, score in best.items())


def print_cells_row(results: list[Result]) -> None:
    """Share of cells for which the hour-of-day median is better."""
    worst = max(results, key=lambda one: one.cells_worse)
    each = ", ".join(
        f"{r.case.name} {r.cells_worse:.3f} of {r.case.trace.n_cells} cells against {r.seasonal}"
        for r in results
    )
    conditions = f"WAPE of the cell over three horizons; {each}"
    print_row(
        "cells_worse_than_seasonal_share",
        worst.cells_worse,
        "ratio of cells",
        conditions,
        bar=("<=", CELLS_WORSE_BAR),
    )


def print_coverage(name: str, found: dict[str, tuple[float, str]], bar: float | None) -> None:
    """One row of coverage errors, the worst over the sets."""
    if not found:
        print(f"{name}: no set has it", file=sys.stderr)
        return
    each = "; ".join(f"{key} {value:.4f}, {how}" for key, (value, how) in found.items())
    print_row(
        name,
        max(value for value, _ in found.values()),
        "ratio",
        each,
        bar=None if bar is None else ("<=", bar),
    )


def print_coverage_rows(results: list[Result]) -> None:
    """Coverage overall, by horizon, by forecast, by hour and after the shift."""
    whole, decile, hourly, hourly_short, shifted = {}, {}, {}, {}, {}
    ahead: dict[str, dict[str, tuple[float, str]]] = {name: {} for name in HORIZON_NAMES}
    for r in results:
        key, truth = r.case.name, r.case.truth
        overall = coverage(truth, r.quantile, r.pairs)
        share = " ".join(f"{value:.3f}" for value in overall.at_most)
        whole[key] = overall.worst, f"{span(within(r.case, r.quantile, r.pairs))}, covered {share}"
        for k, name in enumerate(HORIZON_NAMES):
            only = r.pairs & (np.arange(len(HORIZONS)) == k)
            ahead[name][key] = coverage(truth, r.quantile, only).worst, f"{only.sum()} pairs"
        groups = by_decile(truth, r.quantile, r.pairs)
        at = max(range(len(groups)), key=lambda i: groups[i].worst)
        decile[key] = groups[at].worst, f"group {at + 1} of {len(groups)}, {groups[at].n_pairs} pairs"
        hours = by_hour(r.case, r.quantile, r.pairs)
        hour = max(hours, key=lambda one: hours[one][0].worst)
        figure = (
            hours[hour][0].worst,
            f"hour {hour} UTC, {span(hours[hour][1])}, {hours[hour][0].n_pairs} pairs",
        )
        (hourly if r.case.test_days >= LEAST_HOUR_DAYS else hourly_short)[key] = figure
        if r.shifted is not None:
            share = " ".join(f"{value:.3f}" for value in r.shifted.at_most)
            shifted[key] = r.shifted.worst, f"covered {share}, {r.shifted.n_pairs} pairs"
    print_coverage("coverage_error_max", whole, COVERAGE_BAR)
    for name, found in ahead.items():
        print_coverage(f"coverage_error_{name}", found, None)
    print_coverage("coverage_error_by_forecast_decile_max", decile, CONDITIONAL_BAR)
    print_coverage("coverage_error_by_hour_max", hourly, None)
    print_coverage("coverage_error_by_hour_max_short_test", hourly_short, None)
    print_coverage("coverage_error_after_shift", shifted, CONDITIONAL_BAR)


def main() -> None:
    parser = argparse.ArgumentParser(description="Forecaster against peers; see the top of this file.")
    parser.add_argument("--set", action="append", choices=list(SETS), help="only this set; may be repeated")
    parser.add_argument("--quick", action="store_true", help="few cells, short test part, small grid")
    given = parser.parse_args()
    begin = time.perf_counter()
    runs = run_all(given.set or list(SETS), quick=given.quick)
    results = [score_case(load_case(name, quick=given.quick), found) for name, found in runs.items()]
    for result in results:
        print_table(result)
    print(f"\n{time.perf_counter() - begin:.0f} s in all", file=sys.stderr, flush=True)
    print_wape_rows(results)
    print_cells_row(results)
    print_coverage_rows(results)


if __name__ == "__main__":
    main()
