"""The controller's own energy, estimated from the processor time of its process and its part of an idle host.

::

    energy = time x processors it may use x idle  +  processor time x (busy - idle)

The powers stand in hw/catalogue/host/server.yaml with their source. They are means over servers, so this is an
estimate. The package counter of a host (RAPL) is measured, but it counts whatever else runs there, and no power supply
or fan. Left out are what carries the messages, the agents, a controller that stands by, and the cooling of the room.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from controller.strict_yaml import load_yaml
from controller.worlds import CATALOGUE
from hw.ports import HostClock
from hw.spec import HostSpec


class OwnPower(NamedTuple):
    """What the controller draws."""

    mean_w: float  # on its own clock
    since_unix_us: int


class Meter:
    """Counts from when it is made; processor time is that of the whole process, its start included."""

    def __init__(
        self, clock: HostClock, host: HostSpec, n_processors: int, used_s: Callable[[], float]
    ) -> None:
        """``used_s``: processor time of the process. [s]"""
        self._clock, self._used_s = clock, used_s
        self._idle_w, self._more_w = host.idle_w * n_processors, host.busy_w - host.idle_w
        self._since_us, self._since_unix_us = clock.monotonic_us(), clock.unix_us()

    def energy_j(self) -> float:
        """Energy of this process in real time, however fast its clock runs. Never falls. [J]"""
        return self._idle_w * self._elapsed_s() / self._clock.speed + self._more_w * self._used_s()

    def power(self) -> OwnPower:
        """Mean power on the controller's clock.

        On a faster, simulated clock the same work stands for more time, as it does in the simulated network.
        """
        busy_w = self._more_w * self._used_s() / self._elapsed_s()
        return OwnPower(self._idle_w + busy_w, self._since_unix_us)

    def _elapsed_s(self) -> float:
        """On the controller's clock. [s]"""
        return max(self._clock.monotonic_us() - self._since_us, 1) / 1e6


def host_meter(clock: HostClock) -> Meter:
    """A meter of this process. Its host counts with the processors that the process may run on."""
    host = load_yaml(CATALOGUE / "host" / "server.yaml", HostSpec)
    return Meter(clock, host, len(os.sched_getaffinity(0)), used_s)


def used_s() -> float:
    """Processor time of this process and of its children that have ended. [s]"""
    return sum(os.times()[:4])
