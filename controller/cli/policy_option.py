"""``--policy NAME``: names of policies, ours and those of others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from controller.errors import PolicyError

if TYPE_CHECKING:
    from controller.foreign import ForeignPolicy


def find_policies(given: Iterable[str]) -> tuple[list[str], dict[str, ForeignPolicy]]:
    """Names to run, and those among them that are plug-ins or policy networks. Raises PolicyError, ModelError."""
    from controller.foreign import find_policy
    from controller.replay.planners import KNOWN

    foreign: dict[str, ForeignPolicy] = {}
    names = []
    for name in given:
        if name in KNOWN:
            names.append(name)
            continue
        policy = find_policy(name, KNOWN)
        if policy.name in foreign and foreign[policy.name].source != policy.source:
            raise PolicyError(
                f"{foreign[policy.name].source} and {policy.source} would both be called {policy.name}; rename a file"
            )
        foreign[policy.name] = policy
        names.append(policy.name)
    return names, foreign
