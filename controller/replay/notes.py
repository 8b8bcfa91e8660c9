"""Sentences of a report about policies that are not ours."""

from __future__ import annotations

from controller.replay.run import PolicyRun
from controller.replay.stage import Task


def foreign_notes(task: Task, runs: dict[str, PolicyRun]) -> list[str]:
    """Where each of them comes from, and what it did wrong."""
    notes = []
    for name, policy in task.foreign.items():
        run = runs.get(name)
        if run is None or run.faults is None:
            continue
        note, faults = f"{name} is {policy.source}.", run.faults
        if faults.first:
            note += (
                f" It gave no usable answer in {faults.failed_ticks} ticks and no usable level in "
                f"{faults.refused_cell_ticks} cell-ticks, in which cells stayed awake; first: {faults.first}"
            )
        notes.append(note)
    return notes
