"""Masks of symbols and slots that may rest in the coming frame, per cell: what TRX_CONTROL and ASM commands carry.

A set bit marks a TxRU that stays active in ``antenna_mask``, a symbol that rests in ``symbol_mask``, a slot all of
whose symbols rest in ``slot_mask``; symbol 0, slot 0 and TxRU 0 are the lowest bits. The words are those of O-RAN WG4
CUS-plane section type 4 and of O-NESPolicy in E2SM-CCC; an adapter brings them into the order and polarity of the wire.

Mandatory symbols are never masked. Data gets as many of the other symbols as it is expected to need, next to the
mandatory ones, so that the rest of the frame is one gap. Masks bind the scheduler: data waits for the symbols it was
given, a frame at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hw.symbols.frame import SYMBOLS_PER_SLOT
from hw.symbols.layout import ALL_SYMBOLS, Layout
from hw.world import RF_CHANNEL, World

MICRO, LIGHT = 0, 1  # sleepMode
WORD_BITS = 64
VALID_FRAMES = 1  # validDuration [10 ms]: masks hold for the frame they were laid out for
TINY = 1e-9


class FrameMasks(NamedTuple):
    """A layout for kernels. S slots until it repeats, F frames, direction 0 downlink and 1 uplink."""

    rest: NDArray[np.uint16]  # (S,) symbols that are not mandatory
    free: NDArray[np.uint16]  # (2, S) symbols that data may get
    n_free: NDArray[np.int32]  # (2, S)
    before: NDArray[np.int32]  # (2, S) free symbols of the frame that come first
    total: NDArray[np.int32]  # (2, F)
    slots_per_frame: int


@dataclass(frozen=True, slots=True)
class SymbolMasks:
    """Commands of one frame. n cells, s slots of a frame."""

    antenna_mask: NDArray[np.uint64]  # (n,) TxRU that stay active
    sleep_mode: NDArray[np.uint8]  # (n, s) depth of the rest in a slot
    symbol_mask: NDArray[np.uint16]  # (n, s) symbols that rest
    slot_mask: NDArray[np.uint64]  # (n, ceil(s / 64)) slots that rest as a whole
    valid_frames: int = VALID_FRAMES  # from the beginning of the frame [10 ms]


def frame_masks(layout: Layout) -> FrameMasks:
    """A layout packed for kernels. Data fills each frame from its SSB burst on, then from the start to the burst."""
    s = layout.slots_per_frame
    frames = layout.n_slots // s
    free = np.stack([layout.dl & ~layout.send, layout.ul & ~layout.listen]).astype(np.uint16)
    n_free = np.bitwise_count(free).astype(np.int32)
    burst = np.argmax(layout.send.reshape(frames, s) > 0, axis=1)  # 0 in a frame without
    order = (burst[:, None] + np.arange(s)) % s
    by_frame = n_free.reshape(2, frames, s)
    ordered = np.take_along_axis(by_frame, np.broadcast_to(order, by_frame.shape), 2)
    before = np.empty_like(by_frame)
    np.put_along_axis(before, np.broadcast_to(order, by_frame.shape), np.cumsum(ordered, axis=2) - ordered, 2)
    return FrameMasks(
        rest=(ALL_SYMBOLS & ~(layout.send | layout.listen)).astype(np.uint16),
        free=free,
        n_free=n_free,
        before=np.ascontiguousarray(before.reshape(2, -1)),
        total=np.ascontiguousarray(by_frame.sum(2, dtype=np.int32)),
        slots_per_frame=s,
    )


def active_txru(world: World, txru: int) -> NDArray[np.int64]:
    """TxRU that each level keeps active, none off air. Shape (L,). ``txru`` is what the radio has."""
    kept = [int(n.removeprefix(RF_CHANNEL)) if n.startswith(RF_CHANNEL) else txru for n in world.level_names]
    return np.where(world.asleep, 0, kept)


def lay_masks(
    masks: FrameMasks,
    frame: NDArray[np.int64],
    active: NDArray[np.int64],
    dl_share: NDArray[np.float32],
    ul_share: NDArray[np.float32],
    light_slots: NDArray[np.int64],
) -> SymbolMasks:
    """Masks of one frame for many cells that share a frame layout.

    Parameters
    ----------
    frame : number of the coming frame, each cell's own count. Shape (n,).
    active : TxRU that the cell's level keeps active, 0 off air, at most 64. Shape (n,).
    dl_share, ul_share : share of the symbols that are not mandatory that data gets, rounded up. Shape (n,). [ratio]
    light_slots : slots in a row from which on a rest is light sleep; 0 for a radio without. Shape (n,).

    Raises ValueError for shapes that differ and values outside their range.
    """
    n = len(frame)
    for name, values, low, high in (
        ("frame", frame, 0, np.inf),
        ("active", active, 0, WORD_BITS),
        ("dl_share", dl_share, 0, 1),
        ("ul_share", ul_share, 0, 1),
        ("light_slots", light_slots, 0, np.inf),
    ):
        if values.shape != (n,):
            raise ValueError(f"{name} must have shape {(n,)}, not {values.shape}")
        if n and not (values.min() >= low and values.max() <= high):
            raise ValueError(f"{name} must lie in {low}..{high}, not {values.min()}..{values.max()}")
    s = masks.slots_per_frame
    found = SymbolMasks(
        antenna_mask=np.empty(n, np.uint64),
        sleep_mode=np.empty((n, s), np.uint8),
        symbol_mask=np.empty((n, s), np.uint16),
        slot_mask=np.empty((n, -(-s // WORD_BITS)), np.uint64),
    )
    inputs = (frame, active, dl_share, ul_share, light_slots)
    _lay_all(masks, inputs, found.antenna_mask, found.sleep_mode, found.symbol_mask, found.slot_mask)
    return found


@njit(inline="always")
def _lowest(mask, n):  # type: ignore[no-untyped-def]
    """The ``n`` lowest symbols of a mask."""
    kept = np.uint16(0)
    for symbol in range(SYMBOLS_PER_SLOT):
        bit = np.uint16(1 << symbol)
        if n > 0 and mask & bit:
            kept |= bit
            n -= 1
    return kept


@njit(inline="always")
def _kept(masks, direction, at, need):  # type: ignore[no-untyped-def]
    """Symbols of one slot that data gets when it needs so many in the frame."""
    n = need - masks.before[direction, at]
    if n <= 0:
        return np.uint16(0)
    mask = masks.free[direction, at]
    return mask if n >= masks.n_free[direction, at] else _lowest(mask, n)


@njit(inline="always")
def _needs(masks, direction, frame, share):  # type: ignore[no-untyped-def]
    return np.int32(np.ceil(share * masks.total[direction, frame] - TINY))


@njit(cache=True, error_model="numpy")
def _lay_all(masks, inputs, antenna_mask, sleep_mode, symbol_mask, slot_mask):  # type: ignore[no-untyped-def]
    """Masks of all cells, in one thread: 10,000 take less than a millisecond, starting threads several."""
    frames, active, dl_share, ul_share, light_slots = inputs
    s, period = masks.slots_per_frame, masks.total.shape[1]
    for i in range(len(antenna_mask)):
        frame, on_air = frames[i] % period, active[i] > 0
        need_dl, need_ul = _needs(masks, 0, frame, dl_share[i]), _needs(masks, 1, frame, ul_share[i])
        shortest = light_slots[i] if light_slots[i] > 0 else s + 1
        run, word = 0, np.uint64(0)
        for slot in range(s):
            at, rest = frame * s + slot, np.uint16(ALL_SYMBOLS)
            if on_air:
                rest = masks.rest[at] & ~(_kept(masks, 0, at, need_dl) | _kept(masks, 1, at, need_ul))
            symbol_mask[i, slot] = rest
            whole = rest == ALL_SYMBOLS
            run = run + 1 if whole else 0
            sleep_mode[i, slot] = LIGHT if run >= shortest else MICRO
            if run == shortest:  # the slots before it belong to the same rest
                for earlier in range(slot - run + 1, slot):
                    sleep_mode[i, earlier] = LIGHT
            word |= np.uint64(whole) << np.uint64(slot % WORD_BITS)
            if slot % WORD_BITS == WORD_BITS - 1 or slot == s - 1:
                slot_mask[i, slot // WORD_BITS], word = word, np.uint64(0)
        left = np.uint64(WORD_BITS - active[i])
        antenna_mask[i] = (~np.uint64(0)) >> left if on_air else np.uint64(0)
