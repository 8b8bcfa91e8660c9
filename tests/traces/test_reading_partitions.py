"""Reading in pieces: whole groups, the values of the whole, and memory that does not grow with the file."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traces import SiteEnergy, Trace, make_cells
from traces.groups import independent_groups, pack_groups
from traces.readers import tables
from traces.reading import read_partitions, read_trace
from traces.writers import tidy
from traces.writers.tidy import write_tidy

NETWORKS = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, n - 1), min_size=n, max_size=n),
        st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=2 * n),
    )
)


@given(NETWORKS, st.integers(1, 14))
def test_groups_are_what_a_naive_flood_finds(
    network: tuple[list[int], list[tuple[int, int]]], limit: int
) -> None:
    site, links = network
    candidates: dict[int, list[int]] = {}
    for cell, other in links:
        if cell != other:
            candidates.setdefault(cell, []).append(other)
    cells = make_cells([f"c{i}" for i in range(len(site))], candidates, site_id=[f"s{s}" for s in site])
    label = list(range(len(site)))
    changed = True
    while changed:
        changed = False
        for i in range(len(site)):
            for j in range(len(site)):
                tied = site[i] == site[j] or j in candidates.get(i, []) or i in candidates.get(j, [])
                if tied and label[j] > label[i]:
                    label[j], changed = label[i], True
    group = independent_groups(cells)
    assert [label.index(one) for one in label] == [group.tolist().index(one) for one in group.tolist()]
    assert sorted(set(group.tolist())) == list(range(group.max() + 1))
    packed = list(pack_groups(group, limit))
    assert sorted(np.concatenate(packed).tolist()) == list(range(len(site)))
    for piece in packed:
        assert set(np.flatnonzero(np.isin(group, group[piece])).tolist()) == set(piece.tolist())
        assert len(piece) <= limit or len(set(group[piece].tolist())) == 1


def network(n_sites: int, n_steps: int, seed: int = 0) -> Trace:
    """Three cells a site; the third leans on the first, and every tenth site on the one before."""
    rng = np.random.default_rng(seed)
    n = 3 * n_sites
    load = rng.random((n, n_steps), dtype=np.float32)
    load[rng.random(load.shape) < 0.1] = np.nan
    candidates = {3 * i + 2: [3 * i] + ([3 * i - 3] if i % 10 == 9 else []) for i in range(n_sites)}
    sites = [f"s{i // 3}" for i in range(n)]
    energy = (rng.random((n_sites, n_steps)) * 900).astype(np.float32)
    return Trace(
        source="network",
        cells=make_cells([f"c{i:05d}" for i in range(n)], candidates, site_id=sites),
        start=np.datetime64("2024-01-01T00:00:00"),
        step_s=900,
        time_zone="UTC",
        dl_prb_ratio=load,
        ul_prb_ratio=load * np.float32(0.25),
        activation={"symbol": np.round(load)},
        site_energy=SiteEnergy(np.array(list(dict.fromkeys(sites))), energy, "Wh"),
    )


@pytest.mark.parametrize("form", ["parquet", "csv shuffled"])
def test_pieces_equal_the_same_cells_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(tables, "BATCH_ROWS", 150)
    monkeypatch.setattr(tidy, "ROW_GROUP_ROWS", 400)
    write_tidy(network(20, 48), tmp_path / "t")
    folder = tmp_path / "t"
    if form != "parquet":
        folder = tmp_path / "csv"
        as_shuffled_csv(
            tmp_path / "t", folder, ["c00007,2024-01-01T00:00:00Z,7,0,0", "ghost,2024-01-01T00:00:00Z,0,0,0"]
        )
    whole = read_trace(folder)
    index = {cell: i for i, cell in enumerate(whole.cells.cell_id.tolist())}
    pieces = list(read_partitions(folder, max_cell_steps=9 * 48))
    assert sum(piece.n_cells for piece in pieces) == whole.n_cells
    assert len(pieces) > 6
    aside: Counter[str] = Counter()
    for piece in pieces:
        assert piece.n_cells <= 9
        expected = whole.select_cells(np.array([index[cell] for cell in piece.cells.cell_id.tolist()]))
        for name, values in expected.series().items():
            np.testing.assert_array_equal(values, piece.series()[name], name)
        assert piece.cells.candidate.tolist() == expected.cells.candidate.tolist()
        assert piece.site_energy is not None
        assert expected.site_energy is not None
        np.testing.assert_array_equal(piece.site_energy.energy, expected.site_energy.energy)
        assert (piece.start, piece.step_s, piece.notes) == (whole.start, whole.step_s, whole.notes)
        aside.update(piece.quarantine.counts)
    assert len(whole.cells.candidate) == sum(len(piece.cells.candidate) for piece in pieces)
    assert aside == Counter(whole.quarantine.counts)
    assert (form == "parquet") == (not aside)


def as_shuffled_csv(source: Path, folder: Path, more: list[str]) -> None:
    folder.mkdir()
    rng = np.random.default_rng(3)
    for file in source.glob("*.parquet"):
        table = pa.parquet.read_table(file)
        lines = []
        for row in table.to_pylist():
            values = [
                ";".join(v) if isinstance(v, list) else "" if v is None else str(v) for v in row.values()
            ]
            lines.append(",".join(values))
        if file.stem == "traffic":
            lines = [lines[i] for i in rng.permutation(len(lines))] + more
        if file.stem == "site_energy":
            lines += ["ghost,2024-01-01T00:00:00Z,1", "s3,never,1", "s7,2024-01-01T00:00:00Z,-1"]
        (folder / f"{file.stem}.csv").write_text("\n".join([",".join(table.column_names), *lines]) + "\n")


def test_memory_is_that_of_a_piece_not_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "BATCH_ROWS", 1 << 13)
    monkeypatch.setattr(tidy, "ROW_GROUP_ROWS", 1 << 14)
    trace = network(700, 480)
    write_tidy(trace, tmp_path / "t")
    whole_bytes = sum(values.nbytes for values in trace.series().values())
    del trace
    pool = pa.proxy_memory_pool(pa.default_memory_pool())
    before = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        n_cells = sum(piece.n_cells for piece in read_partitions(tmp_path / "t", max_cell_steps=60 * 480))
        peak = tracemalloc.get_traced_memory()[1] + pool.max_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(before)
    assert n_cells == 2100
    assert peak < whole_bytes / 2


def test_pieces_without_any_record_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "cells.csv").write_text("cell_id\na\nb\n")
    lines = [f"b,2024-01-01T{hour:02d}:00:00Z,0.5" for hour in range(3)]
    (tmp_path / "traffic.csv").write_text("\n".join(["cell_id,timestamp,dl_prb_ratio", *lines]))
    pieces = list(read_partitions(tmp_path, max_cell_steps=3))
    assert [piece.cells.cell_id.tolist() for piece in pieces] == [["b"]]
