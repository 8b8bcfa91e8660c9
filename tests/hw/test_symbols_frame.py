"""What a frame must send, against positions of the standards and the always-on share of the evaluation."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from controller.symbols.catalogue import frame_names
from controller.worlds import default_evaluation
from hw.errors import WorldError
from hw.symbols.frame import FrameSpec
from hw.symbols.layout import Layout, lay_out
from tests.hw.frames import PRACH, SHIPPED, TDD, frame, shipped


def symbols(mask: int) -> list[int]:
    return [s for s in range(14) if mask >> s & 1]


def test_the_shipped_frames_are_known() -> None:
    assert frame_names() == sorted(SHIPPED)


@pytest.mark.parametrize("name", [name for name in SHIPPED if name.startswith("evaluation")])
def test_evaluation_frames_keep_the_always_on_share_of_the_evaluation(name: str) -> None:
    layout, evaluation = lay_out(shipped(name)), default_evaluation()
    assert layout.always_on_share == pytest.approx(evaluation.always_on.symbol_share, rel=1e-12)
    on = layout.rb_share[layout.rb_share > 0]
    assert on * layout.n_prb == pytest.approx(evaluation.always_on.prb)
    share = 1.0 if "fdd" in name else evaluation.dl_symbol_share_tdd
    assert layout.dl_symbol_share == pytest.approx(share)


def test_eight_beams_and_their_sib1_are_48_of_560_symbols() -> None:
    ssb = {"case": "C", "max_beams": 8, "beams": 8, "period_ms": 20, "longest_period_ms": 20}
    layout = lay_out(frame(scs_khz=30, ssb=ssb, sib1={"symbols_per_beam": 2, "prb": 20}))
    assert int(np.bitwise_count(layout.send).sum()) == 48
    assert layout.n_slots * 14 == 560


def test_bursts_stand_where_the_standard_puts_them() -> None:
    # TS 38.213 clause 4.1: case C starts at 2 and 8 of each slot, case A too, case D at 4, 8, 16 and 20 of two slots
    ssb = {"case": "C", "max_beams": 8, "beams": 3, "period_ms": 20, "longest_period_ms": 20}
    layout = lay_out(frame(scs_khz=30, ssb=ssb))
    assert symbols(int(layout.send[0])) == [2, 3, 4, 5, 8, 9, 10, 11]
    assert symbols(int(layout.send[1])) == [2, 3, 4, 5]
    assert not layout.send[2:40].any()
    case_d = {"case": "D", "max_beams": 64, "beams": 4, "period_ms": 20, "longest_period_ms": 20}
    layout = lay_out(frame(scs_khz=120, n_prb=66, ssb=case_d))
    assert symbols(int(layout.send[0])) == [4, 5, 6, 7, 8, 9, 10, 11]
    assert symbols(int(layout.send[1])) == [2, 3, 4, 5, 6, 7, 8, 9]


def test_beams_whose_slot_is_uplink_are_not_sent() -> None:
    layout = lay_out(shipped("evaluation-tdd-30khz"))
    assert np.flatnonzero(layout.send).tolist() == [0, 1, 2]
    changed = shipped("evaluation-tdd-30khz").model_dump(by_alias=True)
    changed["ssb"]["beams"] = 7
    with pytest.raises(WorldError, match="leaves 6 candidate SSBs"):
        lay_out(FrameSpec.model_validate(changed))


def test_sib1_takes_the_first_free_symbols_of_the_slot_of_its_beam() -> None:
    layout = lay_out(frame(sib1={"symbols_per_beam": 3, "prb": 10}))
    assert symbols(int(layout.send[0])) == [0, 1, 2, 3, 4, 5, 6]
    assert layout.rb_share[0, [0, 1, 6]] == pytest.approx(10 / 50)
    with pytest.raises(WorldError, match="no symbols left for sib1"):
        lay_out(
            frame(
                sib1={"symbols_per_beam": 10, "prb": 10},
                ssb={"case": "A", "max_beams": 4, "beams": 2, "period_ms": 20, "longest_period_ms": 20},
            )
        )


def test_signals_repeat_in_their_direction_only() -> None:
    layout = lay_out(frame(uplink=PRACH))
    assert np.flatnonzero(layout.listen).tolist() == [7, 17]
    with pytest.raises(WorldError, match="prach in slot 7 uses symbols of the other direction"):
        lay_out(frame(**TDD, uplink=PRACH))


def test_a_longer_ssb_period_leaves_longer_gaps() -> None:
    def gaps(layout: Layout) -> list[float]:
        return sorted(layout.gaps_ms().tolist())

    one = frame()
    assert gaps(lay_out(one)) == [19]
    assert [gaps(lay_out(one.stretched(period))) for period in (40, 80, 160)] == [[39], [79], [159]]
    assert lay_out(one.stretched(160)).always_on_share == pytest.approx(lay_out(one).always_on_share / 8)
    with pytest.raises(ValueError, match="raise longest_period_ms"):
        shipped("evaluation-fdd-15khz").stretched(40)


def test_a_frame_without_mandatory_slots_is_one_endless_gap() -> None:
    layout = lay_out(frame())
    silent = Layout(**{name: getattr(layout, name) for name in Layout.__slots__} | {"send": layout.send * 0})
    assert silent.gaps_ms().tolist() == [np.inf]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scs_khz": 30}, "SSB case A needs scs_khz 15"),
        ({**TDD, "tdd_pattern": "DDDSUUU"}, "a whole number of times"),
        ({"special_slot": (9, 2, 2)}, "special_slot must sum to 14"),
        (
            {"uplink": {"prach": {"period_ms": 10, "slots": [10], "symbols": [0], "prb": 6}}},
            "inside period_ms",
        ),
        (
            {"uplink": {"prach": {"period_ms": 10, "slots": [1], "symbols": [0], "prb": 60}}},
            "prb must not exceed",
        ),
        (
            {"ssb": {"case": "A", "max_beams": 4, "beams": 5, "period_ms": 20, "longest_period_ms": 20}},
            "max_beams",
        ),
        (
            {"ssb": {"case": "A", "max_beams": 64, "beams": 5, "period_ms": 20, "longest_period_ms": 20}},
            "no pattern",
        ),
        (
            {"ssb": {"case": "A", "max_beams": 4, "beams": 1, "period_ms": 20, "longest_period_ms": 10}},
            "below period",
        ),
    ],
)
def test_frames_that_cannot_be_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        frame(**changes)
