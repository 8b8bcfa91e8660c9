"""One figure of a benchmark as one JSON object on a line."""

from __future__ import annotations

import json
import operator
import os
import sys
from pathlib import Path

FALLBACK = Path(__file__).resolve().parents[1].parent / "shared" / "data"
HELD = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "==": operator.eq}


def data_folder() -> Path:
    """The folder of real traces: QUIETCELL_DATA, or one beside the checkout. Ends the script where there is none."""
    folder = Path(os.environ.get("QUIETCELL_DATA", FALLBACK))
    if not folder.is_dir():
        print(f"{folder} does not exist; set QUIETCELL_DATA", file=sys.stderr)
        raise SystemExit(2)
    return folder


def print_row(
    name: str,
    value: float,
    unit: str,
    conditions: str,
    *,
    ours: float | None = None,
    peer: float | None = None,
    bar: tuple[str, float] | None = None,
) -> None:
    """Print one row; ``bar`` is a comparison and the value it is made with."""
    ratio = ours / peer if ours is not None and peer else None
    row = {"name": name, "value": value, "unit": unit, "ours": ours, "peer": peer, "ratio": ratio}
    row["conditions"] = conditions
    if bar is not None:
        row |= {"op": bar[0], "bar": bar[1], "held": bool(HELD[bar[0]](value, bar[1]))}
    print(json.dumps(row, allow_nan=False), flush=True)
