"""Gates: reading them, their errors, and the verdict on the worst run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.evaluation.gates import GATED, OPERATORS, GateError, judge, parse_gate
from controller.evaluation.table import verdict_text
from controller.replay.planners import POLICIES

EVALUATED = ("none", "symbol", "predictive", "oracle")
SPACE = st.sampled_from(["", " ", "  "])


def run_with(seed: int, **figures: Any) -> dict[str, Any]:
    return {"trace": {"source": "north"}, "world": "w", "seed": seed, "policies": {"predictive": figures}}


@given(
    policy=st.sampled_from(EVALUATED),
    figure=st.sampled_from(GATED),
    comparison=st.sampled_from(sorted(OPERATORS)),
    bound=st.floats(-1e6, 1e6),
    spaces=st.tuples(SPACE, SPACE, SPACE, SPACE, SPACE, SPACE),
)
def test_every_way_of_writing_a_gate_is_read(
    policy: str, figure: str, comparison: str, bound: float, spaces: tuple[str, ...]
) -> None:
    parts = (policy, ".", figure, comparison, str(bound))
    gate = parse_gate("".join(s + p for s, p in zip(spaces, (*parts, ""), strict=True)), EVALUATED, POLICIES)
    assert (gate.policy, gate.figure, gate.comparison, gate.bound) == (policy, figure, comparison, bound)


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("", 1, "expected a policy"),
        ("predictive", 11, "expected '.'"),
        ("predictive.", 12, "expected a figure"),
        ("predictive.limits_held 1", 24, "expected one of >="),
        ("predictive.limits_held = 1", 24, "expected one of >="),
        ("predictive.limits_held ==", 26, "expected a number"),
        ("predictive.limits_held == yes", 27, "expected a number"),
        ("predictive.ee_gain_vs_none >= 20%", 33, "ratios are 0 to 1"),
        ("  predictiv.limits_held == 1", 3, "known: none, symbol, predictive, oracle"),
        ("timer.limits_held == 1", 1, "'timer' is not evaluated; add --policy timer"),
        ("predictive. gain > 0", 13, "known: ee_gain_vs_none, energy_saved_vs_none"),
    ],
)
def test_errors_show_the_position(text: str, position: int, said: str) -> None:
    with pytest.raises(GateError) as caught:
        parse_gate(text, EVALUATED, POLICIES)
    first, shown, pointer = str(caught.value).split("\n")
    assert f"position {position}:" in first
    assert said in first
    assert (shown, pointer.index("^")) == (f"  {text}", position + 1)


@pytest.mark.parametrize(
    ("comparison", "held", "worst", "margin"),
    [
        (">= 0.2", True, 0.2, 0.0),
        ("> 0.2", False, 0.2, 0.0),
        (">= 0.25", False, 0.2, -0.05),
        ("<= 0.5", True, 0.4, 0.1),
        ("< 0.4", False, 0.4, 0.0),
        ("<= 0.3", False, 0.4, -0.1),
        ("== 0.2", False, 0.4, -0.2),
    ],
)
def test_the_worst_value_counts(comparison: str, held: bool, worst: float, margin: float) -> None:
    gate = parse_gate(f"predictive.captured_share {comparison}", EVALUATED, POLICIES)
    runs = [run_with(k, captured_share=value) for k, value in enumerate((0.3, 0.2, 0.4))]
    found = judge(gate, runs).as_document()
    assert (found["held"], found["value"]) == (held, worst)
    assert found["margin"] == pytest.approx(margin)
    assert (found["trace"], found["world"], found["seed"]) == ("north", "w", 1 if worst == 0.2 else 2)
    assert verdict_text(found).startswith("held" if held else "MISSED")
    assert f"in north, w, seed {found['seed']}" in verdict_text(found)


def test_booleans_count_as_0_and_1() -> None:
    gate = parse_gate("predictive.limits_held == 1", EVALUATED, POLICIES)
    assert judge(gate, [run_with(0, limits_held=True)]).held
    missed = judge(gate, [run_with(0, limits_held=True), run_with(1, limits_held=False)]).as_document()
    assert (missed["held"], missed["value"], missed["margin"], missed["seed"]) == (False, 0.0, -1.0, 1)


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"captured_share": None, "captured_share_reason": "nothing to save"}, "nothing to save"),
        ({"applicable": False, "reason": "not logged"}, "not logged"),
        ({}, "no such figure"),
    ],
)
def test_what_is_undefined_misses_the_gate_and_says_why(figures: dict[str, Any], said: str) -> None:
    gate = parse_gate("predictive.captured_share >= 0", EVALUATED, POLICIES)
    found = judge(gate, [run_with(0, captured_share=0.5), run_with(1, **figures)]).as_document()
    assert (found["held"], found["value"], found["margin"], found["seed"]) == (False, None, None, 1)
    assert said in found["value_reason"]
    assert said in verdict_text(found)
    assert not judge(gate, []).held
