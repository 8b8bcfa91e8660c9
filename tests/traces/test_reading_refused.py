"""What cannot be read is refused, with the file, the place and what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from traces import TraceError, UnknownLayoutError
from traces.reading import read_trace

START = np.datetime64("2024-01-01T00:00:00")


def csv(path: Path, lines: list[str], header: str = "cell_id,timestamp,dl_prb_ratio") -> Path:
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def day(cell: str = "a", step_min: int = 60, steps: int = 24, load: float = 0.5) -> list[str]:
    return [f"{cell},{START + np.timedelta64(i * step_min, 'm')}Z,{load}" for i in range(steps)]


@pytest.mark.parametrize(
    ("lines", "header", "message"),
    [
        ([], "cell_id,timestamp,dl_prb_ratio", "the trace is empty"),
        (
            ["a,2024-01-01T00:00:00Z,", "a,2024-01-01T01:00:00Z,"],
            "cell_id,timestamp,dl_prb_ratio",
            "holds no number",
        ),
        (
            ["a,2024-01-01T00:00:00Z,0.5"],
            "cell_id,timestamp,dl_prb_ratio",
            "step cannot be told.*add the rows",
        ),
        (["a,yesterday,0.5"], "cell_id,timestamp,dl_prb_ratio", "the trace is empty"),
        (["a,2024-01-01 00:00:00,0.5"], "cell_id,timestamp,dl_prb_ratio", "names no time zone"),
        (
            ["a,2024-01-01T00:00:00Z,0.5,1"],
            "cell_id,timestamp,dl_prb_ratio,cell_id",
            "appears more than once",
        ),
        (["a,x,-0.5"] * 3, "cell_id,timestamp,dl_prb_ratio", "empty"),
    ],
)
def test_traffic_that_cannot_be_used(tmp_path: Path, lines: list[str], header: str, message: str) -> None:
    with pytest.raises(TraceError, match=r"t\.csv.*" + message):
        read_trace(csv(tmp_path / "t.csv", lines, header))


def test_only_bad_rows_leave_an_empty_trace_with_reasons(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"all its rows were set aside .*dl_prb_ratio is negative: 24"):
        read_trace(csv(tmp_path / "t.csv", day(load=-0.5)))


@pytest.mark.parametrize(
    ("header", "lines", "message"),
    [
        ("cell_id,candidates", ["a,b", "b,b"], r"cells\.csv, line 3: cell 'b' is its own candidate; name"),
        (
            "cell_id,candidates",
            ["a,", "b,a;x"],
            r"cells\.csv, line 3: candidate 'x' of 'b' is not in the table",
        ),
        (
            "cell_id,candidates,overlap",
            ["a,b,0.5;0.5", "b,,"],
            r"cells\.csv, line 2: overlap is '0.5;0.5'; .* the 1 cand",
        ),
        (
            "cell_id,candidates,overlap",
            ["a,b,half", "b,,"],
            r"cells\.csv, line 2: overlap is 'half'; give one number",
        ),
        (
            "cell_id,candidates,overlap",
            ["a,b,1.5", "b,,"],
            r"cells\.csv, line 2: overlap is '1.5'; .* up to 1",
        ),
        ("cell_id,anchor", ["a,", "b,x"], r"cells\.csv, line 3: anchor 'x' of 'b' is not in the table"),
        ("cell_id,anchor", ["a,", "b,b"], r"cells\.csv, line 3: anchor 'b' of 'b' has an anchor itself"),
        (
            "cell_id,anchor",
            ["a,b", "b,c", "c,"],
            r"cells\.csv, line 2: anchor 'b' of 'a' has an anchor itself",
        ),
        ("cell_id", ["a", "a"], r"cells\.csv, line 3: cell_id 'a' is there already, in line 2; keep"),
        ("cell_id,site_id", ["a,s", ",s"], r"cells\.csv, line 3: cell_id is empty"),
        ("cell_id,role", ["a,booster"], r"cells\.csv, line 2: role 'booster' is not known; write coverage"),
        ("cell_id,txru", ["a,-4"], r"cells\.csv, line 2: txru is '-4'; it must be a number from 0"),
        ("cell_id,latitude_deg", ["a,north"], r"cells\.csv, line 2: latitude_deg is 'north'"),
        ("cell_id,time_zone", ["a,UTC", "b,Asia/Tokyo"], "a trace has one time zone"),
        ("cell_id,time_zone", ["a,Mars/Base"], "time zone 'Mars/Base' is not known; use an IANA name"),
        ("cell_id,txru", ["a,4,5"], r"cells\.csv, line 2: wrong number of fields"),
        ("name", ["a"], r"cells\.csv: column cell_id is missing; it has name"),
        ("cell_id", [], r"cells\.csv: the table has no rows"),
    ],
)
def test_cell_tables_that_cannot_be_used(tmp_path: Path, header: str, lines: list[str], message: str) -> None:
    csv(tmp_path / "traffic.csv", day())
    csv(tmp_path / "cells.csv", lines, header)
    with pytest.raises(TraceError, match=message):
        read_trace(tmp_path)


def test_truncated_parquet_is_an_error_wherever_it_is_cut(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 5000
    table = pa.table(
        {
            "cell_id": [f"c{i % 7}" for i in range(n)],
            "timestamp": [f"{START + np.timedelta64(i // 7, 'h')}Z" for i in range(n)],
            "dl_prb_ratio": rng.random(n),
        }
    )
    pq.write_table(table, tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    for size in (0, 3, 4, 100, len(whole) // 2, len(whole) - 1):
        path = tmp_path / "t.parquet"
        path.write_bytes(whole[:size])
        with pytest.raises(TraceError, match=r"t\.parquet: .*(copy or export|export it again)"):
            read_trace(path)
    for seed in range(30):  # damage in the middle, with the footer intact
        rng = np.random.default_rng(seed)
        broken = bytearray(whole)
        at = int(rng.integers(4, len(whole) - 1000))
        broken[at : at + 40] = rng.bytes(40)
        path.write_bytes(bytes(broken))
        try:
            read_trace(path)
        except TraceError as error:
            assert "t.parquet" in str(error)


def test_a_wrong_type_of_column_is_named(tmp_path: Path) -> None:
    times = ["2024-01-01T00:00:00Z", "2024-01-01T01:00:00Z"]
    cases = {
        "column dl_prb_ratio is of type bool": {"timestamp": times, "dl_prb_ratio": [True, False]},
        "column timestamp is of type int64": {"timestamp": [1, 2], "dl_prb_ratio": [0.1, 0.2]},
    }
    for message, columns in cases.items():
        pq.write_table(pa.table({"cell_id": ["a", "a"], **columns}), tmp_path / "t.parquet")
        with pytest.raises(TraceError, match=message):
            read_trace(tmp_path / "t.parquet")


def test_unknown_layouts_say_what_was_seen_and_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(UnknownLayoutError, match="an empty folder"):
        read_trace(tmp_path)
    (tmp_path / "report.pdf").write_bytes(b"%PDF")
    with pytest.raises(UnknownLayoutError, match=r"report\.pdf(.|\n)*ITU challenge(.|\n)*measCollecFile"):
        read_trace(tmp_path)
    with pytest.raises(UnknownLayoutError, match="neither Parquet nor CSV nor PM XML"):
        read_trace(tmp_path / "report.pdf")
    path = csv(tmp_path / "traffic.csv", ["a,1"], "cell,load")
    for place in (tmp_path, path):
        with pytest.raises(UnknownLayoutError, match=r"traffic\.csv with columns cell, load"):
            read_trace(place)
    (tmp_path / "traffic.parquet").write_bytes(b"PAR1")
    with pytest.raises(TraceError, match=r"both .*traffic\.csv and traffic\.parquet"):
        read_trace(tmp_path)
    with pytest.raises(TraceError, match="no such file or folder"):
        read_trace(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        ("timestamp,dl_prb_ratio", "cell_id"),
        ("cell_id,dl_prb_percent", "timestamp"),
        ("cell_id,time,dl_bytes", "timestamp"),
    ],
)
def test_a_missing_column_is_named(tmp_path: Path, header: str, missing: str) -> None:
    path = csv(tmp_path / "t.csv", [",".join("1" for _ in header.split(","))], header)
    with pytest.raises(TraceError, match=rf"t\.csv: column {missing} is missing; it has"):
        read_trace(path)


def test_text_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("cell_id,timestamp,dl_prb_ratio\nä".encode("utf-16"))
    with pytest.raises(TraceError, match=r"t\.csv: cannot be read"):
        read_trace(tmp_path / "t.csv")
