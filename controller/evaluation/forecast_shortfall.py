"""How much of what ``predictive`` loses for lack of a forecast a model gives back.

The same policy runs three times under the same limits: with its seasonal filter, with the model, and with the traffic
to come. What the first draws more than the last is the forecast part of its shortfall. Only whole days count in which
the model was in use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.evaluation.bootstrap import interval, resample
from controller.evaluation.sums import ENERGY
from controller.replay.figures import limits_held, service_figures
from controller.replay.planners import MODELLED, SEASONAL, TRUE
from controller.replay.report import Replay
from controller.replay.scene import make_clock
from controller.replay.stage import Task

Float64 = NDArray[np.float64]
Report = dict[str, Any]

COMPARED = {SEASONAL: "seasonal", MODELLED: "model", TRUE: "true_inputs"}
NOTHING_TO_CLOSE = "true inputs draw no less than the seasonal filter"
DAY = np.timedelta64(86400, "s")


@dataclass(frozen=True, slots=True)
class Part:
    """What one replay adds: whether each compared policy held the limits on the days that count, and its energy."""

    energy: dict[str, float]  # [energy_unit]
    held: dict[str, bool]


def first_day(task: Task) -> int:
    """The first day, in days from the start of the trace, that begins after the model's training."""
    assert task.model is not None
    _, until = task.model.info.trained_span
    return max(0, int(-((task.trace.start - until) // DAY)))


def why_no_part(task: Task, policies: tuple[str, ...]) -> str | None:
    """Why a replay says nothing about the forecast part of the shortfall, None where it does."""
    missing = [name for name in COMPARED if name not in policies]
    if missing:
        return f"{', '.join(missing)} was not evaluated"
    clock = make_clock(task.trace, task.world)
    if first_day(task) * clock.per_day >= clock.n_samples:
        assert task.model is not None
        return f"no day of the trace begins after {task.model.info.trained_until}, the end of the model's training"
    return None


def part_of(replay: Replay) -> Part:
    """What a finished replay says about the days from ``first_day`` on."""
    task, service = replay.task, replay.task.world.evaluation.service
    clock = make_clock(task.trace, task.world)
    energy, held = {}, {}
    for name, word in COMPARED.items():
        outcome = replay.runs[name].outcome.days(first_day(task))
        energy[word] = outcome.energy * clock.sample_s / 3600
        held[word] = limits_held(service_figures(outcome, service, clock.per_day), service)
    return Part(energy, held)


def shortfall(
    parts: list[Part], sums: Float64, policies: tuple[str, ...], task: Task, draws: int, seed: int
) -> Report:
    """Energies, limits and ``closed_share`` with its interval over groups of cells and days.

    ``sums`` of the groups on the days from ``first_day`` on, shape (U, D, S, P, N_SUMS) for S seeds and P policies.
    """
    at = [policies.index(name) for name in COMPARED]
    energy = sums[:, :, :, at, ENERGY]
    drawn = resample(energy.reshape(*energy.shape[:2], -1), draws, seed)
    bounds = interval(drawn.apply(lambda values: closed(values.reshape(-1, len(parts), 3)).mean(1)))
    by_seed = [closed(np.array([[part.energy[word] for word in COMPARED.values()]])).item() for part in parts]
    found: Report = {
        "from": f"{task.trace.start + first_day(task) * DAY}Z",
        "n_days": energy.shape[1],
        "energy": {word: _over(parts, word) for word in COMPARED.values()},
        "limits_held": {word: all(part.held[word] for part in parts) for word in COMPARED.values()},
    }
    if not np.isfinite(by_seed).all():
        return found | {"closed_share": None, "closed_share_reason": NOTHING_TO_CLOSE}
    share: Report = {
        "mean": float(np.mean(by_seed)),
        "by_seed": by_seed,
        "low": bounds.low,
        "high": bounds.high,
    }
    if bounds.low is None:
        share |= {"low_reason": bounds.reason, "high_reason": bounds.reason}
    return found | {"closed_share": share}


def closed(energy: Float64) -> Float64:
    """Closed share from energies (..., 3) of seasonal filter, model and truth; NaN where there is nothing to close."""
    seasonal, model, true = np.moveaxis(energy, -1, 0)
    possible = seasonal - true
    undefined = np.full(possible.shape, np.nan)
    return np.asarray(np.divide(seasonal - model, possible, out=undefined, where=possible > 1e-9 * seasonal))


def _over(parts: list[Part], word: str) -> Report:
    values = [part.energy[word] for part in parts]
    return {"mean": sum(values) / len(values), "by_seed": values}
