"""Messages come back from the wire as they were, and unlawful ones are named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from quietcell.lease.v1 import lease_pb2
from quietcell.power.v1 import power_pb2
from quietcell.ran.v1 import ran_pb2

from hw.adapters import power_codec, radio_codec
from hw.adapters.power import PowerAnswers, PowerInventory, SafeBatch, SetpointBatch
from hw.adapters.radio import Answers, Inventory, Origin, Renewal, RenewalAnswer, Report
from hw.adapters.wire import ContractError, Hello
from tests.hw.agents.peer import commands, wakes
from tests.hw.agents.plants import abilities
from tests.hw.agents.test_power_core import Bench, has_sites, program

BOOT = b"0123456789abcdef"
ORIGIN = Origin(2**64 - 1, BOOT, 2**63, "c")
ONE = np.ones(1, np.uint8)


def same(a: Any, b: Any) -> bool:
    """Whether two messages say the same."""
    if hasattr(a, "__dataclass_fields__"):
        return type(a) is type(b) and all(same(getattr(a, f), getattr(b, f)) for f in a.__dataclass_fields__)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def radio_report() -> Report:
    carried = np.array([[0.5, np.nan], [0.0, 1.0]], np.float32)
    return Report(
        "a",
        BOOT,
        1,
        2,
        3,
        900,
        carried,
        np.array([1, 2], np.uint8),
        np.array([1, 3], np.uint8),
        np.array([0, 2**64 - 1], np.uint64),
        np.array([0, 7]),
        np.array([False, True]),
        b"d",
        True,
        9,
        np.array([[np.nan, 20.5], [np.nan, np.nan]], np.float32),
        np.array([[3.5, 4.0], [np.nan, 1.0]], np.float32),
    )


@pytest.mark.parametrize(
    "message",
    [
        Hello(3, "c", 5000),
        Hello(3, "c", 5000, leads_by_grants=True),
        commands(ORIGIN, (0, 2**64 - 1, 3, 1), (1, 1, 2, 1)),
        wakes(ORIGIN, (1, 5)),
        Renewal(ORIGIN, b"d" * 32, 60_000),
    ],
)
def test_radio_requests(message: Any) -> None:
    assert same(message, radio_codec.from_request(radio_codec.to_request(message), 2))


@pytest.mark.parametrize(
    "message",
    [
        Inventory("a", BOOT, abilities(3, (1,)), 60_000, 100, 4),
        radio_report(),
        Answers(np.array([1]), np.array([5], np.uint64), ONE * 3, ONE * 9, ONE),
        RenewalAnswer(5, 2, 0, b"d"),
    ],
)
def test_radio_responses(message: Any) -> None:
    assert same(message, radio_codec.from_response(radio_codec.to_response(message)))


@pytest.mark.parametrize(
    "message",
    [
        SetpointBatch(
            ORIGIN,
            "p",
            b"k",
            60_000,
            np.array([1]),
            np.array([4], np.uint64),
            np.array([-5.5]),
            np.array([np.inf]),
            ONE,
            (program(3),),
        ),
        SafeBatch(ORIGIN, np.array([0]), np.array([4], np.uint64), ONE),
    ],
)
def test_power_requests(message: Any) -> None:
    assert same(message, power_codec.from_request(power_codec.to_request(message), 2))


def test_power_responses() -> None:
    bench = Bench()
    bench.read(4000.0)
    bench.order(1, 3000.0)
    measured = (*(np.full((2, 3), np.nan) for _ in range(7)), np.ones((2, 3), np.bool_))
    for message in (
        PowerInventory("p", BOOT, has_sites(), 1, 2, 3),
        PowerAnswers(np.array([1]), np.array([5], np.uint64), ONE * 3, ONE * 9),
        bench.core.report(5, 1000, measured, bench.now_us),
    ):
        assert same(message, power_codec.from_response(power_codec.to_response(message)))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"cell": [0, 1]}, "commands.revision: 1 entries, must be 2"),
        ({"cell": [2]}, "commands.cell: place 2"),
        ({"level": [256]}, "commands.level: 256"),
        ({"reason": []}, "commands.reason: 0 entries"),
        ({"plan_id": "x" * 513}, "commands.plan_id: 513"),
        ({"idempotency_key": b"x" * 65}, "commands.idempotency_key: 65"),
        ({"origin": lease_pb2.Origin(agent_boot_id=b"x" * 65)}, "commands.origin.agent_boot_id: 65"),
    ],
)
def test_unlawful_radio_commands_are_named(fields: dict[str, Any], named: str) -> None:
    good: dict[str, Any] = {"cell": [0], "revision": [1], "level": [1], "expected_level": [1], "reason": [0]}
    batch = ran_pb2.CommandBatch(**(good | fields))
    with pytest.raises(ContractError) as error:
        radio_codec.from_request(ran_pb2.ControlRequest(commands=batch), 2)
    assert str(error.value).startswith(named)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"battery_w": [float("nan")]}, "commands.battery_w: nan"),
        ({"battery_w": [float("-inf")]}, "commands.battery_w: infinite"),
        ({"import_limit_w": [-1.0]}, "commands.import_limit_w"),
        ({"programs": [power_pb2.OnBatteryProgram(site=0)]}, "programs.stages"),
        ({"programs": [power_pb2.OnBatteryProgram(site=9)]}, "programs.site: place 9"),
    ],
)
def test_unlawful_setpoints_are_named(fields: dict[str, Any], named: str) -> None:
    good: dict[str, Any] = {
        "site": [0],
        "revision": [1],
        "battery_w": [1.0],
        "import_limit_w": [1.0],
        "reason": [0],
    }
    batch = power_pb2.CommandBatch(**(good | fields))
    with pytest.raises(ContractError) as error:
        power_codec.from_request(power_pb2.ControlRequest(commands=batch), 2)
    assert str(error.value).startswith(named)


def test_unlawful_responses_are_named() -> None:
    for response in (
        ran_pb2.ControlResponse(),
        ran_pb2.ControlResponse(
            answers=ran_pb2.Answers(cell=[0], revision=[1], outcome=[0], cause=[0], level=[1])
        ),
        ran_pb2.ControlResponse(
            answers=ran_pb2.Answers(cell=[0], revision=[1], outcome=[6], cause=[0], level=[1])
        ),
        ran_pb2.ControlResponse(
            answers=ran_pb2.Answers(cell=[0], revision=[1], outcome=[1], cause=[16], level=[1])
        ),
        ran_pb2.ControlResponse(report=ran_pb2.Report()),
    ):
        with pytest.raises(ContractError):
            radio_codec.from_response(response)
    with pytest.raises(ContractError, match="none of"):
        power_codec.from_request(power_pb2.ControlRequest())
