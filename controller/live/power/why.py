"""Why a site charges safely although a plan has something else for it; codes beside those of the guard."""

from __future__ import annotations

from enum import IntEnum

from policies.site.guard import GUARD_WORDS, GuardReason


class Why(IntEnum):
    """Codes from 32 on, as those of the guard begin at 0."""

    STOPPED = 32
    SILENT = 33
    UNACCOUNTED = 34
    STAGE = 35
    LEADER = 36
    NO_PLAN = 37
    LOCAL = 38
    RESERVE = 39
    NO_AGENT = 40
    WAITS = 41


WHY_WORDS = {
    Why.STOPPED: "an operator has stopped it",
    Why.SILENT: "its agent sends no reports or no samples",
    Why.UNACCOUNTED: "its agent holds something else than was commanded",
    Why.STAGE: "the ladder lets nothing be sent to it",
    Why.LEADER: "another controller leads",
    Why.NO_PLAN: "no plan for two planning intervals",
    Why.LOCAL: "switched or locked by hand",
    Why.RESERVE: "below the reserve that its agent keeps",
    Why.NO_AGENT: "no agent has named it",
    Why.WAITS: "it waits for the next plan",
}


def word_of(reason: int) -> str:
    """A reason of a site's power as one word, for labels and documents."""
    return (Why(reason) if reason >= Why.STOPPED else GuardReason(reason)).name.lower()


def words_of(reason: int) -> str:
    """What a reason of a site's power means."""
    if reason >= Why.STOPPED:
        return f"safe charging: {WHY_WORDS[Why(reason)]}"
    return GUARD_WORDS[GuardReason(reason)]
