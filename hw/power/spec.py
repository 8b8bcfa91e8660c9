"""What a plant file may say. Read by the controller's strict YAML reader; made into arrays by ``hw.power.plant``."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from hw.spec import NotNegative, Positive, Share, Spec

MAX_KNOTS = 8
MAX_MODULES = 16
MAX_CHANGES = 8

PositiveShare = Annotated[float, Field(gt=0, le=1)]


def _rising(knots: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    if any(after[0] <= before[0] for before, after in pairwise(knots)):
        raise ValueError("the first numbers of the pairs must rise")
    if any(not 0 <= value <= 1 for _, value in knots):
        raise ValueError("the second numbers of the pairs must lie in 0..1")
    return knots


Table = Annotated[
    tuple[tuple[float, float], ...],
    Field(min_length=2, max_length=MAX_KNOTS),
    AfterValidator(_rising),
]


class RectifierSpec(Spec):
    """Rectifier modules in parallel, all alike.

    The loss of a module at a share x of its rated power is
    ``module_w * (standby_share + linear_share * x + quadratic_share * x**2)``.
    """

    module_w: Positive  # rated DC power of one module
    modules: Annotated[int, Field(ge=1, le=MAX_MODULES)]
    standby_share: Share
    linear_share: Share
    quadratic_share: Share
    resting_w: NotNegative  # drawn by a module that hibernates
    hibernates: bool  # surplus modules rest; if not, all share the load
    spare_modules: Annotated[int, Field(ge=0)]  # kept working beyond those that the load needs
    max_changes_per_hour: Annotated[
        int, Field(ge=2, le=MAX_CHANGES)
    ]  # of the number at work; then all work for an hour
    rotate_after_h: Positive  # a rested module takes over from one that has worked so much longer


class AgeingSpec(Spec):
    """How a pack loses capacity; see hw/power/ageing.py for the law."""

    end_health: PositiveShare  # capacity left, over rated, at which the pack is replaced
    cycles: Positive  # to end_health by cycling alone, at the three conditions below
    cycle_depth: PositiveShare
    cycle_c: float  # cell temperature [degC]
    cycle_rate: Positive  # rated capacities per hour
    depth_exponent: Annotated[float, Field(ge=1)]  # damage of a cycle ~ depth ** this
    throughput_exponent: PositiveShare  # loss ~ damage ** this
    cycle_activation_j_mol: Positive
    cycle_activation_per_rate_j_mol: NotNegative  # taken off per rated capacity and hour
    calendar_loss_per_sqrt_s: NotNegative  # at 25 degC and the mean of the two factors below
    calendar_activation_j_mol: Positive
    calendar_soc_cubic: NotNegative  # factor: cubic * (soc - 0.5)**3 + constant
    calendar_soc_constant: NotNegative


class BatterySpec(Spec):
    """LFP packs in parallel, as one."""

    rated_wh: Positive
    charge_rate: Positive  # rated capacities per hour at the bus, before the shares below
    discharge_rate: Positive
    charge_share_by_c: Table  # of charge_rate by cell temperature [degC]; none outside the table
    discharge_share_by_c: Table
    charge_share_by_soc: Table  # the smaller of the two shares binds
    discharge_share_by_soc: Table
    usable_share_by_c: Table  # of the capacity; the rest cannot be drawn until the cells are warmer
    charge_efficiency: PositiveShare  # stored per Wh at the bus
    discharge_efficiency: PositiveShare  # at the bus per Wh stored
    self_discharge_per_month: Annotated[float, Field(ge=0, lt=1)]  # of what is stored, in 30 days
    cutoff_soc: Share  # the pack gives nothing below, of the usable capacity
    price_per_kwh: NotNegative  # of rated capacity, in ``currency``
    currency: Annotated[str, Field(min_length=3, max_length=3)]
    ageing: AgeingSpec

    @model_validator(mode="after")
    def _some_is_usable(self) -> Self:
        if self.usable_share_by_c[0][1] <= 0 or self.usable_share_by_c[-1][1] <= 0:
            raise ValueError("usable_share_by_c must be above 0")
        return self


class PvSpec(Spec):
    """Panels behind an MPPT converter on the DC bus, and an inverter that feeds their surplus to the AC side."""

    converter_w: Positive  # highest power at the bus
    converter_efficiency: PositiveShare
    inverter_w: NotNegative  # highest AC power; 0: there is none, surplus is curtailed
    inverter_efficiency: PositiveShare


class BusSpec(Spec):
    """The -48 V bus, its cables and its two-stage low-voltage disconnect.

    The stages act where the pack must carry the load; their thresholds are shares of the usable capacity.
    """

    voltage_v: Positive
    distribution_ohm: NotNegative  # of the cables to all loads, as one
    radio_disconnect_soc: Share  # stage 1
    transport_disconnect_soc: Share  # stage 2
    reconnect_margin: Share  # a stage closes, with mains, once the pack is so far above its threshold ...
    reconnect_after_s: NotNegative  # ... or the mains have been back for so long


class PlantSpec(Spec):
    """The power plant of a site: hw/catalogue/power/<name>.yaml."""

    # "schema" would shadow a method of pydantic's BaseModel, hence the alias
    schema_name: Annotated[Literal["quietcell.plant/1"], Field(alias="schema")]
    name: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    rectifier: RectifierSpec
    battery: BatterySpec
    bus: BusSpec
    pv: PvSpec | None = None

    @model_validator(mode="after")
    def _stages_in_order(self) -> Self:
        if not (
            self.battery.cutoff_soc
            <= self.bus.transport_disconnect_soc
            <= self.bus.radio_disconnect_soc
            <= 1 - self.bus.reconnect_margin
        ):
            raise ValueError(
                "must not fall: battery.cutoff_soc, bus.transport_disconnect_soc, bus.radio_disconnect_soc, "
                "1 - bus.reconnect_margin"
            )
        return self
