"""The controller's own energy, against hand-made clocks and processor times, and of this very process."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from controller.live.own_energy import Meter, OwnPower, host_meter, used_s
from hw.ports import HostClock
from hw.spec import HostSpec

HOST = HostSpec(idle_w=1.0, busy_w=5.0)
SINCE_UNIX_US = 7_000_000
BURN = "import time\nwhile time.process_time() < 0.3: pass"


class ClockDouble(HostClock):
    """Stands at a moment of the host, and shows it ``speed`` times as fast."""

    real_us = 50_000_000

    def monotonic_us(self) -> int:
        return round(self.real_us * self.speed)

    def unix_us(self) -> int:
        return SINCE_UNIX_US


def metered(speed: float) -> Meter:
    """After 100 s on two processors, of which 50 s of one were used."""
    clock = ClockDouble(speed)
    meter = Meter(clock, HOST, 2, lambda: 50.0)
    clock.real_us += 100_000_000
    return meter


def test_energy_is_the_idle_host_and_what_work_draws_beyond_it() -> None:
    meter = metered(1.0)
    assert meter.energy_j() == pytest.approx(100 * 2 * 1.0 + 50 * (5.0 - 1.0))
    assert meter.power() == OwnPower(pytest.approx(4.0), SINCE_UNIX_US)


def test_on_a_faster_clock_work_stands_for_more_time_and_real_energy_stays() -> None:
    meter = metered(10.0)
    assert meter.energy_j() == pytest.approx(400.0)
    assert meter.power().mean_w == pytest.approx(2 * 1.0 + 50 * (5.0 - 1.0) / 1000)


def test_a_meter_that_has_just_begun_tells_something() -> None:
    assert Meter(ClockDouble(), HOST, 2, lambda: 0.0).power().mean_w == pytest.approx(2.0)


def test_work_of_this_process_and_of_its_children_counts() -> None:
    meter, least_s = host_meter(HostClock()), 0.2
    before_s, before_j = used_s(), meter.energy_j()
    until_s = time.process_time() + 0.3
    while time.process_time() < until_s:
        pass
    assert used_s() - before_s > least_s
    subprocess.run([sys.executable, "-c", BURN], check=True)
    assert used_s() - before_s > 2 * least_s + 0.1
    assert meter.energy_j() - before_j > (4.26 - 0.78) * 2 * least_s
