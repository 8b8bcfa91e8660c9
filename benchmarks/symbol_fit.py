"""Fit the constants of hw/symbols/model.yaml on every other recording of a slot trace, and print them.

Needs QUIETCELL_DATA. ``benchmarks/symbol_energy.py`` checks the shipped constants on the recordings left out here.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import least_squares

from benchmarks.rows import data_folder
from controller.symbols.carrier import Carrier, frame_demand, load_carrier
from hw.symbols.closed_form import EpisodeSpec, LeverModelSpec, SymbolModelSpec, rest_power
from hw.symbols.levers import LeverSpec
from hw.symbols.simulation import simulate
from traces.slots import SlotRecording, read_slots

WINDOW_MS = 10_000
CARRIERS = (  # worlds and frames whose simulations are fitted together
    ("3gpp-cat1-set2", "evaluation-fdd-15khz"),
    ("3gpp-cat1-set1", "evaluation-tdd-30khz"),
    ("3gpp-cat1-set2", "fr1-fdd-15khz"),
)
LOADS = np.concatenate([[0.0], np.geomspace(1e-4, 0.9, 50)])


def main() -> None:
    recordings = read_slots(data_folder() / "nrscope_tmobile")[::2]
    load_max = 0.0
    for filling in (False, True):
        busy, rest = [], []
        for world, frame in CARRIERS:
            carrier = load_carrier(world, frame)
            for recording in recordings:
                load, windows, saved, slots = _simulated(carrier, recording, filling)
                rest.append((carrier, load, saved))
                load_max = max(load_max, float(load.max()))
                if not carrier.layout.fdd or frame.startswith("fr1"):
                    continue
                busy.append((load, slots / windows))
        print("filled:" if filling else "plain:")
        g = _fit_fill(busy)
        print(f"  fill_exponent: {g:.3f}")
        a, b, d = _fit_episodes(rest, filling)
        print(f"  episodes: {{rate_per_ms: {a:.3f}, exponent: {b:.3f}, awake_ms: {d:.2f}}}")
    print(f"load_max: {load_max:.2f}")


def _simulated(
    carrier: Carrier, recording: SlotRecording, filling: bool
) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
    """Load, slots, what light sleep saved and busy slots of each window. (W,)"""
    demand = frame_demand(recording, carrier.layout)
    window = WINDOW_MS * carrier.layout.slots_per_ms
    none = np.zeros_like(demand)
    runs = [
        simulate(
            carrier.layout,
            carrier.radio,
            carrier.sleep,
            LeverSpec(light_sleep=light, filling=filling),
            demand,
            none,
            window_slots=window,
        )
        for light in (False, True)
    ]
    whole = len(demand) // window * window
    capacity = carrier.layout.slots_per_ms * carrier.layout.dl_symbol_share * WINDOW_MS
    load = demand[:whole].reshape(-1, window).sum(1) / capacity
    return load, capacity, runs[0].power - runs[1].power, runs[0].busy_slots


def _fit_fill(busy: list[tuple[np.ndarray, np.ndarray]]) -> float:
    load, share = (np.concatenate(part) for part in zip(*busy, strict=True))
    return float(least_squares(lambda g: load ** (1 - g[0]) - share, [0.3], bounds=([0], [0.99])).x[0])


def _fit_episodes(
    rest: list[tuple[Carrier, np.ndarray, np.ndarray]], filling: bool
) -> tuple[float, float, float]:
    levers = LeverSpec(light_sleep=True, filling=filling)
    carriers = {id(carrier): carrier for carrier, _, _ in rest}

    def error(at: np.ndarray) -> np.ndarray:
        episodes = EpisodeSpec(rate_per_ms=np.exp(at[0]), exponent=at[1], awake_ms=at[2])
        part = LeverModelSpec(fill_exponent=0.0, episodes=episodes)
        model = SymbolModelSpec(
            schema="quietcell.symbol-model/1", source="fit", load_max=1, plain=part, filled=part
        )
        curves = {
            key: rest_power(c.layout, c.radio, c.sleep, levers, model, LOADS) / c.radio.micro_sleep
            for key, c in carriers.items()
        }
        return np.concatenate(
            [np.interp(load, LOADS, curves[id(c)]) - saved / c.radio.micro_sleep for c, load, saved in rest]
        )

    found = least_squares(error, [-0.5, 0.7, 6.0], bounds=([-5, 0.2, 1], [5, 2, 30])).x
    return float(np.exp(found[0])), float(found[1]), float(found[2])


if __name__ == "__main__":
    main()
