"""The columns of the tidy schema ``quietcell.trace/1``: names, scales, limits. See docs/trace-schema.md."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

CELL_ID, TIMESTAMP = "cell_id", "timestamp"
LOAD = "dl_prb_ratio"
ACTIVATION = "activation_"
ENERGY = "energy_"

CELL_TEXTS = ("site_id", "carrier", "product", "area_type")
CELL_NUMBERS = {  # column -> (lowest, highest) accepted value
    "bandwidth_mhz": (0.0, 10_000.0),
    "txru": (0.0, 32_767.0),
    "latitude_deg": (-90.0, 90.0),
    "longitude_deg": (-180.0, 180.0),
}
CELL_COLUMNS = (
    CELL_ID, *CELL_TEXTS, *CELL_NUMBERS, "role", "candidates", "overlap", "anchor", "time_zone"
)  # fmt: skip

_RATIOS = (LOAD, "ul_prb_ratio")
_AMOUNTS = ("dl_volume_bit", "ul_volume_bit", "active_users")
_ENERGY_UNITS = {"wh": ("Wh", 1.0), "kwh": ("Wh", 1000.0)}  # any other unit is a normalised one


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a source, and the measure of the trace that it feeds: measure = value x scale.

    Two columns may feed one measure: the larger value counts.
    """

    name: str
    measure: str
    scale: float = 1.0
    highest: float = 1e30  # largest measure that is accepted; the smallest is 0
    percent_advice: str = ""  # what to do if a ratio turns out to hold percent
    kept_if_zero: bool = True  # False: a column that is zero throughout says nothing and is left out

    @property
    def is_load(self) -> bool:
        """A row without a number here, other than an empty field, is set aside."""
        return self.measure == LOAD


def ratio(name: str, measure: str, advice: str = "divide the column by 100", **more: bool) -> Column:
    """A column that holds a ratio 0..1."""
    return Column(name, measure, highest=1.0, percent_advice=advice, **more)


def percent(name: str, measure: str) -> Column:
    """A column that is declared to hold percent 0..100."""
    return Column(name, measure, scale=0.01, highest=1.0)


def tidy_traffic_columns(names: Iterable[str]) -> tuple[Column, ...]:
    """The measurements among the column names of a tidy traffic table, in the order of the schema."""
    names = list(names)
    known = []
    for measure in _RATIOS:
        as_percent = measure.replace("_ratio", "_percent")
        known.append(ratio(measure, measure, f"declare the column as {as_percent}"))
        known.append(percent(as_percent, measure))
    known += [Column(name, name) for name in _AMOUNTS]
    known += [ratio(name, name) for name in names if name.startswith(ACTIVATION) and name != ACTIVATION]
    return tuple(column for column in known if column.name in names)


def energy_column(name: str) -> tuple[Column, str]:
    """The column ``energy_<unit>`` of a site energy table, and the unit it is kept in."""
    unit = name.removeprefix(ENERGY)
    kept_unit, scale = _ENERGY_UNITS.get(unit, (unit, 1.0))
    return Column(name, "energy", scale=scale), kept_unit


def energy_column_name(unit: str) -> str:
    """Name of the column that holds energy in ``unit``."""
    return ENERGY + ("wh" if unit == "Wh" else unit)
