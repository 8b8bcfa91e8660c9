"""What a carrier sends and listens to whatever its load, as settings: one file of hw/symbols/frames/.

``hw.symbols.layout`` turns a frame into masks of symbols.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hw.spec import Share, Spec

SYMBOLS_PER_SLOT = 14  # normal cyclic prefix (TS 38.211 Table 4.3.2-1)
FRAME_MS = 10
SSB_SYMBOLS = 4  # TS 38.211 clause 7.4.3.1
SSB_PERIODS_MS = (5, 10, 20, 40, 80, 160)  # ssb-periodicityServingCell, TS 38.331

PeriodMs = Literal[5, 10, 20, 40, 80, 160]

# First symbols of the candidate SSBs in groups of slots (TS 38.213 clause 4.1): the symbols of one group, the length
# of a group in symbols, the numbers n of the groups by the largest number of beams.
_CASES: dict[str, tuple[tuple[int, ...], int, dict[int, tuple[int, ...]]]] = {
    "A": ((2, 8), 14, {4: (0, 1), 8: (0, 1, 2, 3)}),
    "B": ((4, 8, 16, 20), 28, {4: (0,), 8: (0, 1)}),
    "C": ((2, 8), 14, {4: (0, 1), 8: (0, 1, 2, 3)}),
    "D": ((4, 8, 16, 20), 28, {64: (0, 1, 2, 3, 5, 6, 7, 8, 10, 11, 12, 13, 15, 16, 17, 18)}),
}
_SCS_OF_CASE = {"A": 15, "B": 30, "C": 30, "D": 120}


class SsbSpec(Spec):
    """The burst of synchronisation signal blocks, in the first half of a frame."""

    case: Literal["A", "B", "C", "D"]  # TS 38.213 clause 4.1
    max_beams: Literal[4, 8, 64]
    beams: Annotated[
        int, Field(ge=1, le=64)
    ]  # sent, on the first candidates that the pattern leaves downlink
    period_ms: PeriodMs
    longest_period_ms: PeriodMs  # to which the period may be stretched
    prb: Annotated[int, Field(gt=0)] = 20  # TS 38.211 clause 7.4.3.1

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.max_beams not in _CASES[self.case][2]:
            raise ValueError(f"case {self.case} has no pattern of {self.max_beams} beams")
        if self.beams > self.max_beams:
            raise ValueError(f"beams must not exceed max_beams, {self.max_beams}")
        if self.longest_period_ms < self.period_ms:
            raise ValueError("longest_period_ms must not be below period_ms")
        return self

    @property
    def candidates(self) -> list[int]:
        """First symbols of the candidate SSBs, counted from the start of the frame."""
        firsts, length, groups = _CASES[self.case]
        return [n * length + first for n in groups[self.max_beams] for first in firsts]


class Sib1Spec(Spec):
    """SIB1 with its PDCCH: for each beam, the first free downlink symbols of the slot of its SSB.

    It follows the SSB burst, also where that is stretched (multiplexing pattern 1 of TS 38.213 clause 13).
    """

    symbols_per_beam: Annotated[int, Field(ge=0, le=10)]
    prb: Annotated[int, Field(gt=0)]


class SignalSpec(Spec):
    """A signal that comes back in the same symbols: paging, CSI-RS or TRS downlink, PRACH uplink."""

    period_ms: Literal[10, 20, 40, 80, 160]
    slots: tuple[Annotated[int, Field(ge=0)], ...]  # from the start of the period
    symbols: tuple[Annotated[int, Field(ge=0, lt=SYMBOLS_PER_SLOT)], ...]
    prb: Annotated[int, Field(gt=0)]
    used_share: Share = 1.0  # of the occasions that really carry something; all are kept free of rest


class FrameSpec(Spec):
    """A carrier's frame: numerology, duplex and the signals that cannot be left out."""

    schema_name: Annotated[Literal["quietcell.frame/1"], Field(alias="schema")]
    name: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    scs_khz: Literal[15, 30, 60, 120]
    n_prb: Annotated[int, Field(gt=0)]
    tdd_pattern: Annotated[str, Field(pattern="^[DSU]+$")] | None  # slots; none in FDD
    special_slot: tuple[int, int, int] = (10, 2, 2)  # downlink, guard and uplink symbols of S
    pdcch_symbols: Annotated[int, Field(ge=0, le=3)]  # at the head of a downlink slot with data
    pdcch_prb: Annotated[int, Field(gt=0)]
    ssb: SsbSpec
    sib1: Sib1Spec
    downlink: dict[str, SignalSpec] = Field(default_factory=dict)  # paging, csi_rs, trs
    uplink: dict[str, SignalSpec] = Field(default_factory=dict)  # prach

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.scs_khz != _SCS_OF_CASE[self.ssb.case]:
            raise ValueError(f"SSB case {self.ssb.case} needs scs_khz {_SCS_OF_CASE[self.ssb.case]}")
        if sum(self.special_slot) != SYMBOLS_PER_SLOT or min(self.special_slot) < 0:
            raise ValueError(f"special_slot must sum to {SYMBOLS_PER_SLOT}")
        if self.tdd_pattern is not None and self.slots_per_frame % len(self.tdd_pattern):
            raise ValueError(f"tdd_pattern must fit {self.slots_per_frame} slots a whole number of times")
        for name, signal in [*self.downlink.items(), *self.uplink.items()]:
            if max(signal.slots, default=0) >= signal.period_ms * self.slots_per_ms:
                raise ValueError(f"{name}: slots must lie inside period_ms")
            if signal.prb > self.n_prb:
                raise ValueError(f"{name}: prb must not exceed n_prb, {self.n_prb}")
        return self

    @property
    def slots_per_ms(self) -> int:
        """Slots of a millisecond: 1, 2, 4 or 8."""
        return self.scs_khz // 15

    @property
    def slots_per_frame(self) -> int:
        """Slots of a frame of 10 ms."""
        return FRAME_MS * self.slots_per_ms

    def stretched(self, period_ms: PeriodMs) -> FrameSpec:
        """The frame with its SSB burst, and SIB1 with it, at a longer period.

        A phone that looks for a cell may count on 20 ms (TS 38.213 clause 4.1), so longer periods suit cells that
        another cell announces. Raises ValueError beyond ``longest_period_ms``.
        """
        if not self.ssb.period_ms <= period_ms <= self.ssb.longest_period_ms:
            raise ValueError(
                f"frame {self.name}: an SSB period of {period_ms} ms is outside "
                f"{self.ssb.period_ms}..{self.ssb.longest_period_ms} ms; raise longest_period_ms where it is allowed"
            )
        return self.model_copy(update={"ssb": self.ssb.model_copy(update={"period_ms": period_ms})})
