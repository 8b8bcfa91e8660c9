"""What the runs of two controllers take for a violation of grants and terms, and what not."""

from __future__ import annotations

from benchmarks.split_brain_votes import Votes
from hw.adapters.wire import Candidate

ONE, TWO = Candidate(1, "edge-1", b"1"), Candidate(2, "edge-2", b"2")
TERM_S, LEASE_S = 30.0, 60.0


def votes() -> tuple[Votes, list[str]]:
    found: list[str] = []
    return Votes(["a", "b", "c"], TERM_S, LEASE_S, found.append), found


def test_an_agent_that_surely_grants_two_at_a_time_is_found() -> None:
    counted, found = votes()
    counted.granted("a", ONE, 10.0, 11.0)
    counted.granted("b", TWO, 20.0, 21.0)  # another agent
    counted.granted("a", ONE, 20.0, 21.0)
    assert found == []
    counted.granted("a", TWO, 45.0, 49.0)
    assert found == ["a grants epoch 2 while its grant of epoch 1 runs"]


def test_a_grant_that_may_have_come_after_the_end_or_before_the_other_is_none() -> None:
    counted, found = votes()
    counted.granted("a", ONE, 10.0, 15.0)
    counted.granted("a", TWO, 14.0, 20.0)  # asked before the first was answered
    counted.granted("b", ONE, 10.0, 15.0)
    counted.granted("b", TWO, 35.0, 40.0)  # answered as the term may have been over
    counted.granted("c", ONE, 10.0, 15.0)
    counted.gives_up(ONE)
    counted.granted("c", TWO, 16.0, 17.0)
    assert found == []


def test_what_is_sent_needs_the_running_grants_of_a_majority_each_time() -> None:
    counted, found = votes()
    counted.granted("a", ONE, 0.0, 1.0)
    counted.granted("b", ONE, 5.0, 6.0)
    counted.granted("b", TWO, 50.0, 51.0)
    counted.won("edge-1", 1, -LEASE_S)
    counted.sent("edge-1", 1, 30.9, is_sleep=False)
    assert found == []
    counted.sent("edge-1", 1, 31.5, is_sleep=False)
    counted.sent("edge-1", 1, 32.0, is_sleep=True)  # said once
    counted.sent("edge-2", 2, 52.0, is_sleep=False)
    sends = [
        "edge-1/1 sends with the grants of 1 of 3 agents",
        "edge-2/2 sends with the grants of 1 of 3 agents",
    ]
    assert found == sends


def test_a_new_leader_may_renew_but_sends_no_sleep_for_a_lease() -> None:
    counted, found = votes()
    for agent_id in "abc":
        counted.granted(agent_id, ONE, 70.0, 71.0)
    counted.won("edge-1", 1, 20.0)
    counted.sent("edge-1", 1, 75.0, is_sleep=False)
    counted.sent("edge-1", 1, 80.0, is_sleep=True)
    assert found == []
    counted.sent("edge-1", 1, 79.0, is_sleep=True)
    assert found == ["edge-1/1 sends a sleep 59.0 s after its win, leases last 60 s"]
