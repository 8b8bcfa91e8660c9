"""To whom agents grant their leadership, against a naive account of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio
from hypothesis import given
from hypothesis import strategies as st
from quietcell.leader.v1 import leader_pb2
from quietcell.leader.v1.leader_pb2_grpc import LeaderServiceStub

from hw.adapters.radio import Origin, Outcome, RejectCause
from hw.adapters.wire import Candidate
from hw.agents.disk import AgentDisk
from hw.agents.durable import Durable
from hw.agents.grants import LONGEST_TERM_MS, Grants
from tests.hw.agents.peer import Peer, radio_agent
from tests.hw.agents.plants import FULL

ONE, TWO = Candidate(5, "edge-1", b"a" * 16), Candidate(6, "edge-2", b"b" * 16)
SECOND_US = 1_000_000


@dataclass
class Naive:
    """One agent: who holds it, and until when, by a clock that never restarts."""

    epoch: int = 0
    holder: Candidate | None = None
    until_s: int = 0
    term_s: int = 0

    def ask(self, who: Candidate, term_s: int, now_s: int) -> bool:
        if who == self.holder:
            self.until_s = max(self.until_s if now_s < self.until_s else 0, now_s + term_s)
            self.term_s = max(self.term_s, term_s)
            return True
        if who.epoch <= self.epoch or now_s < self.until_s:
            return False
        self.epoch, self.holder, self.until_s, self.term_s = who.epoch, who, now_s + term_s, term_s
        return True


candidates = st.builds(
    Candidate,
    st.integers(1, 6),
    st.sampled_from(["edge-1", "edge-2"]),
    st.sampled_from([b"a" * 16, b"b" * 16]),
)
steps = st.one_of(
    st.tuples(st.just("ask"), candidates, st.integers(1, 60)),
    st.tuples(st.just("give up"), candidates, st.just(0)),
    st.tuples(st.just("pass"), st.just(ONE), st.integers(1, 40)),
    st.tuples(st.just("restart"), st.just(ONE), st.integers(0, 1000)),
)


@given(st.lists(steps, max_size=30))
def test_an_epoch_has_one_holder_and_no_other_one_gets_any_before_its_term_is_over(
    done: list[tuple[str, Candidate, int]],
) -> None:
    naive, durable, now_s, offset_s = Naive(), Durable(), 1000, 0
    grants, granted = Grants(durable), dict[int, Candidate]()
    for what, who, number in done:
        now_us = (now_s - offset_s) * SECOND_US
        if what == "ask":
            answer, durable = grants.ask(durable, who, number * 1000, now_us)
            assert answer.is_granted == naive.ask(who, number, now_s)
            if answer.is_granted:
                assert granted.setdefault(who.epoch, who) == who
        elif what == "give up":
            grants.give_up(durable, who)
            naive.until_s = now_s if who == naive.holder else naive.until_s
        elif what == "pass":
            now_s += number
        else:  # only what is on disk is left, and the clock begins anywhere
            offset_s, grants = number, Grants(durable)
            naive.until_s = now_s + naive.term_s
        now_us = (now_s - offset_s) * SECOND_US
        now = grants.stand(durable, now_us)
        assert now.highest_epoch == naive.epoch
        assert now.left_ms == max(0, naive.until_s - now_s) * 1000
        is_held = naive.holder is not None and now.left_ms > 0
        assert now.holder == (naive.holder.controller_id if naive.holder and is_held else "")
        for name in ("edge-1", "edge-2"):
            assert grants.follows(durable, naive.epoch + 1, name, now_us) == (not is_held)
            its = naive.holder is None or naive.holder.controller_id == name
            assert grants.follows(durable, naive.epoch, name, now_us) == its
        assert not grants.follows(durable, naive.epoch - 1, "edge-1", now_us)


def test_no_term_is_longer_than_an_agent_allows() -> None:
    answer, _ = Grants(Durable()).ask(Durable(), ONE, 2**31, 0)
    assert answer.left_ms == LONGEST_TERM_MS


@asynccontextmanager
async def _agent(folder: Path) -> AsyncIterator[tuple[Any, Any]]:
    async with (
        radio_agent(folder) as (server, _, stub),
        aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        yield stub, LeaderServiceStub(channel)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


def _request(who: Candidate, term_ms: int = 60_000) -> leader_pb2.GrantRequest:
    return leader_pb2.GrantRequest(
        leader_epoch=who.epoch,
        controller_id=who.controller_id,
        instance_id=who.instance_id,
        term_ms=term_ms,
    )


def test_who_holds_the_grant_leads_until_it_is_given_up_and_nobody_else(tmp_path: Path) -> None:
    async def work() -> None:
        async with _agent(tmp_path) as (_, leader):
            assert (await leader.Grant(_request(TWO))).is_granted
            kept = json.loads(json.loads((tmp_path / "a1.json").read_text())["body"])
            assert (kept["highest_epoch"], kept["granted_to"]) == (6, "edge-2")
            looked = await leader.GetLeader(leader_pb2.GetLeaderRequest())
            assert (looked.highest_epoch, looked.holder) == (6, "edge-2")
            other = Candidate(9, "edge-1", ONE.instance_id)
            refused = await leader.Grant(_request(other))
            assert (refused.is_granted, refused.holder) == (False, "edge-2")
            twin = Candidate(6, "edge-2", b"c" * 16)
            assert not (await leader.Grant(_request(twin))).is_granted
            who = {"leader_epoch": 6, "controller_id": "edge-2"}
            await leader.GiveUp(leader_pb2.GiveUpRequest(**who, instance_id=twin.instance_id))
            assert not (await leader.Grant(_request(other))).is_granted
            await leader.GiveUp(leader_pb2.GiveUpRequest(**who, instance_id=TWO.instance_id))
            assert (await leader.Grant(_request(other))).is_granted
            with pytest.raises(aio.AioRpcError) as error:
                await leader.Grant(_request(Candidate(10, "edge-1", b"short")))
            assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    run(work())


def test_streams_and_commands_are_of_the_holder_and_within_its_term(tmp_path: Path) -> None:
    async def work() -> None:
        async with _agent(tmp_path) as (stub, leader):
            held = Candidate(5, "test", ONE.instance_id)
            assert (await leader.Grant(_request(held, term_ms=1500))).is_granted
            other = Peer(stub, 9)
            with pytest.raises(aio.AioRpcError, match="granted to 'test'"):
                await other.open()
            peer = Peer(stub, 5)
            await peer.open()
            assert (await peer.order((1, 1, 3, FULL)))[0][2] == Outcome.APPLIED
            report = peer.report
            assert report is not None
            stranger = Origin(5, report.boot_id, report.monotonic_us, "edge-9")
            peer.origin = lambda: stranger  # type: ignore[method-assign]
            assert (await peer.order((2, 1, 3, FULL)))[0][2:4] == (Outcome.REJECTED, RejectCause.LOWER_EPOCH)
            await asyncio.sleep(1.6)
            mine = Origin(5, report.boot_id, report.monotonic_us, "test")
            peer.origin = lambda: mine  # type: ignore[method-assign]
            assert (await peer.order((2, 2, 3, FULL)))[0][2:4] == (Outcome.REJECTED, RejectCause.NOT_GRANTED)
            assert (await leader.Grant(_request(held))).is_granted
            assert (await peer.order((2, 3, 3, FULL)))[0][2] == Outcome.APPLIED

    run(work())


def test_who_leads_by_grants_of_others_is_obeyed_from_its_first_grant_here(tmp_path: Path) -> None:
    async def work() -> None:
        async with _agent(tmp_path) as (stub, leader):
            elected = Candidate(7, "test", ONE.instance_id)
            peer = Peer(stub, 7)
            await peer.open(leads_by_grants=True)
            assert (await peer.order((1, 1, 3, FULL)))[0][2:4] == (Outcome.REJECTED, RejectCause.NOT_GRANTED)
            other = Candidate(7, "edge-2", TWO.instance_id)
            assert not (await leader.Grant(_request(other))).is_granted
            assert (await leader.Grant(_request(elected))).is_granted
            assert (await peer.order((1, 2, 3, FULL)))[0][2] == Outcome.APPLIED
            twin = Candidate(7, "test", TWO.instance_id)
            assert not (await leader.Grant(_request(twin))).is_granted
        kept = AgentDisk(tmp_path, "a1").load(0)
        assert (kept.highest_epoch, kept.granted_to, kept.grant_ms) == (7, "test", 60_000)

    run(work())


def test_a_higher_epoch_is_followed_without_a_grant_once_no_term_runs(tmp_path: Path) -> None:
    async def work() -> None:
        async with _agent(tmp_path) as (stub, leader):
            assert (await leader.Grant(_request(ONE, term_ms=500))).is_granted
            await asyncio.sleep(0.6)
            alone = Peer(stub, 6)
            await alone.open()
            assert (await alone.order((1, 1, 3, FULL)))[0][2] == Outcome.APPLIED
        kept = AgentDisk(tmp_path, "a1").load(0)
        assert (kept.highest_epoch, kept.granted_to, kept.grant_ms) == (6, "", 0)

    run(work())
