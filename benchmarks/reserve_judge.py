"""The judge of the reserve: it sees what is stored in truth, and what could have been stored."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from benchmarks.reserve_world import STEP_S, STEPS_PER_DAY
from hw.power import flows as f
from hw.power.plant import State
from policies.site.guard import GuardReason
from policies.site.reserve import Reserve

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
HORIZON = 2 * STEPS_PER_DAY
SLACK_WH, SLACK_W = 1e-6, 1e-6


@dataclass
class Counts:
    """What was found. Steps and outages over all sites."""

    site_years: float = 0
    steps: int = 0
    discharged_at_floor: int = 0
    started_below: int = 0
    worse_packs: int = 0  # either, by packs that are worse than declared
    out_of_reach: int = 0  # steps below a floor that could not have been met
    recovering_steps: int = 0
    outages: int = 0
    outages_judged: int = 0
    outages_missed: int = 0
    others: int = 0
    unmet: int = 0  # of these: within all else, but below a floor that could not have been met
    unmet_missed: int = 0
    others_s: float = 0  # time for which others were asked for
    others_carried_s: float = 0  # and carried
    lowered: int = 0  # site-days with a declaration below the class
    discharged_kwh: float = 0
    reasons: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(GuardReason), np.int64))

    @property
    def violations(self) -> int:
        """Steps that break the rule of the reserve."""
        return self.discharged_at_floor + self.started_below

    def add(self, other: Counts) -> None:
        """Add the counts of other sites."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))


class Watch:
    """The judge: floors with every term whole, charge that could have been taken, and what outages carried."""

    def __init__(self, n: int, outside: Bools, counts: Counts) -> None:
        self.counts, self.inside = counts, ~outside
        self.gained = np.zeros(n)  # what full charging would have stored since the beginning
        # of each boundary ahead: stored when its floor became known, less that
        self.base = np.full((n, HORIZON + 1), np.inf)
        self.floor = np.zeros((n, HORIZON + 1))
        self.lasted = np.zeros(n)  # time on battery
        self.radio_s, self.transport_s = np.zeros(n), np.zeros(n)
        self.judged, self.unmet, self.failed = np.zeros(n, bool), np.zeros(n, bool), np.zeros(n, bool)
        self.carried_s = np.zeros(n)

    def announce(self, floor: Floats, stored_wh: Floats) -> None:
        """Floors of the coming horizon. One that was known already, and no lower, keeps the time it became known."""
        known = np.concatenate(
            [self.floor[:, STEPS_PER_DAY:], np.full((len(floor), STEPS_PER_DAY), -np.inf)], 1
        )
        base = np.concatenate([self.base[:, STEPS_PER_DAY:], np.full((len(floor), STEPS_PER_DAY), np.inf)], 1)
        anew = np.broadcast_to((stored_wh - self.gained)[:, None], floor.shape)
        self.base, self.floor = np.where(floor <= known + SLACK_WH, base, anew), floor.copy()

    def forget(self, sites: Bools, stored_wh: Floats) -> None:
        """In an outage and in recovery nothing could have been stored."""
        self.base[sites] = (stored_wh - self.gained)[sites, None]

    def begin(
        self,
        at: int,
        mains: Bools,
        begins: Bools,
        lost_left: NDArray[np.int64],
        recovering: Bools,
        truth: Reserve,
        state: State,
    ) -> None:
        """Judge what is stored at the start of a step, and which outages must be carried."""
        floor = self.floor[:, at]
        below = state.stored_wh < floor - SLACK_WH
        reachable = floor <= self.base[:, at] + self.gained + SLACK_WH
        broken = below & mains & ~recovering & reachable
        self.counts.started_below += int((broken & self.inside).sum())
        self.counts.worse_packs += int((broken & ~self.inside).sum())
        self.counts.out_of_reach += int((below & mains & ~recovering & ~reachable).sum())
        self.radio_s[begins] = truth.radio_s[begins]
        self.transport_s[begins] = truth.transport_s[begins]
        self.lasted[begins] = self.carried_s[begins] = 0.0
        self.failed[begins] = False
        short = lost_left * STEP_S <= self.transport_s
        must = begins & short & self.inside & ~recovering & (state.lvd_stage == 0)
        unmet = below & ~reachable  # the alarm was on, and no hours were declared that the floor stands for
        self.judged[begins], self.unmet[begins] = (must & ~unmet)[begins], (must & unmet)[begins]
        self.counts.outages += int(begins.sum())

    def end(
        self,
        at: int,
        mains: Bools,
        lost_left: NDArray[np.int64],
        recovering: Bools,
        battery_w: Floats,
        flows: Floats,
    ) -> None:
        """Judge what was done in a step with mains; without, what was carried, and book an outage that ends."""
        discharges = mains & (battery_w > 0) & (flows[:, f.BATTERY_OUT] > SLACK_W)
        at_floor = discharges & ~recovering & (flows[:, f.STORED_BEFORE] <= self.floor[:, at])
        self.counts.discharged_at_floor += int((at_floor & self.inside).sum())
        self.counts.worse_packs += int((at_floor & ~self.inside).sum())
        self.counts.discharged_kwh += float(flows[discharges, f.BATTERY_OUT].sum()) * STEP_S / 3.6e6
        self.counts.recovering_steps += int(recovering.sum())
        ends_s = self.lasted + STEP_S
        radio = (flows[:, f.RADIO_SHED] > SLACK_W) & (ends_s <= self.radio_s)
        transport = (flows[:, f.TRANSPORT_SHED] > SLACK_W) & (ends_s <= self.transport_s)
        self.failed |= ~mains & (radio | transport)
        self.lasted[~mains] += STEP_S
        self.carried_s[~mains & ~self.failed] += STEP_S
        over = ~mains & (lost_left == 1)
        judged, others = over & self.judged, over & ~self.judged
        self.counts.outages_judged += int(judged.sum())
        self.counts.outages_missed += int((judged & self.failed).sum())
        self.counts.others += int(others.sum())
        self.counts.unmet += int((over & self.unmet).sum())
        self.counts.unmet_missed += int((over & self.unmet & self.failed).sum())
        asked_s = np.minimum(self.lasted, self.transport_s)
        self.counts.others_s += float(asked_s[others].sum())
        self.counts.others_carried_s += float(np.minimum(self.carried_s, asked_s)[others].sum())
