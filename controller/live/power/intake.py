"""What power agents say, checked before anything of it counts; see controller/live/intake.py."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.live.alarms import Alarms
from controller.live.events import Alarm, Output
from controller.live.fleet import NO_CELLS
from controller.live.hearing import Hearing
from controller.live.observing import SECOND_US
from controller.live.power.events import PowerAnswered
from controller.live.power.fleet import PowerAgent, PowerFleet, Sites
from controller.live.power.plausible import LIMITED
from controller.live.power.standing import SiteStanding, answers_fault, report_fault
from controller.live.power.telemetry import AHEAD_US, Telemetry
from hw.adapters.power import PowerInventory, PowerReport
from hw.adapters.radio import RejectCause
from policies.site.soc_check import CHARGE_WORDS, ChargeReason

SAMPLES_US = 180 * SECOND_US  # without a sample for so long a charge is stale


class PowerIntake(Hearing[PowerAgent, PowerInventory, PowerReport]):
    """Takes in the events of power agents."""

    noun, one = "power agent", "a power agent"
    then = "nothing is commanded of its sites"

    def __init__(
        self,
        fleet: PowerFleet,
        standing: SiteStanding,
        telemetry: Telemetry,
        alarms: Alarms,
        silent: NDArray[np.bool_],
        epoch: int,
    ) -> None:
        """``silent`` by agent, written here; ``epoch``: of this leader."""
        super().__init__(fleet, standing.lose, alarms, silent, epoch)
        self._fleet, self._standing, self._telemetry = fleet, standing, telemetry

    def reported(self, report: PowerReport, out: Output, now_us: int) -> Sites:
        """A report. Returns sites that hold what is not ours."""
        agent = self._heard(report, out, now_us)
        if agent is None:
            return NO_CELLS
        wrong = self._standing.take(agent, report)
        if now_us:  # before the first tick nobody can say which samples are of another time
            aside, absurd = self._telemetry.take(agent, report, now_us)
            if aside:
                self._alarms.count("sample of a site out of order or of another time", aside)
            if absurd:
                self._alarms.count("measurement of a site beyond what it can be", absurd)
        return wrong

    def answered(self, event: PowerAnswered, out: Output, now_us: int) -> Sites:
        """Answers. Returns sites that hold a lease although their setpoint was refused."""
        agent = self._fleet.get(event.agent_id)
        if agent is None:
            self._alarms.count("answers of a power agent that is not configured")
            return NO_CELLS
        fault = answers_fault(agent, event.answers)
        if fault:
            self._alarms.count(f"answers: {fault}")
            return NO_CELLS
        if (event.answers.cause == RejectCause.LOWER_EPOCH).any():
            self._follows_other(agent, out, now_us)
        return self._standing.answered(agent, event.answers)

    def mark_silent(self, out: Output, now_us: int, stale_after: int) -> None:
        """Which agents have sent no report for so many guard ticks, or no sample for long; and doubted charges."""
        super().mark_silent(out, now_us, stale_after)
        self._tell_charge(out, now_us)
        self._tell_absurd(out, now_us)

    def _join(self, agent: PowerAgent, inventory: PowerInventory) -> list[str]:
        return self._fleet.join(agent, inventory)

    def _fault(self, agent: PowerAgent, report: PowerReport) -> str:
        return report_fault(agent, report)

    def _is_unmeasured(self, agent: PowerAgent, now_us: int) -> bool:
        return 0 < agent.last_end_us < now_us - SAMPLES_US

    def _forget_future(self, agent: PowerAgent, now_us: int) -> None:
        # another agent may have had a site before
        if max(agent.last_end_us, *self._telemetry.end_us[agent.cells].tolist(), 0) > now_us + AHEAD_US:
            self._telemetry.begin_anew(agent)

    def _forget(self, agent: PowerAgent) -> None:
        self._telemetry.forget(agent)

    def _tell_charge(self, out: Output, now_us: int) -> None:
        """Sites whose charge is not to be believed, once each."""
        doubted = np.flatnonzero(
            (self._telemetry.reason > ChargeReason.PROVING) & (self._fleet.agent_of >= 0)
        )
        alarms = [
            Alarm(
                now_us,
                "major",
                self._fleet.site_ids[site],
                f"site {self._fleet.site_ids[site]}: {CHARGE_WORDS[ChargeReason(self._telemetry.reason[site])]}; "
                "it charges safely until several good reports in a row",
            )
            for site in doubted.tolist()
        ]
        self._alarms.settle(out, "charge/", alarms, now_us)

    def _tell_absurd(self, out: Output, now_us: int) -> None:
        """Sites whose newest sample says what cannot be, once each."""
        absurd = self._telemetry.absurd & (self._fleet.agent_of >= 0)
        alarms = []
        for number in np.flatnonzero(absurd.any(0)).tolist():
            site, names = (
                self._fleet.site_ids[number],
                [LIMITED[k] for k in np.flatnonzero(absurd[:, number])],
            )
            text = (
                f"site {site}: beyond what the sites file lets it be, and not used: {', '.join(names)}; check its "
                "meters and the file"
            )
            alarms.append(Alarm(now_us, "major", site, text))
        self._alarms.settle(out, "absurd/", alarms, now_us)
