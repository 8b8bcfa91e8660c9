"""A few thousand fuzzed messages; benchmarks/fuzz_agent.py sends a million."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from quietcell.ran.v1 import ran_pb2, ran_pb2_grpc

from hw.agents.lease import LeaseBook
from hw.agents.radio_core import RadioAgentCore
from hw.security.credentials import TlsFiles, agent_channel_options, client_credentials
from tests.hw.agents.fuzz_targets import Fuzz, power_fuzz, radio_fuzz
from tests.hw.agents.fuzz_wire import (
    AGENT,
    CONTROLLER,
    HandClock,
    ObedientRadio,
    WireFuzz,
    make_lab,
    secured_agent,
    send_garbage,
)


@pytest.mark.parametrize("make", [radio_fuzz, power_fuzz])
@pytest.mark.parametrize("seed", range(3))
def test_no_message_makes_a_plant_less_safe_than_a_lawful_one_may(
    make: Callable[[int], Fuzz], seed: int
) -> None:
    fuzz = make(seed)
    fuzz.run(1500)
    assert fuzz.violations == [], f"seed {seed}"
    assert fuzz.counts["messages"] == 1500
    assert fuzz.counts["judged"] >= 750
    if make is radio_fuzz:
        assert fuzz.counts["not as commanded"] == 0
    else:
        assert any(fuzz.counts[name] for name in ("judged", "not as commanded"))


def test_one_seed_gives_one_sequence() -> None:
    runs = [radio_fuzz(seed) for seed in (7, 7, 8)]
    for fuzz in runs:
        fuzz.run(100)
    one, two, other = ([fuzz.fuzzer.next() for _ in range(20)] for fuzz in runs)
    assert one == two
    assert one != other


def _finds(make: Callable[[int], Fuzz]) -> bool:
    fuzz = make(1)
    fuzz.run(6000)
    return bool(fuzz.violations)


@pytest.mark.parametrize("make", [radio_fuzz, power_fuzz])
@pytest.mark.parametrize(
    ("method", "broken"),
    [
        ("judge_origin", lambda *_: None),
        ("judge_slot", lambda *_: None),
        ("expire", lambda *_: None),
    ],
)
def test_the_twin_notices_an_agent_without_a_check(
    make: Callable[[int], Fuzz], method: str, broken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LeaseBook, method, broken)
    assert _finds(make)


def test_the_twin_notices_an_agent_that_believes_any_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    class Agreeing(bytes):
        def __ne__(self, other: object) -> bool:
            return False

        __hash__ = bytes.__hash__

    monkeypatch.setattr(RadioAgentCore, "digest", lambda self: Agreeing())
    assert _finds(radio_fuzz)


def test_a_secured_agent_bears_fuzzed_messages_and_garbage(tmp_path: Path) -> None:
    make_lab(tmp_path)
    fuzz = WireFuzz(1, tmp_path)

    async def run() -> None:
        await fuzz.run(250)
        async with secured_agent(
            tmp_path, tmp_path / "state", HandClock(1_000_000), ObedientRadio()
        ) as server:
            seen = await send_garbage(tmp_path, server.port, 1, 40)
            assert sum(seen.values()) == 40
            credentials = client_credentials(TlsFiles(tmp_path, CONTROLLER))
            target = f"127.0.0.1:{server.port}"
            async with grpc.aio.secure_channel(target, credentials, agent_channel_options(AGENT)) as channel:
                stub = ran_pb2_grpc.RanAgentServiceStub(channel)
                inventory = await stub.GetInventory(ran_pb2.GetInventoryRequest(), timeout=30)
                assert inventory.agent_id == AGENT

    asyncio.run(asyncio.wait_for(run(), 60))
    assert fuzz.violations == []
    assert fuzz.counts["judged"] >= 125
