"""Time to lay out symbol and slot masks of one frame, and their occupancy against the closed form. Needs no data.

Prints one JSON object a line: ``symbol_masks_ms`` for 10,000 cells and one frame of 10 ms, and ``symbol_masks_error``,
the largest difference between the downlink symbols that stay on air over a period and what the closed form says.
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks.rows import print_row
from controller.symbols.carrier import load_carrier
from controller.symbols.catalogue import load_symbol_model
from hw.radio import used_symbol_share
from hw.symbols.closed_form import filled_symbol_share
from hw.symbols.layout import Layout
from policies.symbols import frame_masks, lay_masks

WORLD, FRAME = "3gpp-cat1-set1", "evaluation-tdd-30khz"
N_CELLS, REPEATS, SEED = 10_000, 200, 0
BAR_MS = 30.0
SYMBOLS_OF_A_FRAME = 210  # downlink, 20 slots of 14, three quarters: one symbol of them is the stated error


def print_masks() -> None:
    """The row of the time to lay out a frame."""
    times_ms = time_masks(N_CELLS, REPEATS)
    print_row(
        "symbol_masks_ms",
        float(np.percentile(times_ms, 99)),
        "ms",
        f"p99 of {REPEATS}, median {np.median(times_ms):.2f}; {N_CELLS:,} cells x one 10 ms frame, {FRAME}, "
        "one thread",
        bar=("<=", BAR_MS),
    )


def main() -> None:
    print_masks()
    error = occupancy_error()
    about = f"largest over 1,000 loads of 0..1 and the frames of a period; {FRAME}; one symbol of a frame is the bar"
    print_row("symbol_masks_error", error, "share", about, bar=("<=", 1 / SYMBOLS_OF_A_FRAME))


def time_masks(n_cells: int, repeats: int) -> np.ndarray:
    """Times of laying out one frame for many cells. (repeats,) [ms]"""
    layout = load_carrier(WORLD, FRAME).layout
    rng = np.random.default_rng(SEED)
    inputs = (
        rng.integers(0, 1024, n_cells),
        rng.choice([8, 16, 32, 64], n_cells),
        rng.uniform(0, 1, n_cells).astype(np.float32),
        rng.uniform(0, 0.25, n_cells).astype(np.float32),
        np.full(n_cells, 6 * layout.slots_per_ms),
    )
    packed = frame_masks(layout)
    lay_masks(packed, *inputs)  # compiles
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        lay_masks(packed, *inputs)
        times.append(1000 * (time.perf_counter() - began))
    return np.array(times)


def occupancy_error() -> float:
    """Largest difference of the share of downlink symbols on air, masks over a period against the closed form."""
    layout, model = load_carrier(WORLD, FRAME).layout, load_symbol_model()
    load = np.linspace(0, 1, 1000)
    free = filled_symbol_share(layout, model, load, used_symbol_share(load))
    stated = layout.always_on_share + (1 - layout.always_on_share) * free
    return float(np.abs(laid_out_share(layout, free) - stated).max())


def laid_out_share(layout: Layout, dl_share: np.ndarray) -> np.ndarray:
    """Share of the downlink symbols of a period that the masks leave on air. (n,)"""
    packed, n = frame_masks(layout), len(dl_share)
    frames = layout.n_slots // layout.slots_per_frame
    on_air = np.zeros(n)
    for frame in range(frames):
        found = lay_masks(
            packed,
            np.full(n, frame),
            np.full(n, 64),
            dl_share.astype(np.float32),
            np.zeros(n, np.float32),
            np.zeros(n, np.int64),
        )
        dl = layout.dl[frame * layout.slots_per_frame : (frame + 1) * layout.slots_per_frame]
        on_air += np.bitwise_count(dl[None, :] & ~found.symbol_mask).sum(1)
    return np.asarray(on_air / np.bitwise_count(layout.dl).sum())


if __name__ == "__main__":
    main()
