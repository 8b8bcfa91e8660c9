from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traces.pm.mapping import Expression
from traces.pm.names import escape, full_name, unescape
from traces.pm.values import evaluate, parse_duration_s, parse_result, parse_time_s

UTC = ZoneInfo("UTC")
END_S = 1_650_309_300  # 2022-04-18T19:15:00Z


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("PT900S", 900), ("PT15M", 900), (" PT1H ", 3600), ("PT1H15M30S", 4530), ("P1D", 86_400),
     ("P1DT1H", 90_000), ("P1W", 604_800), ("PT60.000S", 60), ("PT0005M", 300)],
)  # fmt: skip
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "P", "PT", "900", "PT0S", "-PT1S", "PT0.5S", "P1M", "P1Y", "P400D", "PT1S1H", "PT" + "9" * 30 + "S"],
)  # fmt: skip
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration_s(text)


@pytest.mark.parametrize(
    "text",
    ["2022-04-18T19:15:00+00:00", "2022-04-18T19:15:00Z", "2022-04-18t19:15:00z", "2022-04-18T21:15:00+0200",
     "2022-04-18T21:15:00+02", "2022-04-18T13:45:00-05:30", "2022-04-18T19:15:00.000Z", "20220418T191500Z",
     "2022-04-18T19:15Z", "2022-04-18 19:15:00 +00:00"],
)  # fmt: skip
def test_times_with_any_offset(text: str) -> None:
    assert parse_time_s(text, ZoneInfo("Asia/Shanghai")) == (END_S, True)


def test_times_without_offset_are_local() -> None:
    assert parse_time_s("2022-04-19T03:15:00", ZoneInfo("Asia/Shanghai")) == (END_S, False)
    for text in ("2022-03-27T02:30:00", "2022-10-30T02:30:00"):
        with pytest.raises(ValueError, match="ambiguous in Europe/Berlin"):
            parse_time_s(text, ZoneInfo("Europe/Berlin"))


def test_end_of_the_day_as_24_hours() -> None:
    midnight = parse_time_s("2022-04-19T00:00:00Z", UTC)
    assert parse_time_s("2022-04-18T24:00:00Z", UTC) == midnight
    assert parse_time_s("2022-04-18T24:00:00+00:00", UTC) == midnight


@pytest.mark.parametrize(
    "text", ["", "x", "2022-04-18", "2022-04-18T19:15:00.5Z", "9999-12-31T24:00:00Z", "2022-13-01T00:00:00Z"]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"time .* is not"):
        parse_time_s(text, UTC)


@pytest.mark.parametrize(
    ("text", "result"),
    [("1", 1.0), (" 2.5\n", 2.5), ("1e3", 1000.0), ("-4", -4.0), ("", None), (" ", None), ("NIL", None),
     ("nil", None), ("NULL", None), ("NaN", None), ("1,2,3", (1.0, 2.0, 3.0)), (" , , ", None),
     ("1,,3", None), ("1,NIL", None)],
)  # fmt: skip
def test_results(text: str, result: object) -> None:
    assert parse_result(text) == result


@pytest.mark.parametrize(
    "text", ["x", "inf", "1e999", "1_0", "0x1", "1;2", "1,x", "9" * 400, "0." + "1" * 99, "1 2"]
)
def test_what_is_no_result(text: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        parse_result(text)


def test_reductions_of_vectors() -> None:
    vector = {"c": (1.0, 2.0, 6.0)}

    def reduced(**how: object) -> float | None:
        return evaluate(Expression(counters=("c",), unit="users", **how), vector, 900, 1.0)

    assert reduced(reduce="sum") == 9
    assert reduced(reduce="mean") == 3
    assert reduced(reduce="first") == 1
    assert reduced(reduce="pdf_mean", bin_centres=(0, 0.5, 1)) == pytest.approx(7 / 9)
    with pytest.raises(ValueError, match="declare reduce"):
        reduced()
    with pytest.raises(ValueError, match="as many bins"):
        reduced(reduce="pdf_mean", bin_centres=(0, 1))
    empty = Expression(counters=("c",), unit="users", reduce="pdf_mean", bin_centres=(0, 1))
    assert evaluate(empty, {"c": (0.0, 0.0)}, 900, 1.0) is None


def test_quotients_missing_counters_and_units() -> None:
    quotient = Expression(counters=("a", "b"), divided_by=("c", "d"), unit="percent", scale=2)
    assert evaluate(quotient, {"a": 1.0, "b": 2.0, "c": 4.0, "d": 8.0}, 900, 100.0) == 0.005
    assert evaluate(quotient, {"a": 1.0, "b": None, "c": 4.0, "d": 8.0}, 900, 100.0) is None
    assert evaluate(quotient, {"a": 1.0, "b": 2.0, "c": None, "d": 8.0}, 900, 100.0) is None
    with pytest.raises(ZeroDivisionError):
        evaluate(quotient, {"a": 1.0, "b": 2.0, "c": 0.0, "d": 0.0}, 900, 100.0)
    assert evaluate(Expression(counters=("p",), unit="W"), {"p": 333.0}, 900, 1.0) == 83.25


def test_sub_counters_add_up_unless_they_count_twice() -> None:
    total = Expression(counters=("v.*",), unit="Mbit")
    assert evaluate(total, {"v.QOS1": 1.0, "v.QOS9": 2.0, "w.QOS1": 8.0}, 900, 1.0) == 3
    with pytest.raises(ValueError, match="count twice"):
        evaluate(total, {"v.QOS1": 1.0, "v.SNSSAI1": 2.0}, 900, 1.0)


@pytest.mark.parametrize(
    ("element", "ldn", "name"),
    [
        ("n1", "ManagedElement=n1,NRCellDU=1", "ManagedElement=n1,NRCellDU=1"),
        ("n1", "ManagedElement=1,NRCellDU=1", "MeContext=n1,ManagedElement=1,NRCellDU=1"),
        ("n1", "NRCellDU=1", "ManagedElement=n1,NRCellDU=1"),
        ("S=x,ManagedElement=n1", "ManagedElement=n1,NRCellDU=1", "S=x,ManagedElement=n1,NRCellDU=1"),
        ("S=x,ManagedElement=n1", "S=x,ManagedElement=n1,NRCellDU=1", "S=x,ManagedElement=n1,NRCellDU=1"),
        ("S=x,MeContext=n1", "ManagedElement=1,NRCellDU=1", "S=x,MeContext=n1,ManagedElement=1,NRCellDU=1"),
        ("ManagedElement=n1", "ManagedElement=n2,NRCellDU=1", "ManagedElement=n2,NRCellDU=1"),
        ("ManagedElement=n1", "", "ManagedElement=n1"),
        ("", "NRCellDU=1", "NRCellDU=1"),
        ("", "", ""),
    ],
)
def test_full_names(element: str, ldn: str, name: str) -> None:
    assert full_name(element, ldn) == name


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_names_survive_escaping(name: str) -> None:
    escaped = escape(name)
    assert unescape(escaped) == name
    assert not set(escaped) & set(',=+"<>;\n')


def test_broken_escapes_do_not_fail() -> None:
    assert unescape(r"a\FFb\2C\zz") == r"a\xffb,\zz"
