"""The figures of benchmarks/captured_share.py with light sleep and filling. JSON, one row a line.

    .venv/bin/python -m benchmarks.symbol_levers [--quick]

Needs QUIETCELL_DATA. ITU in world 3gpp-cat1-set1 at the default sigma and seed 0, profile ``balanced``, guard on; then
whether the limits hold on other networks with both levers. ``--quick``: every eighth cell of ITU alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.captured_share import WORLD, spent
from benchmarks.replay_savings import figures_of
from benchmarks.rows import data_folder, print_row
from hw.symbols.levers import Lever
from traces.reading import read_trace
from traces.sample import sample_path

BOTH: tuple[Lever, ...] = ("light_sleep", "filling")
SETS: dict[str, tuple[Lever, ...]] = {
    "light_sleep": BOTH[:1],
    "filling": BOTH[1:],
    "light_sleep_and_filling": BOTH,
}
FIGURES = ("captured_share", "captured_share_beyond_symbol", "ee_gain_vs_none")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true")
    quick = arguments.parse_args().quick
    data = data_folder()
    itu = read_trace(data / "itu5g_energy")
    itu, which = (
        (itu.select_cells(np.arange(0, itu.n_cells, 8)), "every eighth cell of ITU")
        if quick
        else (itu, "ITU")
    )
    for name, levers in SETS.items():
        found = figures_of(itu, WORLD, 0, None, ceiling=True, guard=True, levers=levers)
        about = f"{which}, {WORLD}, guard on, {name}; {spent(found)}"
        for figure in FIGURES:
            print_row(f"{figure}_{name}", float(found[figure]), "ratio", about)
        print_row(f"limits_held_{name}", float(found["limits_held"]), "0 or 1", about, bar=("==", 1.0))
    if quick:
        return
    for name, path in {"br": data / "lte_br4", "vn": data / "lte_vn3", "sample": Path(sample_path())}.items():
        found = figures_of(read_trace(path), WORLD, 0, None, ceiling=False, guard=True, levers=BOTH)
        about = f"{WORLD}, guard on, both levers; {spent(found)}"
        print_row(f"limits_held_{name}", float(found["limits_held"]), "0 or 1", about, bar=("==", 1.0))


if __name__ == "__main__":
    main()
