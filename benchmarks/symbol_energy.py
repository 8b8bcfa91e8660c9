"""Predicted against simulated energy of the symbol levers on recordings that the closed form was not fitted on.

Needs QUIETCELL_DATA. The first rows are of the FDD frame of the evaluation with the category 1 radio of set 2, which
has the numerology of the recordings; further rows repeat them on other frames and radios. One JSON object a line.
"""

from __future__ import annotations

import numpy as np

from benchmarks.rows import data_folder, print_row
from controller.symbols.carrier import load_carrier
from controller.symbols.catalogue import load_symbol_model
from controller.symbols.figures import LEVER_SETS, Case, case_figures
from traces.slots import read_slots

BUDGET_MS = 10.0
BAR = 0.03
NATIVE = ("3gpp-cat1-set2", "evaluation-fdd-15khz")
OTHERS = (
    ("3gpp-cat1-set1", "evaluation-tdd-30khz"),
    ("3gpp-cat1-set3", "evaluation-tdd-120khz"),
    ("3gpp-cat2-set2", "evaluation-fdd-15khz"),
    ("3gpp-cat1-set2", "fr1-fdd-15khz"),
    ("3gpp-cat1-set1", "fr1-tdd-30khz"),
)


def main() -> None:
    held_out = read_slots(data_folder() / "nrscope_tmobile")[1::2]
    model = load_symbol_model()
    for world, frame in (NATIVE, *OTHERS):
        carrier = load_carrier(world, frame)
        found = [case_figures(Case(one, carrier, model, BUDGET_MS)) for one in held_out]
        suffix = "" if (world, frame) == NATIVE else f"_{world}_{frame}"
        about = f"{world} on {frame}; {len(found)} recordings that were not fitted"
        errors = [abs(each["levers"][name]["predicted_error"]) for each in found for name in LEVER_SETS]
        worst = f"largest of {len(errors)}: each recording with each set of levers; {about}"
        print_row(f"symbol_energy_error{suffix}", max(errors), "share", worst, bar=("<=", BAR))
        latest = max(each["levers"][name]["added_latency_p95_ms"] for each in found for name in LEVER_SETS)
        print_row(f"added_latency_p95_ms{suffix}", latest, "ms", f"largest; {about}", bar=("<=", BUDGET_MS))
        for name in LEVER_SETS:
            own = [each["levers"][name] for each in found]
            mean = {key: float(np.mean([each[key] for each in own])) for key in own[0]}
            print_row(
                f"energy_saved_vs_none_{name}{suffix}",
                mean["energy_saved_vs_none"],
                "share",
                f"mean; {mean['energy_saved_vs_symbol']:.3f} against symbol, light sleep "
                f"{mean['light_sleep_share']:.3f} of the time, added latency p95 "
                f"{mean['added_latency_p95_ms']:.1f} ms; {about}",
                ours=mean["predicted_power"],
                peer=mean["power"],
            )


if __name__ == "__main__":
    main()
