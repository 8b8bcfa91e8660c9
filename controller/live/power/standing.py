"""What power agents say against what was commanded, and which sites go to safe charging for it.

The rules are those of controller/live/reconcile.py: only a lease of our very revision and setpoint counts as ours, at
the first report of a stream, of a boot and after a digest that did not match nothing is on its way. A site whose agent
holds something else is put on safe charging and stays there until the next plan.
"""

from __future__ import annotations

import numpy as np

from controller.live.leases import LARGEST_REVISION
from controller.live.power.fleet import Mask, PowerAgent, Sites
from controller.live.power.leases import SiteLeases, UInt64
from controller.live.reconcile import AGAIN_TICKS, LOST_TICKS
from hw.adapters.power import PowerAnswers, PowerReport
from hw.adapters.radio import Outcome

STATES = (
    "is_leased",
    "battery_w",
    "import_limit_w",
    "revision",
    "lease_left_ms",
    "local_control",
    "program_revision",
)
MEASURED = ("soc", "cell_v", "battery_a", "import_w", "load_w", "pv_w", "stored_wh", "mains")


class SiteStanding:
    """Where n sites stand, as their agents last said."""

    def __init__(self, leases: SiteLeases) -> None:
        n = len(leases.is_leased)
        self.leases = leases
        self.leased = np.zeros(n, np.bool_)  # (n,) by lease at the agent
        self.local = np.zeros(n, np.bool_)  # (n,) switched or locked by hand
        self.held = np.zeros(n, np.bool_)  # (n,) on safe charging until the next plan
        self.program = np.zeros(n, np.uint64)  # (n,) revision of the program on the agent's disk
        self.differs_ticks = np.zeros(n, np.int64)  # guard ticks under a lease that is not ours

    def take(self, agent: PowerAgent, report: PowerReport) -> Sites:
        """Take in a valid report. Returns sites that hold what is not ours."""
        sites, places, leases = agent.cells, agent.places, self.leases
        leased, revision = report.is_leased[places], report.revision[places]
        self.leased[sites], self.local[sites] = leased, report.local_control[places]
        self.program[sites] = report.program_revision[places]
        agent.is_stopped = report.is_stopped
        agent.pass_report()
        same = leases.same(sites, revision, leased, report.battery_w[places], report.import_limit_w[places])
        if not agent.is_reconciled:
            agent.is_reconciled = True
            kept = same & leased & (report.lease_left_ms[places] > 0) & ~self.local[sites]
            leases.raise_to(sites, revision)
            leases.is_confirmed[sites[kept]] = True
            return self._give_up(sites[~kept])
        foreign = revision > leases.revision[sites]
        ended = (revision == leases.revision[sites]) & ~same & leases.is_confirmed[sites]
        leases.is_confirmed[sites[same]] = True
        leases.raise_to(sites[foreign], revision[foreign])
        return self._give_up(sites[foreign | ended])

    def answered(self, agent: PowerAgent, answers: PowerAnswers) -> Sites:
        """Take in valid answers. Returns sites that hold a lease although their setpoint was refused."""
        if agent.power is None or not len(agent.cells):
            return agent.cells[:0]
        number = np.full(agent.power.abilities.n_sites, -1, np.int64)
        number[agent.places] = agent.cells
        sites = number[answers.site]
        ours = sites >= 0
        ours[ours] = answers.revision[ours] == self.leases.revision[sites[ours]]
        self.leases.is_confirmed[sites[ours & (answers.outcome == Outcome.APPLIED)]] = True
        refused = ours & ~np.isin(answers.outcome, (Outcome.ACCEPTED, Outcome.APPLIED))
        refused[refused] = self.leases.is_leased[sites[refused]]
        return self._give_up(sites[refused])

    def lose(self, agent: PowerAgent) -> None:
        """An agent restarted: none of its leases is left."""
        self._give_up(agent.cells)
        self.leased[agent.cells] = False

    def pass_tick(self, heard: Mask) -> Sites:
        """A guard tick in which ``heard`` (n,) sites were reported. Returns sites to put on safe charging once more."""
        leases = self.leases
        leases.pending_ticks[~leases.is_confirmed] += 1
        differs = heard & self.leased & ~leases.is_leased & ~self.local
        self.differs_ticks = np.where(differs, self.differs_ticks + 1, 0)
        due = np.isin(self.differs_ticks, AGAIN_TICKS)
        due |= (self.differs_ticks > 0) & (self.differs_ticks % AGAIN_TICKS[-1] == 0)
        lost = np.flatnonzero(leases.is_leased & (leases.pending_ticks >= LOST_TICKS) & heard)
        return np.union1d(np.flatnonzero(due), self._give_up(lost))

    def _give_up(self, sites: Sites) -> Sites:
        """No lease of ours holds for sites (k,). Returns those that are under one all the same."""
        self.held[sites[self.leases.is_leased[sites]]] = True
        self.leases.drop(sites)
        return np.asarray(sites[self.leased[sites] & ~self.local[sites]])

    def restore(self, sites: Sites, revision: UInt64) -> None:
        """Revisions (k,) of a journal: what is commanded from here on is higher. Its leases are not taken over."""
        self.leases.raise_to(sites, revision)


def report_fault(agent: PowerAgent, report: PowerReport) -> str:
    """Why a report cannot be used, empty where it can."""
    assert agent.power is not None
    n = agent.power.abilities.n_sites
    if any(getattr(report, name).shape != (n,) for name in STATES):
        return "its lists do not have one value a site"
    samples = (n, *report.soc.shape[1:2])
    if any(getattr(report, name).shape != samples for name in MEASURED):
        return "its samples do not have one value a site"
    if n and int(report.revision.max()) > LARGEST_REVISION:
        return "it holds a revision beyond all bounds"
    if report.boot_id in agent.past_boots:
        return "it is of an earlier boot"
    newer = report.sequence > agent.sequence and report.monotonic_us >= agent.monotonic_us
    if report.boot_id == agent.boot_id and not newer:
        return "it is no newer than the last one"
    return ""


def answers_fault(agent: PowerAgent, answers: PowerAnswers) -> str:
    """Why answers cannot be used, empty where they can."""
    n, k = 0 if agent.power is None else agent.power.abilities.n_sites, len(answers.site)
    if any(one.shape != (k,) for one in (answers.revision, answers.outcome, answers.cause)):
        return "its lists differ in length"
    if k and not 0 <= int(answers.site.min()) <= int(answers.site.max()) < n:
        return "it names a site that its inventory does not have"
    return ""
