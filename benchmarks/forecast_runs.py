"""The models of the forecast benchmark, each run in a process of its own, two at a time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context

from benchmarks.forecast_coverage import SHIFT_SETS, Coverage, after_shift
from benchmarks.forecast_mlforecast import mlforecast_default
from benchmarks.forecast_peers import naive_peers, statsforecast_peers
from benchmarks.forecast_protocol import HORIZONS, QUANTILES, Case, Float32, Forecast, load_case
from benchmarks.forecast_tuned import tuned_lightgbm
from controller.forecast.backtest import backtest
from controller.forecast.model_file import LoadedModel, load_bytes
from controller.training.train import train

OURS = "quietcell"
PROCESSES = 2


@dataclass(frozen=True)
class Run:
    """What one group of models gave for a set."""

    forecasts: list[Forecast]
    note: str = ""
    shifted: Coverage | None = None  # ours after doubled loads


class Ours:
    """Our forecaster, trained once for each refit and run step by step through the trace."""

    def __init__(self) -> None:
        self.models: dict[int, LoadedModel] = {}  # by refit; a case with shifted loads has the same past

    def quantile(self, case: Case) -> Float32:
        """Forecast quantiles. Shape (n_cells, n_origins, n_horizons, 5)."""
        out = case.empty(len(QUANTILES))
        for refit, until in case.spans:
            if refit not in self.models:
                trained = train(case.trace, until_step=refit)
                self.models[refit] = load_bytes(trained.onnx, f"{case.name}, step {refit}")
            walked = backtest(
                self.models[refit],
                case.trace,
                horizons=HORIZONS,
                first_origin=refit,
                last_origin=until - 1,
            )
            out[:, walked.origin - case.refits[0]] = walked.quantile
        return out


def _ours(case: Case, _: bool) -> Run:
    ours = Ours()
    quantile = ours.quantile(case)
    shifted = after_shift(case, ours.quantile) if case.name in SHIFT_SETS else None
    return Run([Forecast(OURS, "ours", quantile[..., 0], quantile)], shifted=shifted)


def _tuned(case: Case, quick: bool) -> Run:
    forecast, chosen = tuned_lightgbm(case, quick=quick)
    return Run([forecast], "; ".join(chosen))


def _statsforecast(case: Case, quick: bool) -> Run:
    return Run(statsforecast_peers(case, quick=quick))


def _mlforecast(case: Case, _: bool) -> Run:
    return Run([mlforecast_default(case)])


def _naive(case: Case, _: bool) -> Run:
    return Run(naive_peers(case))


# the slowest first, so that both processes end together
GROUPS: dict[str, Callable[[Case, bool], Run]] = {
    "tuned LightGBM": _tuned,
    "ours": _ours,
    "statsforecast": _statsforecast,
    "mlforecast": _mlforecast,
    "naive": _naive,
}


def _run(name: str, group: str, quick: bool) -> tuple[Run, float]:
    begin = time.perf_counter()
    run = GROUPS[group](load_case(name, quick=quick), quick)
    return run, time.perf_counter() - begin


def run_all(names: Sequence[str], *, quick: bool) -> dict[str, list[Run]]:
    """The runs of each set, ours first. Says on stderr what is done."""
    found: dict[str, dict[str, Run]] = {name: {} for name in names}
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        jobs = {pool.submit(_run, name, group, quick): (name, group) for group in GROUPS for name in names}
        for job in as_completed(jobs):
            name, group = jobs[job]
            try:
                run, wall_s = job.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)  # nothing is scored without all of them
                raise
            found[name][group] = run
            print(f"{name}: {group} in {wall_s:.0f} s {run.note}", file=sys.stderr, flush=True)
    return {name: [runs["ours"], *(runs[g] for g in GROUPS if g != "ours")] for name, runs in found.items()}
