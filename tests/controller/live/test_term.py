"""Who leads by the grants it counts: two controllers over real grants, with clocks that drift and answers that wait."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.live.term import NEAR, SHORTER, Term, majority_of, next_epoch
from hw.adapters.wire import Candidate, Leadership
from hw.agents.durable import Durable
from hw.agents.grants import Grants

TERM_MS = 30_000
SECOND_US = 1_000_000


class Agent:
    """One agent, on a clock of its own."""

    def __init__(self, drift: float) -> None:
        self.durable, self.drift, self.since_us = Durable(), drift, 0
        self.grants = Grants(self.durable)

    def clock_us(self, now_us: int) -> int:
        return round((now_us - self.since_us) * (1 + self.drift))

    def grant(self, who: Candidate, now_us: int) -> Leadership:
        answer, self.durable = self.grants.ask(self.durable, who, TERM_MS, self.clock_us(now_us))
        return answer

    def restart(self, now_us: int) -> None:
        self.since_us, self.grants = now_us, Grants(self.durable)


drifts = st.floats(-0.04, 0.04)
moves = st.one_of(
    st.tuples(st.just("pass"), st.integers(1, 20), st.just(0)),
    st.tuples(st.just("stand"), st.integers(0, 1), st.just(0)),
    st.tuples(st.just("give up"), st.integers(0, 1), st.just(0)),
    st.tuples(st.just("ask"), st.integers(0, 1), st.integers(0, 4)),
    st.tuples(st.just("ask"), st.integers(0, 1), st.integers(0, 4)),
    st.tuples(st.just("hear"), st.integers(0, 9), st.just(0)),
    st.tuples(st.just("restart"), st.integers(0, 4), st.just(0)),
)


@given(
    st.lists(drifts, min_size=2, max_size=2),
    st.lists(drifts, min_size=1, max_size=5),
    st.lists(moves, max_size=60),
    st.booleans(),
)
def test_never_do_two_controllers_lead_at_one_time(
    own: list[float], theirs: list[float], done: list[tuple[str, int, int]], have_one_name: bool
) -> None:
    agents = [Agent(drift) for drift in theirs]
    names = [str(i) for i in range(len(agents))]
    terms = [Term(names, name, TERM_MS, 0) for name in ("edge-1", "edge-1" if have_one_name else "edge-2")]
    on_their_way: list[tuple[int, int, Any]] = []
    now_us = 0
    for what, first, second in done:
        if what == "pass":
            now_us += first * SECOND_US
        elif what == "stand":
            for term in terms[first : first + 1]:
                for agent in agents:
                    agent.grants.give_up(agent.durable, term.candidate)
                term.stand()
        elif what == "give up":
            term = terms[first]
            for agent in agents:
                agent.grants.give_up(agent.durable, term.candidate)
            term.stand()
        elif what == "ask":
            number, term = second % len(agents), terms[first]
            asked_us = round(now_us * (1 + own[first]))
            answer = agents[number].grant(term.candidate, now_us)
            on_their_way.append((first, number, (term.candidate, asked_us, answer)))
        elif what == "hear" and on_their_way:
            which, number, heard = on_their_way.pop(first % len(on_their_way))
            terms[which].heard(str(number), *heard)
        elif what == "restart":
            agents[first % len(agents)].restart(now_us)
        lead = [term.leads(round(now_us * (1 + drift))) for term, drift in zip(terms, own, strict=True)]
        assert sum(lead) <= 1


def _answer(epoch: int, holder: str = "", *, granted: bool = False) -> Leadership:
    return Leadership(granted, epoch, holder, 1000 if holder else 0)


def test_a_majority_leads_from_when_it_was_asked_and_a_tenth_shorter_than_granted() -> None:
    term = Term(["a", "b", "c"], "edge-1", TERM_MS, 4)
    assert term.stand() == 5
    term.heard("a", term.candidate, 100, _answer(5, "edge-1", granted=True))
    assert not term.leads(101)
    term.heard("b", term.candidate, 200, _answer(5, "edge-1", granted=True))
    end_us = 100 + round(TERM_MS * 1000 * SHORTER)
    assert term.leads(end_us - 1)
    assert not term.leads(end_us)
    term.heard("c", term.candidate, 300, _answer(7, "edge-2"))
    assert term.leads(end_us - 1)
    assert not term.is_beaten()
    term.heard("b", term.candidate, 400, _answer(7, "edge-2"))
    assert not term.leads(500)
    assert term.is_beaten()
    assert term.holder() == "edge-2"


def test_grants_of_an_epoch_before_do_not_count() -> None:
    term = Term(["a"], "edge-1", TERM_MS, 0)
    term.stand()
    before = term.candidate
    term.stand()
    term.heard("a", before, 0, _answer(1, "edge-1", granted=True))
    assert not term.leads(1)


def test_who_stands_by_waits_until_a_majority_follows_nobody() -> None:
    term = Term(["a", "b", "c"], "edge-1", TERM_MS, 0)
    term.looked("a", _answer(3))
    assert not term.may_stand()
    term.looked("b", _answer(3, "edge-2"))
    assert not term.may_stand()
    term.looked("b", _answer(3))
    assert term.may_stand()
    term.begin_look()
    assert not term.may_stand()


@pytest.mark.parametrize(
    ("known", "highest", "expected"),
    [
        (0, [0], 1),
        (4, [9], 10),
        (9, [4, 4, 4], 10),
        (0, [5, 5, 2**63], 6),  # one that claims the absurd
        (0, [5, 5, 9], 10),  # an election that failed
        (0, [0, 0, 57], 58),
        (0, [5, 5, 5 + NEAR, 2**64 - 1, 5], 6 + NEAR),
    ],
)
def test_an_epoch_is_above_what_is_credible(known: int, highest: list[int], expected: int) -> None:
    assert next_epoch(known, highest) == expected


@given(st.lists(st.integers(0, 50), min_size=1, max_size=7), st.data())
def test_no_minority_pushes_epochs_far_and_none_that_a_majority_knows_is_reached(
    honest: list[int], data: Any
) -> None:
    n_liars = data.draw(st.integers(0, len(honest) - majority_of(len(honest))))
    lies = data.draw(st.lists(st.integers(0, 2**64 - 1), min_size=n_liars, max_size=n_liars))
    claims = lies + honest[n_liars:]
    epoch = next_epoch(0, claims)
    assert epoch <= max(honest) + NEAR + 1
    assert epoch > sorted(claims)[majority_of(len(claims)) - 1]
    if not lies:
        assert epoch == max(honest) + 1
