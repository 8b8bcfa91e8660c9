"""Gates: what an evaluation must reach, such as ``predictive.ee_gain_vs_none >= 0.2``.

A gate on site power begins with ``site.``: ``site.plan.captured_share >= 0.95``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from controller.errors import ConfigError
from controller.evaluation.against_logged import SAVED_VS_LOGGED
from controller.evaluation.sums import FIGURES
from controller.report.site_words import FIGURE as SITE_FIGURE

Report = dict[str, Any]

GATED = (
    *FIGURES,
    SAVED_VS_LOGGED,
    "cells_over_limit_share",
    "worst_cell_unserved_share",
    "throughput_loss_mean",
    "added_latency_ms_p95",
    "emergency_wakes_per_cell_day",
    "alarms",
    "limits_held",
    "guard",
    "energy",
    "wall_s",
    "bound_gap",
)
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
NOT_COMPUTED: Report = {"policies": {}}  # site power of a run without it
_SITE = re.compile(r"\s*site\.(?=[A-Za-z_][\w:-]*\.)")
_PARTS = (
    ("a policy", re.compile(r"[A-Za-z_][\w:-]*")),
    ("'.' between policy and figure", re.compile(r"\.")),
    ("a figure", re.compile(r"[A-Za-z_]\w*")),
    (f"one of {' '.join(OPERATORS)}", re.compile(r">=|<=|==|>|<")),
    ("a number", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")),
    ("the end; ratios are 0 to 1", re.compile(r"$")),
)


class GateError(ConfigError):
    """A gate that cannot be read, or that names what is not evaluated."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One figure of one policy and where it must lie."""

    text: str
    policy: str
    figure: str
    comparison: str
    bound: float
    of_sites: bool = False

    def margin(self, value: float) -> float:
        """How far ``value`` is on the right side of the bound; negative on the wrong one."""
        if self.comparison == "==":
            return -abs(value - self.bound)
        return value - self.bound if self.comparison.startswith(">") else self.bound - value

    def holds(self, value: float) -> bool:
        """Whether ``value`` meets the gate."""
        return OPERATORS[self.comparison](value, self.bound)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A gate judged on the run where it is worst."""

    gate: Gate
    held: bool
    value: float | None
    reason: str  # why there is no value
    run: Report | None  # the worst one

    def as_document(self) -> Report:
        """The verdict as it stands in the evaluation document."""
        found: Report = {"gate": self.gate.text, "held": self.held, "value": self.value, "margin": None}
        if self.value is not None:
            found["margin"] = self.gate.margin(self.value)
        else:
            found |= {"value_reason": self.reason, "margin_reason": self.reason}
        if self.run is not None:
            found |= {
                "trace": self.run["trace"]["source"],
                "world": self.run["world"],
                "seed": self.run["seed"],
            }
        return found


def parse_gate(
    text: str, policies: Sequence[str], known_policies: Sequence[str], site_policies: Sequence[str] = ()
) -> Gate:
    """Read ``<policy>.<figure> <op> <number>``, after ``site.`` of a site policy.

    ``policies`` are those that are evaluated, ``site_policies`` too; empty where no site is. Raises GateError that
    shows the position.
    """
    prefix, found = _SITE.match(text), []
    at = 0 if prefix is None else prefix.end()
    if prefix is not None and not site_policies:
        raise GateError(_pointing(text, 0, "no site is evaluated; add --site FILE"))
    if prefix is not None:
        policies = known_policies = site_policies
    gated = GATED if prefix is None else tuple(SITE_FIGURE)
    for what, pattern in _PARTS:
        at += len(text[at:]) - len(text[at:].lstrip())
        match = pattern.match(text, at)
        if match is None:
            raise GateError(_pointing(text, at, f"expected {what}"))
        found.append((match.group(), at))
        at = match.end()
    (policy, policy_at), _, (figure, figure_at), (comparison, _), (bound, _), _ = found
    if policy not in known_policies:
        known = f"known: {', '.join(policies)}"
        raise GateError(_pointing(text, policy_at, f"{policy!r} is no policy; {known}"))
    if policy not in policies:
        remedy = f"add --policy {policy}, or use one of {', '.join(policies)}"
        raise GateError(_pointing(text, policy_at, f"{policy!r} is not evaluated; {remedy}"))
    if figure not in gated:
        raise GateError(_pointing(text, figure_at, f"{figure!r} is no figure; known: {', '.join(gated)}"))
    return Gate(text.strip(), policy, figure, comparison, float(bound), prefix is not None)


def judge(gate: Gate, runs: Sequence[Report]) -> Verdict:
    """The verdict over all runs. A figure that a run leaves undefined misses the gate: it proves nothing."""
    values = []
    for run in runs:
        policy = (run.get("site", NOT_COMPUTED) if gate.of_sites else run)["policies"].get(gate.policy, {})
        value = policy.get(gate.figure)
        if value is None:
            reason = (
                policy.get(f"{gate.figure}_reason") or policy.get("reason") or "the run has no such figure"
            )
            return Verdict(gate, False, None, str(reason), run)
        values.append(float(value))
    if not values:
        return Verdict(gate, False, None, "no replay was finished", None)
    worst = min(range(len(values)), key=lambda i: gate.margin(values[i]))
    return Verdict(gate, gate.holds(values[worst]), values[worst], "", runs[worst])


def _pointing(text: str, at: int, message: str) -> str:
    """A message that shows where in the gate it belongs."""
    return f"--gate, position {at + 1}: {message}\n  {text}\n  {' ' * at}^"
