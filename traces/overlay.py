"""What to assume about overlap where a source does not say which cells cover each other's area."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from traces.trace import Cells, make_cells

NOT_STATED = "The source does not say which cells overlap: all are coverage cells and none is switched off."


def with_overlay(cells: Cells) -> tuple[Cells, str]:
    """The cells with overlap inside base stations assumed, and a note that says what was done.

    Of the cells of one base station all but the first become capacity cells, with all other cells of the
    station as candidates. Known topology is not changed.
    """
    if len(cells.candidate):
        return cells, "Overlap is known from the source; none is assumed."
    _, site, size = np.unique(cells.site_id, return_inverse=True, return_counts=True)
    shared = np.flatnonzero(size[site] > 1)
    members: dict[int, list[int]] = {}
    for cell in shared.tolist():
        members.setdefault(int(site[cell]), []).append(cell)
    candidates = {
        cell: [other for other in own if other != cell] for own in members.values() for cell in own[1:]
    }
    known = {f.name: getattr(cells, f.name) for f in fields(cells) if not f.name.startswith("candidate")}
    del known["cell_id"], known["is_capacity"]
    note = (
        f"Overlap is assumed, the source does not state it: {len(candidates)} cells of {len(members)} base "
        "stations are capacity cells, with the other cells of their station as candidates."
    )
    return make_cells(cells.cell_id, candidates, **known), note
