"""Masks of the coming frame: mandatory symbols stay on air whatever the input; the kernel against its naive twin."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.symbols.catalogue import load_frame, load_symbol_model
from controller.worlds import load_world
from hw.radio import used_symbol_share
from hw.symbols.closed_form import filled_symbol_share
from hw.symbols.layout import ALL_SYMBOLS, Layout, lay_out
from policies.symbols import LIGHT, SymbolMasks, active_txru, frame_masks, lay_masks
from tests.policies.naive_masks import naive_masks

NAMES = (
    "evaluation-fdd-15khz",
    "evaluation-tdd-30khz",
    "evaluation-tdd-120khz",
    "fr1-fdd-15khz",
    "fr1-tdd-30khz",
)
LAYOUTS = {name: lay_out(load_frame(name)) for name in NAMES}
TDD = LAYOUTS["evaluation-tdd-30khz"]


def masks(
    layout: Layout, frame: Any, active: Any, dl_share: Any, ul_share: Any, light_slots: Any
) -> SymbolMasks:
    columns = np.broadcast_arrays(
        *(np.atleast_1d(x) for x in (frame, active, dl_share, ul_share, light_slots))
    )
    kinds = (np.int64, np.int64, np.float32, np.float32, np.int64)
    return lay_masks(frame_masks(layout), *(c.astype(k) for c, k in zip(columns, kinds, strict=True)))


def of_frame(layout: Layout, mask: np.ndarray, frame: int) -> np.ndarray:
    return mask.reshape(-1, layout.slots_per_frame)[frame % (layout.n_slots // layout.slots_per_frame)]


cell = st.tuples(
    st.integers(0, 1023),
    st.sampled_from([1, 8, 16, 32, 63, 64]),
    st.floats(0, 1, width=32),
    st.floats(0, 1, width=32),
    st.integers(0, 30),
)


@pytest.mark.kernel
@pytest.mark.parametrize("name", NAMES)
def test_the_kernel_is_its_naive_twin(name: str) -> None:
    layout, rng = LAYOUTS[name], np.random.default_rng(0)
    n = 40
    frame, active = rng.integers(0, 100, n), rng.choice([0, 8, 64], n)
    dl, ul = (rng.choice([0.0, 1.0, 0.25, 0.7], n) * rng.uniform(0.5, 1, n) for _ in range(2))
    light = rng.choice([0, 1, 6, 12], n)
    found = masks(layout, frame, active, dl, ul, light)
    for i in range(n):
        share = float(np.float32(dl[i])), float(np.float32(ul[i]))
        rest, mode, whole = naive_masks(layout, frame[i], active[i], *share, light[i])
        assert [[bool(m >> k & 1) for k in range(14)] for m in found.symbol_mask[i].tolist()] == rest
        assert found.sleep_mode[i].tolist() == mode
        words = found.slot_mask[i].tolist()
        assert [bool(words[k // 64] >> (k % 64) & 1) for k in range(layout.slots_per_frame)] == whole


@given(st.sampled_from(NAMES), cell)
@settings(max_examples=300)
def test_mandatory_symbols_are_never_masked(
    name: str, given_cell: tuple[int, int, float, float, int]
) -> None:
    layout, frame = LAYOUTS[name], given_cell[0]
    found = masks(layout, *given_cell)
    held = of_frame(layout, layout.send | layout.listen, frame)
    assert not (found.symbol_mask[0] & held).any()
    assert not (found.symbol_mask[0] & ~np.uint16(ALL_SYMBOLS)).any()
    lit = found.sleep_mode[0] == LIGHT
    assert (found.symbol_mask[0][lit] == ALL_SYMBOLS).all()
    assert found.antenna_mask[0].bit_count() == given_cell[1]


@given(st.floats(0, 1, width=32), st.floats(0, 1, width=32))
def test_data_gets_the_symbols_it_was_promised(dl_share: float, ul_share: float) -> None:
    found = masks(TDD, 1, 64, dl_share, ul_share, 0)
    for share, allowed in ((dl_share, TDD.dl), (ul_share, TDD.ul)):
        frame = of_frame(TDD, allowed, 1)
        free = int(np.bitwise_count(frame).sum())
        kept = int(np.bitwise_count(frame & ~found.symbol_mask[0]).sum())
        assert share * free - 1e-3 <= kept < share * free + 1


def test_the_rest_of_a_frame_is_one_gap_behind_its_burst() -> None:
    found = masks(TDD, 0, 64, 0.05, 0.0, 12)
    busy = np.flatnonzero(found.symbol_mask[0] != ALL_SYMBOLS)
    assert busy.tolist() == [0, 1, 2, 4]  # 3 is uplink and keeps nothing
    assert found.sleep_mode[0].tolist() == [0] * 5 + [1] * 15
    assert found.slot_mask[0, 0] == np.uint64(((1 << 20) - 1) & ~0b10111)
    assert found.valid_frames == 1


def test_a_rest_shorter_than_the_transition_stays_micro_sleep() -> None:
    assert masks(TDD, 0, 64, 0.05, 0.0, 16).sleep_mode.sum() == 0
    assert masks(TDD, 0, 64, 0.05, 0.0, 0).sleep_mode.sum() == 0


def test_antenna_masks_follow_the_level() -> None:
    world = load_world("3gpp-cat1-set1").world
    active = active_txru(world, 64)
    assert active.tolist() == [64, 64, 32, 16, 8, 0, 0]
    found = masks(TDD, 0, active, 0.1, 0.1, 0)
    assert found.antenna_mask.tolist() == [2**64 - 1, 2**64 - 1, 2**32 - 1, 2**16 - 1, 2**8 - 1, 0, 0]
    assert (found.symbol_mask[-1] == ALL_SYMBOLS).all()


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("evaluation")])
def test_masks_have_the_occupancy_of_the_closed_form(name: str) -> None:
    layout, load = LAYOUTS[name], np.linspace(0, 1, 101)
    share = filled_symbol_share(layout, load_symbol_model(), load, used_symbol_share(load))
    stated = layout.always_on_share + (1 - layout.always_on_share) * share
    frames = layout.n_slots // layout.slots_per_frame
    on_air = np.zeros(len(load))
    for frame in range(frames):
        found = masks(layout, frame, 64, share, 0, 0)
        on_air += np.bitwise_count(of_frame(layout, layout.dl, frame)[None, :] & ~found.symbol_mask).sum(1)
    symbols = int(np.bitwise_count(layout.dl).sum())
    assert np.abs(on_air / symbols - stated).max() <= frames / symbols  # one symbol of each frame


@pytest.mark.parametrize(
    ("field", "value"), [(0, -1), (1, 65), (1, -1), (2, 1.1), (2, np.nan), (3, -0.1), (4, -1)]
)
def test_values_outside_their_range_are_refused(field: int, value: float) -> None:
    given_cell: list[float] = [0, 64, 0.5, 0.5, 6]
    given_cell[field] = value
    name = ("frame", "active", "dl_share", "ul_share", "light_slots")[field]
    with pytest.raises(ValueError, match=f"{name} must lie in"):
        masks(TDD, *given_cell)


def test_shapes_must_agree_and_no_cell_is_fine() -> None:
    ints, shares = np.zeros(2, np.int64), np.zeros(2, np.float32)
    with pytest.raises(ValueError, match="active must have shape"):
        lay_masks(frame_masks(TDD), ints, ints[:1], shares, shares, ints)
    none = lay_masks(frame_masks(TDD), ints[:0], ints[:0], shares[:0], shares[:0], ints[:0])
    assert none.symbol_mask.shape == (0, 20)


def test_masks_depend_on_the_frame_number_of_each_cell() -> None:
    found = masks(replace(TDD), [0, 1, 2], 64, 0.0, 0.0, 0)
    assert (found.symbol_mask[0] == found.symbol_mask[2]).all()
    assert (found.symbol_mask[1] == ALL_SYMBOLS).all()
