"""A trace in memory: what a network of cells carried, on a regular grid of steps.

Arrays are float32, ``[cell, time]`` and C-contiguous, NaN where nothing was recorded; ``missing`` says the same
as a mask. Ratios are 0..1. Times are UTC; ``time_zone`` says what a local hour is. See docs/trace-schema.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traces.errors import Quarantine, TraceError

SCHEMA = "quietcell.trace/1"

Float32 = NDArray[np.float32]
Strings = NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Cells:
    """What is known about the cells. All arrays have shape (n_cells,) unless said otherwise.

    A cell is a capacity cell only if it has at least one candidate cell that covers its area; every other cell is
    a coverage cell.
    """

    cell_id: Strings
    site_id: Strings  # the base station
    carrier: Strings  # label of the carrier, "" unknown
    product: Strings  # radio product, "" unknown
    area_type: Strings  # "urban", "residential", ..., "" unknown
    bandwidth_mhz: Float32  # NaN unknown [MHz]
    txru: NDArray[np.int16]  # transceiver units, 0 unknown
    is_capacity: NDArray[np.bool_]
    latitude_deg: NDArray[np.float64]  # NaN unknown [degree]
    longitude_deg: NDArray[np.float64]  # NaN unknown [degree]
    candidate_start: NDArray[np.int32]  # (n_cells + 1,): candidates of i are candidate[start[i]:start[i + 1]]
    candidate: NDArray[np.int32]  # (n_candidates,) indices of cells
    # (n_candidates,) share of the cell's traffic that the candidate reaches [ratio]
    candidate_overlap: Float32
    anchor: NDArray[np.int32]  # index of the LTE cell that anchors a non-standalone 5G cell, -1 none

    def __len__(self) -> int:
        return len(self.cell_id)

    def site_numbers(self) -> NDArray[np.int32]:
        """Number of the site of each cell, in the order of the names of the sites. (n_cells,)"""
        return np.unique(self.site_id, return_inverse=True)[1].astype(np.int32)

    def candidates_of(self, cell: int) -> NDArray[np.int32]:
        """Indices of the candidate cells of one cell."""
        return self.candidate[self.candidate_start[cell] : self.candidate_start[cell + 1]]

    def select(self, index: NDArray[np.intp]) -> Cells:
        """The cells at ``index``, in that order; candidates outside the selection are dropped."""
        index = np.asarray(index, np.intp)
        new_of_old = np.full(len(self), -1, np.int32)
        new_of_old[index] = np.arange(len(index), dtype=np.int32)
        kept = [new_of_old[self.candidates_of(i)] for i in index]
        rows = [slice(self.candidate_start[i], self.candidate_start[i + 1]) for i in index]
        shares = [self.candidate_overlap[row][k >= 0] for row, k in zip(rows, kept, strict=True)]
        kept = [k[k >= 0] for k in kept]
        flat = np.concatenate(kept) if kept else np.zeros(0, np.int32)
        start = np.concatenate([[0], np.cumsum([len(k) for k in kept])]).astype(np.int32)
        rest = {
            f.name: getattr(self, f.name)[index] for f in fields(self) if not f.name.startswith("candidate")
        }
        rest["is_capacity"] = rest["is_capacity"] & (np.diff(start) > 0)
        rest["anchor"] = np.where(rest["anchor"] >= 0, new_of_old[rest["anchor"]], np.int32(-1))
        return Cells(
            **rest,
            candidate_start=start,
            candidate=flat.astype(np.int32),
            candidate_overlap=np.concatenate(shares) if shares else np.zeros(0, np.float32),
        )


def make_cells(cell_id: Any, candidates: Mapping[int, Any] | None = None, **known: Any) -> Cells:
    """Build ``Cells`` from what is known; everything else becomes unknown.

    Parameters
    ----------
    cell_id : identifiers, shape (n_cells,); must be unique.
    candidates : for a cell index, the indices of the cells that can carry its traffic.
    known : any further column of ``Cells``. Default: ``site_id`` = ``cell_id``; a cell is a capacity cell
        if it has candidates and ``is_capacity`` does not deny it. ``candidate_overlap`` is a mapping like
        ``candidates``, with a share for each of them.

    Raises TraceError for duplicate identifiers, candidates that do not exist and a cell that is its own candidate.
    """
    ids = np.asarray(cell_id, np.str_)
    n = len(ids)
    unique, counts = np.unique(ids, return_counts=True)
    if len(unique) != n:
        raise TraceError(
            f"cells: cell_id {unique[counts > 1][0]!r} appears more than once; keep one row per cell"
        )
    named = [np.asarray((candidates or {}).get(i, ()), np.int32) for i in range(n)]
    sorted_out = [np.unique(own, return_index=True) for own in named]
    lists = [own for own, _ in sorted_out]
    overlaps: Mapping[int, Any] = known.get("candidate_overlap", {})
    shares = [
        np.asarray(overlaps.get(i, np.ones(len(named[i]))), np.float32)[first]
        for i, (_, first) in enumerate(sorted_out)
    ]
    for i, own in enumerate(lists):
        if i in own:
            raise TraceError(
                f"cells: cell {ids[i]!r} is its own candidate; name only other cells in candidates"
            )
        if len(own) and (own[0] < 0 or own[-1] >= n):
            raise TraceError(f"cells: cell {ids[i]!r} has a candidate that is not in the cell table")
    start = np.concatenate([[0], np.cumsum([len(own) for own in lists])]).astype(np.int32)
    has_candidates = np.diff(start) > 0

    def text(name: str, default: Any) -> Strings:
        return np.asarray(known.get(name, default), np.str_)

    return Cells(
        cell_id=ids,
        site_id=text("site_id", ids),
        carrier=text("carrier", [""] * n),
        product=text("product", [""] * n),
        area_type=text("area_type", [""] * n),
        bandwidth_mhz=np.asarray(known.get("bandwidth_mhz", np.full(n, np.nan)), np.float32),
        txru=np.asarray(known.get("txru", np.zeros(n)), np.int16),
        is_capacity=np.asarray(known.get("is_capacity", has_candidates), np.bool_) & has_candidates,
        latitude_deg=np.asarray(known.get("latitude_deg", np.full(n, np.nan)), np.float64),
        longitude_deg=np.asarray(known.get("longitude_deg", np.full(n, np.nan)), np.float64),
        candidate_start=start,
        candidate=np.concatenate(lists).astype(np.int32) if n else np.zeros(0, np.int32),
        candidate_overlap=np.concatenate(shares) if n else np.zeros(0, np.float32),
        anchor=np.asarray(known.get("anchor", np.full(n, -1)), np.int32),
    )


@dataclass(frozen=True, slots=True)
class SiteEnergy:
    """Measured energy per base station and step, NaN where not recorded."""

    site_id: Strings  # (n_sites,)
    energy: Float32  # (n_sites, n_steps), in ``unit`` per step
    unit: str  # "Wh", or a name of its own for a normalised unit


@dataclass(frozen=True, slots=True)
class Trace:
    """A recorded network. Optional arrays are None where the source has no such measurement."""

    source: str
    cells: Cells
    start: np.datetime64  # UTC, beginning of the first step
    step_s: int
    time_zone: str  # IANA name
    dl_prb_ratio: Float32  # Downlink PRB utilisation. (n_cells, n_steps) [ratio]
    ul_prb_ratio: Float32 | None = None  # Uplink PRB utilisation. (n_cells, n_steps) [ratio]
    dl_volume_bit: Float32 | None = None  # (n_cells, n_steps) [bit]
    ul_volume_bit: Float32 | None = None  # (n_cells, n_steps) [bit]
    active_users: Float32 | None = None  # mean active users (n_cells, n_steps)
    activation: Mapping[str, Float32] = field(
        default_factory=dict
    )  # level -> share of the step it was active
    site_energy: SiteEnergy | None = None
    notes: tuple[str, ...] = ()  # what the reader assumed, one sentence each
    quarantine: Quarantine = field(default_factory=Quarantine)

    def __post_init__(self) -> None:
        shape = self.dl_prb_ratio.shape
        if self.dl_prb_ratio.dtype != np.float32 or len(shape) != 2 or shape[0] != len(self.cells):
            raise TraceError(f"{self.source}: dl_prb_ratio must be float32 of shape (n_cells, n_steps)")
        if 0 in shape or not np.isfinite(self.dl_prb_ratio).any():
            raise TraceError(
                f"{self.source}: the trace is empty; it needs at least one recorded cell and step"
            )
        for name, array in self.series().items():
            if array.shape != shape:
                raise TraceError(f"{self.source}: {name} has shape {array.shape}, expected {shape}")

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return int(self.dl_prb_ratio.shape[0])

    @property
    def n_steps(self) -> int:
        """Number of steps of the grid."""
        return int(self.dl_prb_ratio.shape[1])

    @property
    def missing(self) -> NDArray[np.bool_]:
        """True where downlink PRB utilisation was not recorded. (n_cells, n_steps)"""
        return np.isnan(self.dl_prb_ratio)

    @property
    def missing_share(self) -> float:
        """Share of cell-steps without a recorded downlink PRB utilisation. [ratio]"""
        return float(self.missing.mean())

    def times(self) -> NDArray[np.datetime64]:
        """Beginning of each step, UTC. (n_steps,)"""
        return self.start + np.arange(self.n_steps) * np.timedelta64(self.step_s, "s")

    def series(self) -> dict[str, Float32]:
        """All recorded ``[cell, time]`` arrays by column name; activations as ``activation_<level>``."""
        names = ("dl_prb_ratio", "ul_prb_ratio", "dl_volume_bit", "ul_volume_bit", "active_users")
        found = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return found | {f"activation_{level}": share for level, share in self.activation.items()}

    def select_cells(self, index: NDArray[np.intp]) -> Trace:
        """The same trace with only the cells at ``index``. Energy of sites without a selected cell is dropped."""
        cells = self.cells.select(index)
        energy = self.site_energy
        if energy is not None:
            keep = np.isin(energy.site_id, cells.site_id)
            energy = SiteEnergy(energy.site_id[keep], energy.energy[keep], energy.unit)

        def rows(series: Float32 | None) -> Float32 | None:
            return None if series is None else series[index]

        return replace(
            self,
            cells=cells,
            dl_prb_ratio=self.dl_prb_ratio[index],
            ul_prb_ratio=rows(self.ul_prb_ratio),
            dl_volume_bit=rows(self.dl_volume_bit),
            ul_volume_bit=rows(self.ul_volume_bit),
            active_users=rows(self.active_users),
            activation={level: share[index] for level, share in self.activation.items()},
            site_energy=energy,
        )
