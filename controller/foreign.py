"""Policies that others bring: installed plug-ins by entry point, and policy networks by file.

::

    a built-in name        -> the built-in policy, whatever is installed
    path/to/policy.onnx    -> a policy network of that file, called onnx:<file name without .onnx>
    onnx:path/to/file      -> the same, whatever the file is called
    any other name         -> the plug-in with that entry point in the group quietcell.policies
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from controller.errors import ModelError, PolicyError
from policies.plugin import CheckedPlanner, PolicyContext
from policies.policy import Planner

GROUP = "quietcell.policies"
ONNX_PREFIX, ONNX_SUFFIX = "onnx:", ".onnx"


@dataclass(frozen=True, slots=True)
class ForeignPolicy:
    """A policy that is not ours."""

    name: str
    source: str  # where it comes from, for messages and reports
    make: Callable[[PolicyContext], Planner]

    def planner(self, context: PolicyContext) -> CheckedPlanner:
        """Its planner for a network, checked in every tick. Raises PolicyError, ModelError where it cannot be made."""
        try:
            planner = self.make(copy.deepcopy(context))
            fits = callable(getattr(planner, "plan", None)) and isinstance(
                getattr(planner, "needs_forecast", None), bool
            )
        except ModelError:
            raise
        except (Exception, SystemExit) as error:
            raise PolicyError(
                f"policy {self.name!r} of {self.source}: its factory failed with {type(error).__name__}: {error}; "
                "update or remove it, or choose another policy"
            ) from error
        if not fits:
            raise PolicyError(
                f"policy {self.name!r} of {self.source}: its factory gave a {type(planner).__name__}, not a planner "
                "with plan(view) and needs_forecast = True or False; see docs/policies.md"
            )
        return CheckedPlanner(planner, context.network)


def find_policy(name: str, built_in: Sequence[str]) -> ForeignPolicy:
    """The policy called ``name``, which is none of ``built_in``. Raises PolicyError, ModelError for a file."""
    if name.startswith(ONNX_PREFIX) or name.endswith(ONNX_SUFFIX):
        from controller.policy_network import load_network

        path = Path(name.removeprefix(ONNX_PREFIX))
        network = load_network(path)
        name = ONNX_PREFIX + re.sub(r"[^\w-]", "_", path.stem)  # as gates can name it
        return ForeignPolicy(name, network.source, network.planner)
    found = {(_distribution(one), one.value): one for one in entry_points(group=GROUP, name=name)}
    if not found:
        raise PolicyError(_unknown(name, built_in))
    if len(found) > 1:
        sources = " and ".join(sorted(f"{dist} ({value})" for dist, value in found))
        raise PolicyError(f"policy {name!r} comes from {sources}; uninstall all but one")
    ((distribution, value), entry) = next(iter(found.items()))
    try:
        make = entry.load()
    except (Exception, SystemExit) as error:
        raise PolicyError(
            f"policy {name!r} of {distribution}: {value} cannot be imported, {type(error).__name__}: {error}; "
            f"update or remove {distribution.partition(' ')[0]}"
        ) from error
    if not callable(make):
        raise PolicyError(
            f"policy {name!r} of {distribution}: {value} is a {type(make).__name__}, not a factory that takes a "
            "PolicyContext; see docs/policies.md"
        )
    return ForeignPolicy(name, f"{distribution} ({value})", make)


def _distribution(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "an unnamed distribution"


def _unknown(name: str, built_in: Sequence[str]) -> str:
    installed = sorted({one.name for one in entry_points(group=GROUP)} - set(built_in))
    near = difflib.get_close_matches(name, [*built_in, *installed], n=2)
    hint = f". Did you mean {' or '.join(near)}?" if near else "."
    return (
        f"{name!r} is no policy; known: {', '.join(built_in)}; plug-ins installed: {', '.join(installed) or 'none'}"
        f"{hint} A policy network is named by its file, policy.onnx; a plug-in is a distribution with an entry point "
        f"in the group {GROUP} (docs/policies.md)"
    )
