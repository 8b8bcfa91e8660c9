"""What the grid and the weather did: prices, CO2, weather, PV yield and outages, as series at one step.

::

    Parquet or CSV -> table (traces.readers) -> reading.py: rows to a regular series, gaps said, bad rows counted
      tidy.py        columns with declared units, one series each
      folder.py      the layout of a folder of prices, weather and CO2 by market, site and hour of the year
      outages.py     site, begin, end
    GridSeries -> resampling.py: to another start and step, as steps (prices) or by straight lines (weather, PV)
"""

from traces.grid.folder import (
    TimeOfUse,
    Weather,
    read_marginal_co2,
    read_prices,
    read_time_of_use,
    read_weather,
)
from traces.grid.outages import Outages, read_outages
from traces.grid.resampling import along_lines, as_steps
from traces.grid.series import GridSeries
from traces.grid.tidy import TIDY_COLUMNS, read_tidy

__all__ = [
    "TIDY_COLUMNS",
    "GridSeries",
    "Outages",
    "TimeOfUse",
    "Weather",
    "along_lines",
    "as_steps",
    "read_marginal_co2",
    "read_outages",
    "read_prices",
    "read_tidy",
    "read_time_of_use",
    "read_weather",
]
