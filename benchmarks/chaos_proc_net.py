"""Networks of a chaos run: a namespace for the controller, one an agent, and one from which an observer looks on.

::

    controller (ctl) --- 10.1.k.0/30 --- agent k (a<k>) --- 10.2.k.0/30 --- observer, whose link never breaks
          |                                  ^
          +-- latency proxy (agent 1 only) --+

A run lives in namespaces of its own for processes, mounts and networks, entered by ``isolated``: whatever becomes of
it, its processes, links and disks go with it. Needs root, and ip and tc of iproute2, nft of nftables.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.chaos_proc_scene import AGENTS, PORT

TOOLS = {
    "ip": "iproute2",
    "tc": "iproute2",
    "nft": "nftables",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "nsenter": "util-linux",
}
PROXY_PORT = 50061
NAMESPACES = Path("/run/netns")
BURST, QUEUE_MS = "4kb", "400ms"  # of a rate limit


def missing() -> str:
    """Why runs in namespaces cannot be made here, and the remedy; empty: they can."""
    if sys.platform != "linux":
        return "namespaces of processes and networks are Linux's"
    if os.geteuid() != 0:
        return "namespaces, nftables and mounts need root; run it as root"
    absent = sorted({package for tool, package in TOOLS.items() if shutil.which(tool) is None})
    if absent:
        return f"tools are missing; install the packages {' '.join(absent)}"
    tried = subprocess.run([*isolated(), "true"], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"namespaces are refused here: {tried.stderr.strip()}"


def isolated() -> list[str]:
    """Command that runs another one, and all that it starts, in namespaces that end with it."""
    spaces = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    dies_with_us = ("setpriv", "--pdeathsig", "KILL")
    return [*dies_with_us, "unshare", *spaces, "--propagation", "private"]


def _do(*command: str, told: str | None = None) -> None:
    subprocess.run(command, input=told, text=True, capture_output=True, check=True)


class Network:
    """Namespaces and links between controller, agents and observer. To be made inside of ``isolated``."""

    def __init__(self) -> None:
        NAMESPACES.mkdir(exist_ok=True)
        _do("mount", "-t", "tmpfs", "tmpfs", str(NAMESPACES))
        _do("ip", "link", "set", "lo", "up")
        for name in ("ctl", *map(self.space, AGENTS)):
            _do("ip", "netns", "add", name)
            _do("ip", "-n", name, "link", "set", "lo", "up")
        for agent in AGENTS:
            self._connect(agent)

    def _connect(self, agent: str) -> None:
        space, k = self.space(agent), AGENTS.index(agent) + 1
        self._pair(("-n", "ctl"), f"c{k}", space, f"10.1.{k}")
        self._pair((), f"h{k}", space, f"10.2.{k}")

    def _pair(self, near: tuple[str, ...], name: str, space: str, subnet: str) -> None:
        ip = ("ip", *near)
        _do(*ip, "link", "add", name, "type", "veth", "peer", "name", name, "netns", space)
        for side, last in ((ip, 1), (("ip", "-n", space), 2)):
            _do(*side, "addr", "add", f"{subnet}.{last}/30", "dev", name)
            _do(*side, "link", "set", name, "up")

    @staticmethod
    def space(agent: str) -> str:
        """Namespace of an agent."""
        return f"a{AGENTS.index(agent) + 1}"

    @staticmethod
    def inside(space: str) -> list[str]:
        """Command that runs another one in a namespace."""
        return ["nsenter", f"--net={NAMESPACES / space}"]

    @staticmethod
    def observed_at(agent: str) -> str:
        """Address of an agent for the observer."""
        return f"10.2.{AGENTS.index(agent) + 1}.2:{PORT}"

    @staticmethod
    def directly_at(agent: str) -> str:
        """Address of an agent for the controller."""
        return f"10.1.{AGENTS.index(agent) + 1}.2:{PORT}"

    def reached_at(self, agent: str) -> str:
        """Address that the controller is told: the first agent is behind the proxy."""
        return f"127.0.0.1:{PROXY_PORT}" if agent == AGENTS[0] else self.directly_at(agent)

    def _link(self, agent: str) -> str:
        return f"c{AGENTS.index(agent) + 1}"

    def set_link(self, agent: str, *, up: bool) -> None:
        """Take the link between controller and agent down, or up again."""
        _do("ip", "-n", self.space(agent), "link", "set", self._link(agent), "up" if up else "down")

    def lose(self, agent: str, percent: int) -> None:
        """Lose so many of the packets between controller and agent, both ways; 0: none."""
        some = f"numgen random mod 100 < {percent} drop"
        rule = {0: "accept", 100: "drop"}.get(percent, some)
        name = self._link(agent)
        table = (
            "add table inet chaos\nflush table inet chaos\ntable inet chaos {\n"
            f'  chain in {{ type filter hook input priority 0; iifname "{name}" {rule}; }}\n'
            f'  chain out {{ type filter hook output priority 0; oifname "{name}" {rule}; }}\n}}\n'
        )
        _do(*self.inside(self.space(agent)), "nft", "-f", "-", told=table)

    def limit(self, agent: str, kbit_s: int) -> None:
        """Limit the rate from agent to controller; 0: no limit."""
        how = ("replace", "dev", self._link(agent), "root", "tbf", "rate", f"{kbit_s}kbit", "burst", BURST)
        if kbit_s:
            _do("tc", "-n", self.space(agent), "qdisc", *how, "latency", QUEUE_MS)
        else:
            _do("tc", "-n", self.space(agent), "qdisc", "del", "dev", self._link(agent), "root")


def mount_disk(folder: Path, size_kb: int) -> None:
    """A small disk of its own at a folder."""
    folder.mkdir(parents=True)
    _do("mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", str(folder))
