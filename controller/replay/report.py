"""A whole replay: runs every policy and writes what it did as the report document and the page's data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from controller.replay.curve import curve_points
from controller.replay.figures import (
    AFTER_DAYS,
    Outcome,
    captured,
    captured_figures,
    gain,
    latency_p95_ms,
    level_shares,
    service_figures,
)
from controller.replay.notes import foreign_notes
from controller.replay.planners import ALWAYS, KNOWN, MODELLED, POLICIES, PROCESS, SEASONAL, TRUE
from controller.replay.planning import check_foreign, check_model
from controller.replay.run import PolicyRun, run_policy, why_not
from controller.replay.scene import make_clock
from controller.replay.series import kept_cells, page_data
from controller.replay.stage import Progress, Stage, Task, quiet
from controller.report.pagedata import CurvePoint, PageData
from controller.report.sitedata import SitePage
from hw.world import World

if TYPE_CHECKING:
    from controller.site.replaying import SiteReplay

SCHEMA = "quietcell.report/1"


@dataclass(frozen=True, slots=True)
class Prices:
    """What a kWh costs and emits, where the operator says so."""

    price_per_kwh: float | None = None
    currency: str = ""
    co2_kg_per_kwh: float | None = None
    source: str = ""


@dataclass(slots=True)
class Replay:
    """A replay in the making; whatever has been computed can be reported at any moment."""

    task: Task
    policies: tuple[str, ...]
    prices: Prices = field(default_factory=Prices)
    runs: dict[str, PolicyRun] = field(default_factory=dict)
    curve: list[CurvePoint] = field(default_factory=list)
    complete: bool = False
    site: SiteReplay | None = None  # batteries of the sites, where a sites file was given
    stage: Stage = field(init=False)

    def __post_init__(self) -> None:
        check_model(self.task)
        self.stage = Stage(self.task)
        check_foreign(self.task, self.stage.network)

    def run(self, progress: Progress = quiet, *, with_page: bool, with_curve: bool) -> None:
        """Run the policies in order, then the curve. Interrupted, it keeps what is done."""
        keep = kept_cells(self.task.trace.n_cells) if with_page else None
        for name in self.policies:
            if why_not(name, self.task) is None:
                power = self.site is not None and self.site.wants(name)
                self.runs[name] = run_policy(name, self.stage, keep=keep, progress=progress, with_power=power)
        if self.site is not None:
            self.site.run(self.runs, progress, with_page=with_page)
        if with_curve:
            for point in curve_points(self.task, self.stage, self.runs, progress):
                self.curve.append(point)
        self.complete = True

    def page(self) -> PageData:
        """What the page draws."""
        return page_data(self.task, self.stage, self.runs, self.curve)

    def site_page(self) -> SitePage | None:
        """What the page draws of site power, where there is any."""
        return None if self.site is None else self.site.page()

    def report(self) -> dict[str, Any]:
        """The document of report.json."""
        trace, world = self.task.trace, self.task.world
        service = world.evaluation.service
        loads = trace.dl_prb_ratio[~trace.missing]
        scored = self.runs["none"].outcome.samples if "none" in self.runs else 0.0
        possible = trace.n_cells * make_clock(trace, world).n_samples
        document: dict[str, Any] = {
            "schema": SCHEMA,
            "complete": self.complete,
            "trace": {
                "source": trace.source,
                "n_cells": trace.n_cells,
                "n_capacity_cells": int(trace.cells.is_capacity.sum()),
                "n_steps": trace.n_steps,
                "step_s": trace.step_s,
                "start": f"{trace.start.astype('datetime64[s]')}Z",
                "time_zone": trace.time_zone,
                "missing_share": trace.missing_share,
                "scored_share": scored / possible,
                "possibly_censored_share": float((loads > world.evaluation.censored_above).mean()),
            },
            "world": world.world.name,
            "world_parameters": world.world.parameters,
            "profile": self.task.profile.name,
            "seed": self.task.seed,
            "forecast": self._forecast(),
            "limits": {
                "unserved_share": service.unserved_share,
                "below_target_share": service.below_target_share,
                "cells_over_limit_share": service.cells_over_limit_share,
                "level_changes_per_cell_day": service.level_changes_per_cell_day,
                "target_mbit_s": service.target_mbit_s,
            },
            "notes": [*trace.notes, *self._notes()],
            "quarantine": dict(trace.quarantine.counts),
            "policies": {name: self._policy(name) for name in self.policies},
            "sensitivity": [_curve_row(p) for p in self.curve],
        }
        if self.site is not None and self.site.begun:
            document["site"] = self.site.section()
        if self.prices.currency:
            document["currency"] = self.prices.currency
        return document

    def _notes(self) -> list[str]:
        notes = []
        if self.stage.network.too_large:
            sizes = ", ".join(str(s) for s in self.stage.network.too_large)
            notes.append(
                f"Groups of {sizes} cells are too large to plan jointly. They are cut into parts, and a cell that "
                "sleeps hands over to candidates of its own part only."
            )
        if not self.task.trace.cells.is_capacity.any():
            notes.append(
                "No overlap between cells is known, so every cell is a coverage cell and stays on air."
            )
        if self.task.constraints is not None:
            notes.append(self.task.constraints.note())
        return notes + self._forecast_notes() + foreign_notes(self.task, self.runs)

    def _forecast(self) -> dict[str, Any]:
        """What ``predictive`` forecasts with: the model from the end of its training on, or the seasonal filter."""
        model, run = self.task.model, self.runs.get(MODELLED)
        if model is None:
            return {"source": "seasonal"}
        given = {"sha256": model.sha256, "trained_until": model.info.trained_until}
        if run is None:
            why = f"{MODELLED} was not replayed"
            return {"source": "seasonal", **given, "used_share": None, "used_share_reason": why}
        source = "model" if run.model_share > 0 else "seasonal"
        return {"source": source, **given, "used_share": run.model_share}

    def _forecast_notes(self) -> list[str]:
        notes = []
        if self.task.model is not None and MODELLED in self.runs:
            until, used = self.task.model.info.trained_until, self.runs[MODELLED].model_share
            notes.append(
                f"{MODELLED} uses the forecast model from {until} on, when its training ends: in {used:.1%} of the "
                "cell-ticks. Elsewhere its seasonal filter forecasts alone."
            )
        if TRUE in self.runs:
            notes.append(f"{TRUE} reads the traffic to come, like oracle; it is no causal policy.")
        if PROCESS in self.runs:
            notes.append(f"{PROCESS} is told the path without its noise, also of what is to come.")
        return notes

    def _policy(self, name: str) -> dict[str, Any]:
        reason = why_not(name, self.task)
        if reason is None and name not in self.runs:
            reason = "the replay was stopped before this policy was computed"
        if reason is not None:
            return {"applicable": False, "reason": reason}
        run, none = self.runs[name], self.runs["none"].outcome
        world, clock = self.task.world.world, make_clock(self.task.trace, self.task.world)
        hours = clock.sample_s / 3600
        figures = self._figures(name, run.outcome, none, run.outcome.energy, clock.per_day, self._ceiling())
        entry: dict[str, Any] = {
            "applicable": True,
            "energy": run.outcome.energy * hours,
            "energy_unit": world.energy_unit,
            **figures,
            "added_latency_ms_p95": latency_p95_ms(run.outcome),
            "guard": run.guard,
            "alarms": run.alarms,
            "level_share": level_shares(run.outcome, world.level_names),
            "wall_s": run.wall_s,
            **self._cost(run.outcome, world, hours),
        }
        if none.table.shape[1] > AFTER_DAYS:
            entry["after_48h"] = self._after(name, run.outcome, none, clock.per_day)
        if run.plan_gap is not None:
            entry["plan_gap"] = run.plan_gap
        if run.bound is not None:
            entry["bound_gap"] = run.bound_gap
            entry["bound_energy"] = run.bound * hours
        return entry

    def _ceiling(self) -> float | None:
        return self.runs["oracle"].bound if "oracle" in self.runs else None

    def _figures(
        self, name: str, outcome: Outcome, none: Outcome, energy: float, per_day: int, ceiling: float | None
    ) -> dict[str, Any]:
        figures = service_figures(outcome, self.task.world.evaluation.service, per_day)
        symbol = self.runs["symbol"].outcome if "symbol" in self.runs else None
        distinct = self.task.world.world.parameters.get("model") != "calibrated"
        base = energy if name == "none" else none.energy
        energy_symbol = None
        if symbol is not None and distinct:
            energy_symbol = (
                symbol.energy if symbol.table.shape == outcome.table.shape else symbol.days(AFTER_DAYS).energy
            )
        measured = gain(outcome, none)
        return {
            "ee_gain_vs_none": measured,
            **(
                {}
                if measured is not None
                else {"ee_gain_vs_none_reason": "no traffic or no energy was scored"}
            ),
            "energy_saved_vs_none": 1 - energy / base if base > 0 else None,
            **({} if base > 0 else {"energy_saved_vs_none_reason": "no energy was scored"}),
            **captured_figures(name, energy, none.energy, energy_symbol, ceiling, figures["limits_held"]),
            **figures,
        }

    def _after(self, name: str, outcome: Outcome, none: Outcome, per_day: int) -> dict[str, Any]:
        """Figures of the days after the first 48 h. The ceiling is the energy of the oracle's plan on those days."""
        later = outcome.days(AFTER_DAYS)
        oracle = self.runs.get("oracle")
        ceiling = None
        if oracle is not None and oracle.bound is not None:
            ceiling = oracle.outcome.days(AFTER_DAYS).energy * oracle.bound / oracle.outcome.energy
        figures = self._figures(name, later, none.days(AFTER_DAYS), later.energy, per_day, None)
        for key in ("captured_share", "captured_share_beyond_symbol"):
            figures.pop(key), figures.pop(f"{key}_reason", None)
        if ceiling is not None:
            key, value = (
                "captured_share_of_oracle_plan",
                captured(later.energy, none.days(AFTER_DAYS).energy, ceiling),
            )
            figures[key] = value
            if value is None:
                figures[f"{key}_reason"] = "nothing could be saved after the first 48 h"
        return figures

    def _cost(self, outcome: Outcome, world: World, hours: float) -> dict[str, Any]:
        """kWh, money and CO2 where W is known."""
        keys = ("energy_kwh", "money_per_year", "co2_kg_per_year")
        if world.watt_per_unit is None:
            why = "this world has no power in W"
            return {k: v for key in keys for k, v in ((key, None), (f"{key}_reason", why))}
        kwh = outcome.energy * hours * world.watt_per_unit / 1000
        yearly = kwh / (outcome.samples * hours) * 8760 * self.task.trace.n_cells if outcome.samples else 0.0
        found: dict[str, Any] = {"energy_kwh": kwh}
        rates = (
            ("money_per_year", self.prices.price_per_kwh),
            ("co2_kg_per_year", self.prices.co2_kg_per_kwh),
        )
        for key, rate in rates:
            found[key] = None if rate is None else yearly * rate
            if rate is None:
                found[f"{key}_reason"] = "no price or emission factor was given; see --config"
        return found


def order_policies(
    wanted: list[str] | None, *, with_analysis: bool = False, foreign: Iterable[str] = ()
) -> tuple[str, ...]:
    """The policies to run, in their fixed order, with those that are always computed; ``foreign`` before the oracle.

    ``with_analysis`` adds what ``predictive`` is compared with where a model is evaluated.
    """
    names = set(wanted or POLICIES) | set(ALWAYS)
    if with_analysis and MODELLED in names:
        names |= {SEASONAL, TRUE}
    return (*(name for name in KNOWN[:-1] if name in names), *foreign, KNOWN[-1])


def _curve_row(point: CurvePoint) -> dict[str, Any]:
    return {name: getattr(point, name) for name in CurvePoint.__slots__}
