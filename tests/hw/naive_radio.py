"""A naive twin of ``hw.radio``: a frame of 20 ms laid out symbol by symbol, its energy added up.

Written from TR 38.864 V18.1.0, clause 5.1, and docs/evaluation.md; it shares no code with it. A frame has
whole symbols, so loads are given as numbers of used symbols.
"""

from __future__ import annotations

from dataclasses import dataclass

FRAME_MS = 20
SYMBOLS_PER_SLOT = 14
A = 0.4


@dataclass(frozen=True)
class Set:
    """A row of Tables 5.1-1 and 5.1-3."""

    p3: float
    p4: float
    p5: float
    scs_khz: int
    n_prb: int
    tdd: bool

    @property
    def n_symbols(self) -> int:
        """Symbols of one frame."""
        return FRAME_MS * (self.scs_khz // 15) * SYMBOLS_PER_SLOT

    @property
    def n_dl(self) -> int:
        """Downlink symbols of one frame: three quarters in TDD."""
        return self.n_symbols * 3 // 4 if self.tdd else self.n_symbols

    @property
    def n_ul(self) -> int:
        """Uplink symbols of one frame, in FDD beside the downlink."""
        return self.n_symbols - self.n_dl if self.tdd else self.n_symbols

    @property
    def n_always_on(self) -> int:
        """Downlink symbols with SSB, SIB1 or their PDCCH: 48 of 560."""
        always_on, rest = divmod(self.n_dl * 48, 560)
        assert rest == 0
        return always_on


SETS = {
    "3gpp-cat1-set1": Set(55, 280, 110, 30, 273, tdd=True),
    "3gpp-cat1-set2": Set(50, 200, 90, 15, 106, tdd=False),
    "3gpp-cat1-set3": Set(38, 152, 80, 120, 66, tdd=True),
    "3gpp-cat2-set1": Set(5.5, 32, 6.5, 30, 273, tdd=True),
    "3gpp-cat2-set2": Set(5.0, 26, 5.8, 15, 106, tdd=False),
    "3gpp-cat2-set3": Set(3.0, 17.6, 4.2, 120, 66, tdd=True),
}


def dl_load(of: Set, used: int) -> float:
    """PRB load r at which ``used`` of the downlink symbols that are not always on carry data.

    The share of used symbols is o = 2 r / (1 + r), so r = o / (2 - o).
    """
    o = used / (of.n_dl - of.n_always_on)
    return o / (2 - o)


def frame_energy(of: Set, used: int, ul_used: int, txru_share: float, *, symbol_shutdown: bool) -> float:
    """Relative power x symbols of one frame."""
    r = dl_load(of, used)
    energy = 0.0
    for symbol in range(of.n_dl):
        if symbol < of.n_always_on:
            s_f = 20 / of.n_prb
            power = of.p3 + txru_share * (of.p4 - of.p3) * (A + (1 - A) * s_f)
        elif symbol < of.n_always_on + used:
            s_f = (1 + r) / 2
            power = of.p3 + txru_share * (of.p4 - of.p3) * (A + (1 - A) * s_f)
        elif symbol_shutdown:
            power = of.p3
        else:
            power = of.p3 + txru_share * (of.p4 - of.p3) * A
        energy += power
    for symbol in range(of.n_ul):
        receiving = txru_share * (of.p5 - of.p3) if symbol < ul_used else 0.0
        # in FDD the static part is already in the downlink symbol of the same time
        energy += receiving + (of.p3 if of.tdd else 0.0)
    return energy


def frame_power(of: Set, used: int, ul_used: int, txru_share: float, *, symbol_shutdown: bool) -> float:
    """Mean relative power of one frame."""
    return frame_energy(of, used, ul_used, txru_share, symbol_shutdown=symbol_shutdown) / of.n_symbols
