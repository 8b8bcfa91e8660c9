"""A calibration: everything that was fitted, as one document that stands for itself."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, FiniteFloat, model_validator

from hw.calibration.awake import KNOTS
from hw.spec import Spec

Energy = Annotated[FiniteFloat, Field(ge=0)]
Ratio = Annotated[FiniteFloat, Field(ge=0, le=1)]
Change = Annotated[FiniteFloat, Field(ge=-1, le=0)]
Count = Annotated[int, Field(ge=0)]


class LevelFit(Spec):
    """One level of one product."""

    identified: bool
    reason: str | None  # why it is not identified
    n_stations_active: Count
    n_stations: Count  # that show it on and off at overlapping load
    n_steps: Count  # of these stations with the level on
    effect: Change | None  # relative change of the awake energy, mean over stations
    effect_low: FiniteFloat | None  # 95 % interval, bootstrap over stations
    effect_high: FiniteFloat | None
    effect_as_stamped: Change | None  # the same without correcting the clocks
    load_max: Ratio | None  # upper end of the load seen with the level on; no effect is credited above

    @model_validator(mode="after")
    def _complete(self) -> Self:
        figures = (self.effect, self.effect_low, self.effect_high, self.load_max)
        if self.identified and None in figures:
            raise ValueError("an identified level needs effect, effect_low, effect_high and load_max")
        if not self.identified and (self.reason is None or any(f is not None for f in figures)):
            raise ValueError("a level that is not identified needs a reason and no effect")
        return self


class ProductFit(Spec):
    """One radio product."""

    n_stations: Count  # with measured energy
    n_steps: Count
    base: Energy | None = None  # middle energy of a step of one cell at load 0; None without measured energy
    slope: Energy | None = None  # middle further energy at load 1
    idle_per_full: Ratio | None = None  # base / (base + slope)
    load_max: Ratio | None = None  # largest load with measured energy; the curve above it is extrapolated
    levels: dict[str, LevelFit]


class Shape(Spec):
    """How the energy of a cell of one product rises with its load, from 0 to 1."""

    product: str
    values: tuple[Ratio, ...]  # at ``knots``

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if len(self.values) != len(KNOTS) or self.values[0] != 0 or self.values[-1] != 1:
            raise ValueError(f"a shape must have {len(KNOTS)} values from 0 to 1, one for each of knots")
        if any(b < a for a, b in pairwise(self.values)):
            raise ValueError("a shape must not fall")
        return self


class ClockFit(Spec):
    """Offset of the clocks of a group of cells: energy of step t belongs to load of step t + offset_steps."""

    group: str
    n_cells: Count
    offset_steps: int
    error: (
        Energy | None
    )  # of straight lines per cell at this offset, relative; None if no cell has enough rows
    error_as_stamped: Energy | None  # and at offset 0


class CellFit(Spec):
    """One cell."""

    cell_id: str
    product: str
    config: str  # what else is known of its hardware
    txru: Count  # 0 unknown
    slope: Energy
    effects: dict[str, Change]  # of the identified levels


class StationFit(Spec):
    """One base station. Its base is shared equally by its cells."""

    site_id: str
    n_steps: Count  # with measured energy; 0 means that all values are those of its kind
    base: Energy  # of one cell
    cells: tuple[CellFit, ...]


class Middle(Spec):
    """Middle value per size of hardware of one kind, the path from general to specific."""

    path: tuple[str, ...]
    value: Energy


class ErrorFigures(Spec):
    """Error by cross-validation: sum of |error| over sum of energy."""

    wmape: Energy
    wmape_lines: Energy  # of straight lines of load and levels on the same rows
    bias: FiniteFloat  # sum of error over sum of energy
    n_stations: Count
    n_steps: Count
    by_product: dict[str, Energy]  # of the stations with a cell of the product


class ErrorSummary(Spec):
    """Three ways of leaving energy out, None where too little is left to fit; see docs/calibration.md."""

    unseen_hours: ErrorFigures | None
    unseen_days: ErrorFigures | None
    unseen_stations: ErrorFigures | None
    unseen_hours_as_stamped: ErrorFigures | None  # without correcting the clocks; None where they agree


class Calibration(Spec):
    """Power models fitted on measured energy. Energies are per step, in ``energy_unit``."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    # "schema" would shadow a method of pydantic's BaseModel, hence the alias
    schema_name: Annotated[Literal["quietcell.calibration/1"], Field(alias="schema")] = (
        "quietcell.calibration/1"
    )
    source: str
    energy_unit: Annotated[str, Field(min_length=1)]
    step_s: Annotated[int, Field(gt=0)]
    n_steps: Count  # rows with measured energy that were used
    n_steps_unpaired: Count  # with measured energy but no load at that time
    n_steps_absurd: Count  # with an energy far above the station's middle; not used
    noise: Energy  # relative, of one step
    spread_base: Energy  # relative, between stations of one kind
    spread_slope: Energy
    clocks: tuple[ClockFit, ...]
    products: dict[str, ProductFit]
    errors: ErrorSummary | None = None
    knots: tuple[Ratio, ...]
    shapes: tuple[Shape, ...]  # one for each product
    typical_txru: dict[str, Annotated[int, Field(gt=0)]]  # by product, of the network for ""
    base_middles: tuple[Middle, ...]  # by products, number of cells and configurations; see ``Middles``
    slope_middles: tuple[Middle, ...]  # by product and configuration
    stations: tuple[StationFit, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.knots != tuple(KNOTS.tolist()):
            raise ValueError(f"knots must be {KNOTS.tolist()}")
        if sorted(shape.product for shape in self.shapes) != sorted(self.products):
            raise ValueError("shapes must hold one entry for each of products")
        if "" not in self.typical_txru:
            raise ValueError('typical_txru must hold the number of the network under ""')
        for name, middles in (("base_middles", self.base_middles), ("slope_middles", self.slope_middles)):
            if not any(m.path == () for m in middles):
                raise ValueError(f"{name} must hold the middle of the whole network, whose path is []")
        for i, station in enumerate(self.stations):
            for j, cell in enumerate(station.cells):
                if cell.product not in self.products:
                    raise ValueError(f"stations.{i}.cells.{j}.product: {cell.product!r} is not in products")
        return self
