"""A naive twin of hw.symbols.simulation: every slot as fourteen symbols, added up one by one.

Written from docs/symbols.md; it shares the masks of a layout with the kernel and no code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from hw.radio import Radio
from hw.symbols.layout import Layout
from hw.symbols.levers import LeverSpec, Sleep


@dataclass
class NaiveRun:
    energy: float = 0.0  # relative power x symbols
    none: float = 0.0
    light_slots: int = 0
    sleeps: int = 0
    used: int = 0
    busy_slots: int = 0
    wait: list[int] = field(default_factory=list)


def dl_power(radio: Radio, rb_share: float) -> float:
    return radio.micro_sleep + (radio.active_dl - radio.micro_sleep) * (0.4 + 0.6 * rb_share)


class Naive:
    """One carrier; all times in slots."""

    def __init__(self, layout: Layout, radio: Radio, sleep: Sleep, levers: LeverSpec) -> None:
        self.layout, self.radio, self.levers = layout, radio, levers
        per_ms = layout.slots_per_ms
        saved = radio.micro_sleep - radio.light_sleep
        self.shortest = math.ceil(max(sleep.transition_ms, sleep.transition_energy_ms / saved) * per_ms)
        self.transition = math.ceil(sleep.transition_ms * per_ms)
        self.wake = math.ceil(sleep.transition_ms / 2 * per_ms)
        self.budget = int(levers.latency_budget_ms * per_ms)
        self.feedback = math.ceil(levers.feedback_ms * per_ms)
        self.transition_energy = sleep.transition_energy_ms * 14 * per_ms

    def bit(self, mask: np.ndarray, t: int, symbol: int) -> bool:
        return bool(int(mask[t % self.layout.n_slots]) >> symbol & 1)

    def is_mandatory(self, t: int) -> bool:
        at = t % self.layout.n_slots
        return bool(self.layout.send[at] or self.layout.listen[at])

    def pdcch(self, t: int) -> list[int]:
        return [s for s in range(14) if self.bit(self.layout.dl, t, s)][: self.layout.pdcch_symbols]

    def data(self, t: int) -> list[int]:
        head = self.pdcch(t)
        return [s for s in range(14) if self.bit(self.layout.dl, t, s) and s not in head]

    def free(self, t: int, symbol: int) -> float:
        return 1 - float(self.layout.rb_share[t % self.layout.n_slots, symbol])

    def room(self, t: int) -> float:
        """RBs for data [full slots]."""
        return sum(self.free(t, s) for s in self.data(t)) / (14 - self.layout.pdcch_symbols)

    def send_slot(self, t: int, sent: float, received: bool, run: NaiveRun) -> None:
        share = {s: 1 - self.free(t, s) for s in range(14) if self.bit(self.layout.send, t, s)}
        if sent > 0:
            left = sent * (14 - self.layout.pdcch_symbols)
            for s in self.pdcch(t):
                share[s] = share.get(s, 0) + min(self.layout.pdcch_prb / self.layout.n_prb, self.free(t, s))
            order = self.data(t)
            if self.levers.filling:
                order.sort(key=lambda s: not self.bit(self.layout.send, t, s))
            else:
                share |= {s: share.get(s, 0.0) for s in order}
            for s in order:
                if left > 1e-9:
                    part = min(left, self.free(t, s))
                    share[s] = share.get(s, 0.0) + part
                    left -= part
            run.busy_slots += 1
        for s in range(14):
            power = self.radio.micro_sleep
            if s in share:
                power = dl_power(self.radio, share[s])
                run.used += 1
            elif self.bit(self.layout.dl, t, s):
                run.none += dl_power(self.radio, 0) - self.radio.micro_sleep
            heard = self.layout.ul if received else self.layout.listen
            if self.bit(heard, t, s):
                power += self.radio.active_ul - self.radio.micro_sleep
            run.energy += power
            run.none += power

    def run(self, dl: list[float], ul: list[float]) -> NaiveRun:
        run, queue = NaiveRun(), []
        uplink, uplink_since = 0.0, math.inf  # what is left of it counts from the first that came
        asleep, started, up_at, last_active = False, 0, 0, -math.inf
        for t in range(len(dl)):
            if dl[t] > 0:
                queue.append([t, dl[t]])
            if ul[t] > 0:
                uplink += ul[t]
                uplink_since = min(uplink_since, t)
            backlog = sum(left for _, left in queue)
            due = math.inf
            if queue or uplink > 0:
                due = t
                if self.levers.filling and backlog < 1 - 1e-9:
                    due = int(min([uplink_since, *(since for since, _ in queue[:1])])) + self.budget
                    while self.room(due) <= 0:
                        due -= 1
                    due = max(due, t)
            mandatory = t
            while not self.is_mandatory(mandatory):
                mandatory += 1
            if asleep:
                if due < math.inf:
                    up_at = min(up_at, max(due, t + self.wake, started + self.transition))
                asleep = t < up_at
            elif self.levers.light_sleep and t - last_active > self.feedback:
                asleep = min(due, mandatory) - t >= self.shortest
                if asleep:
                    started, up_at = t, mandatory
                    run.sleeps += 1
                    run.energy += self.transition_energy
            if asleep:
                run.light_slots += 1
                run.energy += 14 * self.radio.light_sleep
                continue
            go = t >= due or self.is_mandatory(t)
            sent = min(backlog, self.room(t)) if go and queue else 0.0
            received = bool(go and uplink > 0 and self.layout.ul[t % self.layout.n_slots])
            self.send_slot(t, sent, received, run)
            if received:
                uplink = max(uplink - 1, 0.0)
                uplink_since = uplink_since if uplink > 0 else math.inf
            if sent > 0 or received:
                last_active = t
            run.wait += [t - came for came in self._drain(queue, sent)]
        return run

    @staticmethod
    def _drain(queue: list[list[float]], amount: float) -> list[int]:
        done = []
        while queue and amount >= queue[0][1] - 1e-9:
            amount -= queue[0][1]
            done.append(int(queue.pop(0)[0]))
        if queue:
            queue[0][1] -= max(amount, 0)
        return done
