"""How much of what perfect foresight could save the shipped profile captures with the guard loop. JSON, one row a line.

    .venv/bin/python -m benchmarks.captured_share [--quick]

Needs QUIETCELL_DATA. The peer is the oracle, which knows all traffic and may wake cells on air to full in any
minute, in the same run and under the same limits; for ``*_any_wakes`` to any level, as the policy
(docs/decisions/0013). The first rows are of the ITU network in world 3gpp-cat1-set1 at the default sigma and seed 0.
``*_low_sigma`` has half of the noise inside the steps. Then the shortfall in parts
(benchmarks/shortfall.py), the profiles with intervals, and whether the profile holds its limits on other networks, at
other sigmas and with gentle and steep loss of rate; conditions name what of the limits was spent.
``--quick``: every eighth cell of ITU alone, without other networks.
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.replay_savings import figures_of
from benchmarks.rows import data_folder, print_row
from benchmarks.shortfall import print_shortfall
from controller.config import load_profile, profile_names
from controller.evaluation.case import Case
from controller.evaluation.evaluation import Evaluation
from controller.replay.stage import quiet
from controller.worlds import load_world
from traces import Trace
from traces.reading import read_trace
from traces.sample import sample_path

WORLD = "3gpp-cat1-set1"
SIGMAS = {"low": 0.15, "default": None, "high": 0.45}
LOSSES_DB = {"gentle": 1.5, "steep": 6.0}  # per halving of the TxRU
BARS = {
    "captured_share": (">=", 0.90),
    "captured_share_beyond_symbol": (">=", 0.76),
    "ee_gain_vs_none": (">=", 0.80),
    "limits_held": ("==", 1.0),
    "level_changes_per_cell_day": ("<=", 12.0),
}
ANY_WAKES = ("captured_share_any_wakes", "captured_share_beyond_symbol_any_wakes")
LOW_SIGMA_BAR = (">=", 0.95)
SPENT = ("unserved_share", "below_target_share", "level_changes_per_cell_day", "emergency_wakes_per_cell_day")
DRAWS = 1000  # of the bootstrap


def spent(found: dict[str, Any]) -> str:
    """What was spent of the limits, in words."""
    return ", ".join(f"{key} {found[key]:.3g}" for key in SPENT)


def print_itu(itu: Trace, which: str) -> None:
    """The rows with bars."""
    found = figures_of(itu, WORLD, 0, None, ceiling=True, guard=True, any_wakes=True)
    for name, bar in BARS.items():
        unit = "changes" if name.startswith("level") else "ratio"
        print_row(name, float(found[name]), unit, f"{which}, {WORLD}, guard on; {spent(found)}", bar=bar)
    low = figures_of(itu, WORLD, 0, SIGMAS["low"], ceiling=True, guard=True, any_wakes=True)
    about = f"{which}, {WORLD}, guard on, sigma 0.15; {spent(low)}"
    print_row("captured_share_low_sigma", low["captured_share"], "ratio", about, bar=LOW_SIGMA_BAR)
    for suffix, of in (("", found), ("_low_sigma", low)):
        for name in ANY_WAKES:
            print_row(
                name + suffix,
                of[name],
                "ratio",
                f"{which}, {WORLD}, guard on; oracle that may wake to any level",
            )
    beyond = low["captured_share_beyond_symbol"]
    print_row("captured_share_beyond_symbol_low_sigma", beyond, "ratio", about)


def print_profiles(itu: Trace, which: str) -> None:
    """Each profile, with the interval over groups of cells and days: the curve of saving against service."""
    for name in profile_names():
        case = Case(itu, load_world(WORLD))
        policies = ("none", "symbol", "predictive", "oracle")
        evaluation = Evaluation([case], load_profile(name), policies, (0,), DRAWS, guard=True)
        evaluation.run(lambda _: nullcontext(quiet))
        found = evaluation.document()["summary"][0]["policies"]["predictive"]
        means = {key: found[key]["mean"] for key in SPENT}
        for figure in ("captured_share", "captured_share_beyond_symbol", "ee_gain_vs_none"):
            low, high = found[figure].get("low"), found[figure].get("high")
            about = f"{which}, {WORLD}, guard on; {spent(means)}; limits held {found['limits_held']}"
            about += f"; 95 % [{low:.3f}, {high:.3f}]" if low is not None and high is not None else ""
            print_row(f"{figure}_{name}", found[figure]["mean"], "ratio", about)


def print_held(suffix: str, trace: Trace, sigma: float | None, loss_db: float | None = None) -> None:
    """Gain and limits of the unchanged profile."""
    found = figures_of(trace, WORLD, 0, sigma, ceiling=False, guard=True, loss_db=loss_db)
    about = f"{WORLD}, guard on; {spent(found)}"
    print_row(f"ee_gain_vs_none_{suffix}", found["ee_gain_vs_none"], "ratio", about)
    print_row(f"limits_held_{suffix}", float(found["limits_held"]), "0 or 1", about, bar=("==", 1.0))


def main() -> None:
    """Print all rows."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true")
    quick = arguments.parse_args().quick
    data = data_folder()
    itu = read_trace(data / "itu5g_energy")
    which = "every eighth cell of ITU" if quick else "ITU"
    itu = itu.select_cells(np.arange(0, itu.n_cells, 8)) if quick else itu
    print_itu(itu, which)
    print_shortfall(itu, WORLD, which)
    print_profiles(itu, which)
    if quick:
        return
    others = {"br": data / "lte_br4", "vn": data / "lte_vn3", "sample": Path(sample_path())}
    for name, trace in [("itu", itu), *((key, read_trace(path)) for key, path in others.items())]:
        for label, sigma in SIGMAS.items():
            print_held(f"{name}_{label}_sigma", trace, sigma)
        for label, loss_db in LOSSES_DB.items():
            print_held(f"{name}_{label}_loss", trace, None, loss_db)


if __name__ == "__main__":
    main()
