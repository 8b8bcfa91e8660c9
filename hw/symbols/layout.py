"""From a frame to masks: which symbols are downlink, which are uplink, which must be on air.

A mask holds the 14 symbols of a slot, symbol 0 in the lowest bit. All masks of a ``Layout`` cover the ``n_slots`` slots
after which the mandatory signals repeat, at most 160 ms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.errors import WorldError
from hw.symbols.frame import FRAME_MS, SSB_SYMBOLS, SYMBOLS_PER_SLOT, FrameSpec, SignalSpec

ALL_SYMBOLS = (1 << SYMBOLS_PER_SLOT) - 1


@dataclass(frozen=True, slots=True)
class Layout:
    """Masks of a frame. S slots until they repeat."""

    slots_per_ms: int
    slots_per_frame: int
    fdd: bool
    n_prb: int
    pdcch_symbols: int
    pdcch_prb: int
    dl: NDArray[np.uint16]  # (S,) symbols that may be downlink
    ul: NDArray[np.uint16]  # (S,) symbols that may be uplink
    send: NDArray[np.uint16]  # (S,) downlink symbols that are always sent
    listen: NDArray[np.uint16]  # (S,) uplink symbols in which a phone may call
    rb_share: NDArray[np.float64]  # (S, 14) of the always-on signals, on average [ratio]

    @property
    def n_slots(self) -> int:
        """Slots after which the masks repeat."""
        return len(self.dl)

    @property
    def always_on_share(self) -> float:
        """Share of the downlink symbols that are always sent. [ratio]"""
        return float(np.bitwise_count(self.send).sum() / np.bitwise_count(self.dl).sum())

    @property
    def dl_symbol_share(self) -> float:
        """Share of all symbols that are downlink. [ratio]"""
        return float(np.bitwise_count(self.dl).sum() / (self.n_slots * SYMBOLS_PER_SLOT))

    @property
    def mandatory(self) -> NDArray[np.bool_]:
        """Slots in which the radio must be on air. (S,)"""
        return np.asarray((self.send | self.listen) > 0)

    def gaps_ms(self) -> NDArray[np.float64]:
        """Lengths of the runs of slots without mandatory symbols, the pattern being repeated. (gaps,)

        One gap of infinite length where nothing is mandatory.
        """
        at = np.flatnonzero(self.mandatory)
        if not len(at):
            return np.array([np.inf])
        free = np.diff(np.append(at, at[0] + self.n_slots)) - 1
        return np.asarray(free[free > 0] / self.slots_per_ms)


def lay_out(frame: FrameSpec) -> Layout:
    """The masks of a frame. Raises WorldError where a signal finds no symbol of its direction."""
    signals = [*frame.downlink.values(), *frame.uplink.values()]
    period_ms = math.lcm(FRAME_MS, frame.ssb.period_ms, *(s.period_ms for s in signals))
    n_slots = period_ms * frame.slots_per_ms
    dl, ul = _directions(frame, n_slots)
    send, listen = np.zeros(n_slots, np.uint16), np.zeros(n_slots, np.uint16)
    rb_share = np.zeros((n_slots, SYMBOLS_PER_SLOT))
    _add_bursts(frame, dl, send, rb_share)
    for name, signal in frame.downlink.items():
        _add_signal(frame, name, signal, dl, send, rb_share)
    for name, signal in frame.uplink.items():
        _add_signal(frame, name, signal, ul, listen, None)
    return Layout(
        slots_per_ms=frame.slots_per_ms,
        slots_per_frame=frame.slots_per_frame,
        fdd=frame.tdd_pattern is None,
        n_prb=frame.n_prb,
        pdcch_symbols=frame.pdcch_symbols,
        pdcch_prb=min(frame.pdcch_prb, frame.n_prb),
        dl=dl,
        ul=ul,
        send=send,
        listen=listen,
        rb_share=np.minimum(rb_share, 1.0),
    )


def _directions(frame: FrameSpec, n_slots: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Downlink and uplink masks by slot. (S,) each"""
    if frame.tdd_pattern is None:
        both = np.full(n_slots, ALL_SYMBOLS, np.uint16)
        return both, both.copy()
    n_dl, _, n_ul = frame.special_slot
    mask = {
        "D": (ALL_SYMBOLS, 0),
        "U": (0, ALL_SYMBOLS),
        "S": ((1 << n_dl) - 1, ALL_SYMBOLS & ~((1 << (SYMBOLS_PER_SLOT - n_ul)) - 1)),
    }
    pattern = np.array([mask[slot] for slot in frame.tdd_pattern], np.uint16)
    both = np.tile(pattern, (n_slots // len(pattern), 1))
    return np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1])


def _add_bursts(
    frame: FrameSpec, dl: NDArray[np.uint16], send: NDArray[np.uint16], rb_share: NDArray[np.float64]
) -> None:
    """Write the SSB bursts and the SIB1 of their beams."""
    ssb, per_slot = frame.ssb, SYMBOLS_PER_SLOT
    for burst in range(0, len(dl), ssb.period_ms * frame.slots_per_ms):
        sent: list[int] = []  # slots, one entry for each beam
        for first in ssb.candidates:
            slot, symbol = burst + first // per_slot, first % per_slot
            mask = ((1 << SSB_SYMBOLS) - 1) << symbol
            if len(sent) < ssb.beams and mask & ~int(dl[slot]) == 0:
                send[slot] |= mask
                rb_share[slot, symbol : symbol + SSB_SYMBOLS] += ssb.prb / frame.n_prb
                sent.append(slot)
        if len(sent) < ssb.beams:
            raise WorldError(
                f"frame {frame.name}: {ssb.beams} beams asked for, the pattern leaves {len(sent)} candidate SSBs"
            )
        for slot in sent:
            _add_sib1(frame, slot, dl, send, rb_share)


def _add_sib1(
    frame: FrameSpec,
    slot: int,
    dl: NDArray[np.uint16],
    send: NDArray[np.uint16],
    rb_share: NDArray[np.float64],
) -> None:
    left = frame.sib1.symbols_per_beam
    for symbol in range(SYMBOLS_PER_SLOT):
        bit = 1 << symbol
        if left and int(dl[slot]) & bit and not int(send[slot]) & bit:
            send[slot] |= bit
            rb_share[slot, symbol] += frame.sib1.prb / frame.n_prb
            left -= 1
    if left:
        raise WorldError(
            f"frame {frame.name}: slot {slot} has no symbols left for sib1; lower symbols_per_beam"
        )


def _add_signal(
    frame: FrameSpec,
    name: str,
    signal: SignalSpec,
    allowed: NDArray[np.uint16],
    mask: NDArray[np.uint16],
    rb_share: NDArray[np.float64] | None,
) -> None:
    wanted = sum(1 << symbol for symbol in signal.symbols)
    for start in range(0, len(mask), signal.period_ms * frame.slots_per_ms):
        for slot in signal.slots:
            if wanted & ~int(allowed[start + slot]):
                raise WorldError(
                    f"frame {frame.name}: {name} in slot {slot} uses symbols of the other direction; move it"
                )
            mask[start + slot] |= wanted
            if rb_share is not None:
                rb_share[start + slot, list(signal.symbols)] += signal.used_share * signal.prb / frame.n_prb
