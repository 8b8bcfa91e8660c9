"""What the shipped profile saves and whether it holds the limits, unchanged, on many networks. One JSON object a line.

Planning alone; benchmarks/captured_share.py is about the same profile with the guard loop.
Recorded networks are read from QUIETCELL_DATA; synthetic ones need nothing. The first rows, without a suffix, are those
of the ITU network in world 3gpp-cat1-set1 at the default sigma and seed 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.rows import data_folder, print_row
from controller.config import load_profile
from controller.replay.ceiling import find_ceiling
from controller.replay.figures import captured, gain, service_figures
from controller.replay.run import run_policy
from controller.replay.stage import Stage, Task, quiet
from controller.worlds import EvaluatedWorld, default_evaluation, load_spec, world_for
from hw.compiling import compile_world
from hw.symbols.levers import Lever
from traces import Trace
from traces.reading import read_trace
from traces.sample import sample_path
from traces.synthesis import SynthSpec, generate

BARS = {
    "ee_gain_vs_none": (">=", 0.62),
    "captured_share": (">=", 0.82),
    "captured_share_beyond_symbol": (">=", 0.53),
    "level_changes_per_cell_day": ("<=", 12.0),
    "limits_held": ("==", 1.0),
}


def figures_of(
    trace: Trace,
    world: str,
    seed: int,
    sigma: float | None,
    *,
    ceiling: bool,
    guard: bool = False,
    any_wakes: bool = False,
    levers: tuple[Lever, ...] = (),
    loss_db: float | None = None,
) -> dict[str, float]:
    """Figures of ``predictive`` with the shipped profile; ``loss_db`` of SINR a halving of the TxRU costs, if given.

    ``any_wakes``: also against an oracle that may wake to any level (docs/decisions/0013).
    """
    found_world = world_for(world, trace, levers) if loss_db is None else world_with_loss(world, loss_db)
    task = Task(trace, found_world, load_profile(None), seed, guard=guard)
    stage = Stage(task, sigma=sigma)
    none, symbol = run_policy("none", stage).outcome, run_policy("symbol", stage).outcome
    ours = run_policy("predictive", stage).outcome
    service = stage.task.world.evaluation.service
    found = service_figures(ours, service, stage.clock.per_day)
    found["ee_gain_vs_none"] = gain(ours, none) or 0.0
    if ceiling:
        bound = run_policy("oracle", stage).bound or 0.0
        if any_wakes:
            free = find_ceiling(stage, quiet, any_wakes=True).bound
            found["captured_share_any_wakes"] = captured(ours.energy, none.energy, free) or 0.0
            beyond = captured(ours.energy, symbol.energy, free)
            found["captured_share_beyond_symbol_any_wakes"] = beyond or 0.0
        found["captured_share"] = captured(ours.energy, none.energy, bound) or 0.0
        found["captured_share_beyond_symbol"] = captured(ours.energy, symbol.energy, bound) or 0.0
    return found


def world_with_loss(name: str, loss_db: float) -> EvaluatedWorld:
    """A world of the catalogue in which each halving of the TxRU costs another loss of SINR. [dB]"""
    spec, usual = load_spec(name), default_evaluation()
    channel = usual.rf_channel.model_copy(update={"loss_db_per_halving": loss_db})
    evaluation = usual.model_copy(update={"rf_channel": channel})
    return EvaluatedWorld(compile_world(spec, evaluation), evaluation)


def cases() -> Iterator[tuple[str, Trace, str, int, float | None]]:
    """Suffix, trace, world, seed and sigma of every case after the first."""
    data = data_folder()
    itu = read_trace(data / "itu5g_energy")
    for world in ("3gpp-cat2-set1", "calibrated"):
        yield world, itu, world, 0, None
    for seed in (1, 2):
        yield f"itu_seed_{seed}", itu, "3gpp-cat1-set1", seed, None
    recorded = [("itu", itu), ("br", read_trace(data / "lte_br4")), ("vn", read_trace(data / "lte_vn3"))]
    for name, trace in [*recorded, ("sample", read_trace(Path(sample_path())))]:
        for label, sigma in (("low_sigma", 0.15), ("default_sigma", None), ("high_sigma", 0.45)):
            yield f"{name}_{label}", trace, "3gpp-cat1-set1", 0, sigma
    for layers in (1, 2, 3):
        for seed in (11, 12):
            trace = generate(SynthSpec(n_sites=12, layers=layers, days=10, seed=seed))
            yield f"synthetic_{layers}_layers_seed_{seed}", trace, "3gpp-cat1-set1", 0, None


def main() -> None:
    """Print the rows of the first case with bars, then gain, limits and what spends most of them for the others."""
    itu = read_trace(data_folder() / "itu5g_energy")
    first = figures_of(itu, "3gpp-cat1-set1", 0, None, ceiling=True)
    for name, bar in BARS.items():
        print_row(name, float(first[name]), "ratio", "ITU, 3gpp-cat1-set1, default sigma, seed 0", bar=bar)
    for suffix, trace, world, seed, sigma in cases():
        found = figures_of(trace, world, seed, sigma, ceiling=False)
        spent = ", ".join(
            f"{key} {found[key]:.3g}"
            for key in (
                "unserved_share",
                "below_target_share",
                "cells_over_limit_share",
                "level_changes_per_cell_day",
            )
        )
        print_row(f"ee_gain_vs_none_{suffix}", found["ee_gain_vs_none"], "ratio", f"{world}; {spent}")
        print_row(f"limits_held_{suffix}", float(found["limits_held"]), "0 or 1", spent, bar=("==", 1.0))


if __name__ == "__main__":
    main()
