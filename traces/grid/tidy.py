"""Tidy files: a column ``timestamp`` and columns whose names declare quantity and unit."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from traces.errors import TraceError
from traces.grid.reading import Quantity, open_with, rows_of, timed_series, whole_table
from traces.grid.series import GridSeries

# A column name states what it holds and in which unit; nothing is guessed from values.
TIDY_COLUMNS = {
    quantity.column: quantity
    for quantity in (
        Quantity("import_price_per_kwh", "currency/kWh", 1.0, -1e3, 1e3),
        Quantity("import_price_per_mwh", "currency/kWh", 1e-3, -1e3, 1e3),
        Quantity("export_price_per_kwh", "currency/kWh", 1.0, -1e3, 1e3),
        Quantity("export_price_per_mwh", "currency/kWh", 1e-3, -1e3, 1e3),
        Quantity("average_co2_kg_per_kwh", "kg/kWh", 1.0, 0.0, 5.0),
        Quantity("average_co2_g_per_kwh", "kg/kWh", 1e-3, 0.0, 5.0),
        Quantity("marginal_co2_kg_per_kwh", "kg/kWh", 1.0, -5.0, 5.0),
        Quantity("marginal_co2_g_per_kwh", "kg/kWh", 1e-3, -5.0, 5.0),
        Quantity("temp_c", "degC", 1.0, -90.0, 65.0),
        Quantity("ghi_wm2", "W/m2", 1.0, 0.0, 2000.0),
        Quantity("pv_kw_per_kwp", "kW/kWp", 1.0, 0.0, 1.5),
        Quantity("load_w", "W", 1.0, 0.0, 1e9),
        Quantity("pv_w", "W", 1.0, 0.0, 1e9),
    )
}


def read_tidy(
    path: Path,
    column: str,
    *,
    site: str | None = None,
    step_s: int | None = None,
    fill_s: int = 0,
    time_zone: str | None = None,
    repeats_yearly: bool = False,
) -> GridSeries:
    """One column of a tidy CSV or Parquet file as a series, in the unit of ``TIDY_COLUMNS``.

    ``site``: the rows of one site, by a column ``site``. Parameters otherwise as in ``timed_series``. Raises TraceError
    for an unknown column, a damaged file, a missing column, an unknown site, or if no row can be used.
    """
    if column not in TIDY_COLUMNS:
        raise TraceError(f"column {column!r} has no declared unit; known: {', '.join(TIDY_COLUMNS)}")
    columns = ("timestamp", column) if site is None else ("timestamp", column, "site")
    batch = whole_table(open_with(Path(path), columns), columns)
    rows = rows_of(batch, "site", site) if site is not None else np.ones(len(batch), np.bool_)
    name = f"{column} of {site}" if site is not None else column
    return timed_series(
        batch,
        rows,
        TIDY_COLUMNS[column],
        name,
        step_s=step_s,
        fill_s=fill_s,
        time_zone=time_zone,
        repeats_yearly=repeats_yearly,
    )
