"""What cells draw at given levels, by the physics of the replay."""

from __future__ import annotations

from numba import njit

from hw.tables import draw


@njit(cache=True)
def draw_cells(tables, model, level, offered, ul_per_dl, found):  # type: ignore[no-untyped-def]
    """Write the power of each cell at its ``level`` with ``offered`` traffic into ``found``; all (k,). [power_unit]"""
    for i in range(len(found)):
        found[i] = draw(tables, model[i], level[i], offered[i], ul_per_dl[i])
