"""What the operator did: logged shares of each step as a plan per sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hw.world import FULL, SYMBOL, World
from traces import Trace


def logged_levels(trace: Trace, world: World) -> dict[str, int]:
    """Levels of the world that the trace logs, by name."""
    return {name: i for i, name in enumerate(world.level_names) if i > FULL and name in trace.activation}


def why_not_logged(trace: Trace, world: World) -> str | None:
    """Reason why ``logged`` does not apply, None where it does."""
    if not trace.activation:
        return "the trace logs no energy-saving activation"
    if not any(level > SYMBOL for level in logged_levels(trace, world).values()):
        logged = ", ".join(sorted(trace.activation))
        return f"the trace logs {logged}, which this world does not know as a level of its own"
    return None


def logged_plan(trace: Trace, world: World, per_step: int) -> NDArray[np.uint8]:
    """Level of every sample as the operator ran it. Shape (n_cells, n_steps * per_step).

    A share of a step is laid at the end that touches the neighbouring step with the larger share, so that one
    activation over several steps stays one piece. Where several levels overlap the deepest counts.
    """
    position = np.arange(per_step) + 0.5
    plan = np.full((trace.n_cells, trace.n_steps, per_step), FULL, np.uint8)
    for name, level in logged_levels(trace, world).items():
        share = np.nan_to_num(trace.activation[name])
        before = np.pad(share, ((0, 0), (1, 0)))[:, :-1]
        after = np.pad(share, ((0, 0), (0, 1)))[:, 1:]
        length = np.round(share * per_step)[:, :, None]
        at_end = (after > before)[:, :, None]
        active = np.where(at_end, position >= per_step - length, position < length)
        plan[active] = level
    return plan.reshape(trace.n_cells, -1)
