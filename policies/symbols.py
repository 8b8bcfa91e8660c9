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
from numba import njit, prange
from numpy.typing import NDArray

from hw.symbols.frame import SYMBOLS_PER_SLOT
from hw.symbols.layout import ALL_SYMBOLS, Layout
from hw.world import RF_CHANNEL, World

MICRO, LIGHT = 0, 1  # sleepMode
WORD_BITS = 64
VALID_FRAMES = 1  # validDuration [10 ms]: masks hold for the frame they were laid out for
TINY = 1e-9


class FrameMasks(NamedTuple):
    """A layout for kernels. S slots until it repeats."""

    dl: NDArray[np.uint16]  # (S,)
    ul: NDArray[np.uint16]  # (S,)
    send: NDArray[np.uint16]  # (S,)
    listen: NDArray[np.uint16]  # (S,)
    slots_per_frame: int
    bits: NDArray[np.uint8]  # (2**14,) set bits of a mask


@dataclass(frozen=True, slots=True)
class SymbolMasks:
    """Commands of one frame. n cells, s slots of a frame."""

    antenna_mask: NDArray[np.uint64]  # (n,) TxRU that stay active
    sleep_mode: NDArray[np.uint8]  # (n, s) depth of the rest in a slot
    symbol_mask: NDArray[np.uint16]  # (n, s) symbols that rest
    slot_mask: NDArray[np.uint64]  # (n, ceil(s / 64)) slots that rest as a whole
    valid_frames: int = VALID_FRAMES  # from the beginning of the frame [10 ms]


def frame_masks(layout: Layout) -> FrameMasks:
    """Masks of a layout, packed for kernels."""
    bits = np.bitwise_count(np.arange(1 << SYMBOLS_PER_SLOT, dtype=np.uint16))
    return FrameMasks(layout.dl, layout.ul, layout.send, layout.listen, layout.slots_per_frame, bits)


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
def _keep(masks, allowed, held, begin, start, share, symbol_mask):  # type: ignore[no-untyped-def]
    """Take out of ``symbol_mask`` the symbols that data gets: the lowest free ones from slot ``start`` of the frame."""
    s, free = len(symbol_mask), 0
    for slot in range(s):
        free += masks.bits[allowed[begin + slot] & ~held[begin + slot]]
    need = np.int64(np.ceil(share * free - TINY))
    for k in range(s):
        if need <= 0:
            break
        slot = (start + k) % s
        room = allowed[begin + slot] & ~held[begin + slot]
        if masks.bits[room] <= need:
            taken = room
        else:
            taken = np.uint16(0)
            for symbol in range(SYMBOLS_PER_SLOT):
                bit = np.uint16(1 << symbol)
                if room & bit and masks.bits[taken] < need:
                    taken |= bit
        need -= masks.bits[taken]
        symbol_mask[slot] &= ~taken


@njit(inline="always")
def _modes(symbol_mask, light_slots, sleep_mode, slot_mask):  # type: ignore[no-untyped-def]
    """Slots that rest as a whole, and light sleep in runs of them that are long enough."""
    slot_mask[:] = 0
    sleep_mode[:] = MICRO
    run = 0
    for slot in range(len(symbol_mask)):
        whole = symbol_mask[slot] == ALL_SYMBOLS
        run = run + 1 if whole else 0
        if whole:
            slot_mask[slot // WORD_BITS] |= np.uint64(1) << np.uint64(slot % WORD_BITS)
        if light_slots > 0 and run == light_slots:
            sleep_mode[slot - run + 1 : slot + 1] = LIGHT
        elif light_slots > 0 and run > light_slots:
            sleep_mode[slot] = LIGHT


@njit(cache=True)
def _lay_one(masks, frame, active, shares, light_slots, sleep_mode, symbol_mask, slot_mask):  # type: ignore[no-untyped-def]
    """Masks of one cell; the arrays of its slots are written. Returns its antenna mask."""
    s = masks.slots_per_frame
    begin = frame % (len(masks.dl) // s) * s
    start = 0
    if active == 0:
        symbol_mask[:] = ALL_SYMBOLS
    else:
        for slot in range(s - 1, -1, -1):
            mandatory = masks.send[begin + slot] | masks.listen[begin + slot]
            start = slot if masks.send[begin + slot] else start
            symbol_mask[slot] = ALL_SYMBOLS & ~mandatory
        _keep(masks, masks.dl, masks.send, begin, start, shares[0], symbol_mask)
        _keep(masks, masks.ul, masks.listen, begin, start, shares[1], symbol_mask)
    _modes(symbol_mask, light_slots, sleep_mode, slot_mask)
    if active >= WORD_BITS:
        return ~np.uint64(0)
    return (np.uint64(1) << np.uint64(active)) - np.uint64(1)


@njit(parallel=True, cache=True)
def _lay_all(masks, inputs, antenna_mask, sleep_mode, symbol_mask, slot_mask):  # type: ignore[no-untyped-def]
    frame, active, dl_share, ul_share, light_slots = inputs
    for i in prange(len(antenna_mask)):
        antenna_mask[i] = _lay_one(
            masks,
            frame[i],
            active[i],
            (dl_share[i], ul_share[i]),
            light_slots[i],
            sleep_mode[i],
            symbol_mask[i],
            slot_mask[i],
        )
