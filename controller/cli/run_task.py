"""What a run is told, by configuration and command line, and reading what that names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller.cli.console import SAMPLE, read_with_progress
from controller.cli.model_option import read_model
from controller.cli.policy_option import find_policies
from controller.config import RunConfig, load_config, load_profile

if TYPE_CHECKING:
    from controller.replay.stage import Task


def merged(config: Path | None, given: dict[str, Any]) -> RunConfig:
    """The configuration of a file, if any; what is ``given`` on the command line and not None wins."""
    return load_config(config).model_copy(
        update={
            key: str(value) if isinstance(value, Path) else value
            for key, value in given.items()
            if value is not None
        }
    )


def read_task(settings: RunConfig, policies: Iterable[str], source: str) -> tuple[Task, list[str]]:
    """Read what the settings name; the names under which the policies run. Numba is imported from here on.

    ``source`` is the file that constraints came from.
    """
    from controller.constraints import compile_constraints
    from controller.replay.stage import Task
    from controller.worlds import world_for

    names, foreign = find_policies(policies)
    found = read_with_progress(
        Path(settings.trace or SAMPLE),
        settings.time_zone,
        settings.assume_overlay,
        None if settings.mapping is None else Path(settings.mapping),
    )
    wanted = settings.constraints
    task = Task(
        found,
        world_for(settings.world, found, settings.levers),
        load_profile(settings.profile),
        settings.seed or 0,
        read_model(None if settings.model is None else Path(settings.model)),
        settings.guard,
        None if wanted is None else compile_constraints(wanted, found.cells, found.time_zone, source),
        foreign,
    )
    return task, names
