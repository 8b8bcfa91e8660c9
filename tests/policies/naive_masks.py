"""A naive twin of policies.symbols: one frame of one cell as lists of symbols."""

from __future__ import annotations

import math

from hw.symbols.layout import Layout


def naive_masks(
    layout: Layout, frame: int, active: int, dl_share: float, ul_share: float, light_slots: int
) -> tuple[list[list[bool]], list[int], list[bool]]:
    """Symbols that rest, sleep mode and whole slots that rest, slot by slot of the frame."""
    s = layout.slots_per_frame
    first = frame % (layout.n_slots // s) * s

    def of(mask: object, slot: int) -> list[bool]:
        return [bool(int(mask[first + slot]) >> i & 1) for i in range(14)]  # type: ignore[index]

    rest = [[True] * 14 for _ in range(s)]
    if active:
        bursts = [slot for slot in range(s) if any(of(layout.send, slot))]
        order = [*range(bursts[0] if bursts else 0, s), *range(bursts[0] if bursts else 0)]
        for allowed, held, share in (
            (layout.dl, layout.send, dl_share),
            (layout.ul, layout.listen, ul_share),
        ):
            free = [
                (slot, i)
                for slot in order
                for i in range(14)
                if of(allowed, slot)[i] and not of(held, slot)[i]
            ]
            kept = free[: math.ceil(share * len(free) - 1e-9)]
            kept += [(slot, i) for slot in range(s) for i in range(14) if of(held, slot)[i]]
            for slot, i in kept:
                rest[slot][i] = False
    whole = [all(slot) for slot in rest]
    mode = [0] * s
    for start in range(s):
        for end in range(start + 1, s + 1):
            if light_slots and end - start >= light_slots and all(whole[start:end]):
                mode[start:end] = [1] * (end - start)
    return rest, mode, whole
