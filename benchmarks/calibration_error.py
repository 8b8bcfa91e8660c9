"""Error of the calibrated power models on energy they have not seen. Prints one JSON object a line.

Reads ``itu5g_energy`` in the folder QUIETCELL_DATA, or a trace named on the command line. The peer is
least-squares lines of energy over load and levels per station, of its product where the station is unseen, on
the same steps.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from controller.calibration import calibrate
from traces.reading import read_trace

BARS = {"unseen_hours": 0.05, "unseen_stations": 0.09}
FALLBACK = Path(__file__).resolve().parents[1].parent / "shared" / "data"
HELD_OUT = {
    "unseen_hours": "5 folds of random hours within each station",
    "unseen_stations": "10 folds of whole stations, no energy of theirs used",
}


def main() -> int:
    given = sys.argv[1] if len(sys.argv) > 1 else None
    path = Path(given) if given else Path(os.environ.get("QUIETCELL_DATA", FALLBACK)) / "itu5g_energy"
    if not path.exists():
        print(f"{path} does not exist; name a trace or set QUIETCELL_DATA", file=sys.stderr)
        return 2
    begin = time.perf_counter()
    fitted = calibrate(read_trace(path))
    wall_s = time.perf_counter() - begin
    clocks = ", ".join(f"{c.offset_steps} steps for {c.n_cells} cells" for c in fitted.clocks)
    for name, bar in BARS.items():
        figures = getattr(fitted.errors, name)
        if figures is None:
            print(f"{name}: too little energy is left to fit", file=sys.stderr)
            return 2
        conditions = (
            f"{fitted.source}: {HELD_OUT[name]}; {figures.n_steps} steps of {figures.n_stations} stations; "
            f"load moved onto the clock of the energy by {clocks}; the model that the world uses; "
            f"{wall_s:.0f} s"
        )
        row = {
            "name": f"calibration_wmape_{name}",
            "value": round(figures.wmape, 5),
            "op": "<=",
            "bar": bar,
            "held": figures.wmape <= bar,
            "ours": round(figures.wmape, 5),
            "peer": round(figures.wmape_lines, 5),
            "ratio": round(figures.wmape / max(figures.wmape_lines, 1e-12), 4),
            "unit": "ratio",
            "conditions": conditions,
        }
        print(json.dumps(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
