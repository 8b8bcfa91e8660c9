"""Numbers read as they should, and the words name what was missed and assumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.report.assumed import assumptions
from controller.report.pagedata import PageData
from controller.report.words import (
    applicable,
    flat,
    gain,
    headline_policy,
    level_label,
    level_meaning,
    levels_used,
    limits_missed,
    number,
    percent,
    small_share,
    step_text,
)

Made = tuple[dict[str, Any], PageData]


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (percent, 0.3909, "39.1 %"),
        (percent, -1e-9, "0.0 %"),
        (gain, 0.62, "+62.0 %"),
        (gain, -0.031, "-3.1 %"),
        (gain, 1e-5, "0.0 %"),
        (small_share, 0.0, "0 %"),
        (small_share, 1e-4, "0.01 %"),
        (small_share, 8.74e-4, "0.0874 %"),
        (small_share, 3.2e-5, "0.0032 %"),
        (small_share, 1.0, "100 %"),
        (small_share, 1e-12, "<0.000001 %"),
        (number, 0, "0"),
        (number, 9.834, "9.83"),
        (number, 12345.6, "12,346"),
        (step_text, 900, "15 min"),
        (step_text, 86400, "1 d"),
        (step_text, 90, "90 s"),
    ],
)
def test_numbers_read_as_they_should(form: Any, value: float, text: str) -> None:
    assert form(value) == text


@given(st.floats(1e-8, 1))
def test_a_small_share_is_read_back_within_its_digits(ratio: float) -> None:
    text = small_share(ratio)
    assert "e" not in text
    if not text.startswith("<"):
        assert float(text.removesuffix(" %")) / 100 == pytest.approx(ratio, rel=0.006, abs=1e-10)


def test_the_headline_is_the_best_within_the_limits(made: Made) -> None:
    report = made[0]
    assert (
        report["policies"]["timer"]["ee_gain_vs_none"] > report["policies"]["predictive"]["ee_gain_vs_none"]
    )
    assert headline_policy(report) == "predictive"
    for policy in report["policies"].values():
        policy["limits_held"] = False
    assert headline_policy(report) == "timer"
    report["policies"] = {"none": report["policies"]["none"]}
    assert headline_policy(report) is None


def test_what_was_missed_is_named_with_its_limit(made: Made) -> None:
    report = made[0]
    assert limits_missed(report) == {
        "timer": [
            "unserved 0.21 % (limit 0.01 %)",
            "below target 1.83 % (limit 0.1 %)",
            "cells over limit 31 % (limit 1 %)",
        ]
    }
    assert next(iter(applicable(report))) == "timer"
    report["policies"]["oracle"]["limits_held"] = False
    assert limits_missed(report)["oracle"] == ["its report says so"]


def test_assumptions_speak_of_what_is_known_only(made: Made) -> None:
    report = made[0]
    told = {subject: " ".join(sentences) for subject, sentences in assumptions(report)}
    assert list(told) == ["This run", "Network", "Traffic inside a step", "Power", "Service", "Levels"]
    assert "sigma 0.3 and a correlation time of 5 min" in told["Traffic inside a step"]
    assert "12 × negative utilisation" in told["Network"]  # noqa: RUF001
    assert "carrier shutdown: off air; candidate cells carry the traffic; wakes in 1 min." in told["Levels"]
    del report["world_parameters"], report["assumptions"], report["notes"], report["quarantine"]
    bare = {subject: " ".join(sentences) for subject, sentences in assumptions(report)}
    assert "This run" not in bare
    assert "None" not in " ".join(bare.values())


def test_level_names_become_words() -> None:
    assert [
        level_label(name) for name in ("full", "symbol", "rf_channel_3", "deep_dormancy", "a_new_one")
    ] == [
        "full",
        "symbol shutdown",
        "3 RF channels",
        "deep dormancy",
        "a new one",
    ]


def test_levels_are_told_from_shallow_to_deep() -> None:
    at = ("deep_dormancy", "rf_channel_1", "carrier_shutdown", "full", "rf_channel_16", "a_new_one", "symbol")
    report = {"policies": {"oracle": {"level_share": dict.fromkeys(at, 0.1)}, "none": {}}}
    assert [level_label(name) for name in levels_used(report)] == [
        "full",
        "symbol shutdown",
        "16 RF channels",
        "1 RF channel",
        "a new one",
        "carrier shutdown",
        "deep dormancy",
    ]
    assert level_meaning("rf_channel_1") == "1 transceiver stays on; less rate"


def test_parameters_are_flattened() -> None:
    nested = {"a": {"b": 1, "c": [2, 3]}, "d": None}
    assert list(flat(nested)) == [("a.b", "1"), ("a.c", "2, 3"), ("d", "None")]


def test_every_field_is_documented(made: Made) -> None:
    report = made[0]
    page = (Path(__file__).parents[3] / "docs" / "report.md").read_text(encoding="utf-8")
    figures = {key for policy in report["policies"].values() for key in policy if not key.endswith("_reason")}
    fields = figures | (set(report) - {"policies", "trace", "limits"})
    fields |= {f"{part}.{key}" for part in ("trace", "limits") for key in report[part]}
    assert [name for name in sorted(fields) if f"`{name}`" not in page] == []
