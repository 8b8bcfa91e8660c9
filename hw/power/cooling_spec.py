"""What a catalogue entry of a room and its cooling may say; compiled to arrays by ``hw.power.cooling``."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hw.spec import NotNegative, Positive, Share, Spec

SUBSTEP_S = 60  # the one step inside the simulation; times of a unit are whole multiples of it
AIR_WH_PER_M3_K = 0.335  # heat capacity of air at 20 degC and sea level, 1.2 kg/m3 x 1005 J/(kg K)
RATED_OUTDOOR_C, RATED_INDOOR_C = 35.0, 27.0  # ISO 5151, condition T1
KELVIN = 273.15
Celsius = Annotated[float, Field(ge=-60, le=90)]
WholeMinutes = Annotated[int, Field(ge=0, le=3600, multiple_of=SUBSTEP_S)]


class RoomSpec(Spec):
    """A shelter or cabinet as three lumps of heat: air with equipment, walls, battery cells."""

    air_wh_per_k: Positive  # air and what follows it within minutes: cards, fans, racks
    mass_wh_per_k: Positive  # walls, floor, ceiling
    battery_wh_per_k: Positive  # cells; their lag behind the air is this over air_battery_w_per_k
    air_outdoor_w_per_k: NotNegative  # leaks, door, thin panels
    mass_outdoor_w_per_k: NotNegative
    air_mass_w_per_k: Positive
    air_battery_w_per_k: Positive
    solar_area_m2: NotNegative  # sun that comes through the skin, over horizontal irradiance

    @model_validator(mode="after")
    def _leaks_somewhere(self) -> Self:
        if self.air_outdoor_w_per_k + self.mass_outdoor_w_per_k <= 0:
            raise ValueError(
                "air_outdoor_w_per_k or mass_outdoor_w_per_k must be above 0: no room is sealed to heat"
            )
        return self


class CompressorSpec(Spec):
    """An air conditioner, rated at 35 degC outdoors and 27 degC indoors (ISO 5151, T1).

    It works as a fixed fraction of the ideal cycle between the temperatures of its two heat exchangers. These are away
    from the air by an approach that shrinks with the load, so part load is more efficient, less what fans take.
    """

    kind: Literal["fixed", "variable"]
    capacity_w: Positive  # sensible heat, the indoor fan's own taken off
    cop: Annotated[float, Field(gt=1, le=10)]  # over all power of the running unit
    capacity_per_outdoor_k: Share  # share of capacity lost per K above 35 degC
    capacity_per_indoor_k: Share  # share won per K above 27 degC
    evaporator_approach_k: Positive  # at full load
    condenser_approach_k: Positive
    condensing_min_c: Celsius  # kept by head-pressure control in cold weather
    auxiliary_w: NotNegative  # fans and electronics while it runs
    standby_w: NotNegative  # at all times: controls, crankcase heater
    least_load_ratio: Annotated[float, Field(gt=0, le=1)]  # 1 for fixed speed
    start_loss_s: Annotated[float, Field(ge=0, le=SUBSTEP_S)]  # full power without cooling, at each start
    min_run_s: WholeMinutes
    min_rest_s: WholeMinutes

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.kind == "fixed") != (self.least_load_ratio == 1):
            raise ValueError("least_load_ratio must be 1 for fixed speed and below 1 for variable speed")
        if self.auxiliary_w >= self.capacity_w / self.cop:
            raise ValueError("auxiliary_w must be below capacity_w / cop, which it is a part of")
        if self.carnot_ratio >= 1:
            raise ValueError(
                f"cop {self.cop:g} is above the ideal cycle between these exchangers; lower it or the approaches"
            )
        return self

    @property
    def carnot_ratio(self) -> float:
        """Efficiency of the compressor alone over that of the ideal cycle, at the rated point."""
        evaporating_k = RATED_INDOOR_C + KELVIN - self.evaporator_approach_k
        condensing_c = max(RATED_OUTDOOR_C + self.condenser_approach_k, self.condensing_min_c)
        lift_k = condensing_c + KELVIN - evaporating_k
        compressor_w = self.capacity_w / self.cop - self.auxiliary_w
        return self.capacity_w / compressor_w * lift_k / evaporating_k


class FreeCoolingSpec(Spec):
    """Fans that cool with outdoor air: straight through a filter, or past a heat exchanger that keeps it out."""

    kind: Literal["fan", "exchanger"]
    airflow_m3_h: Positive  # at full speed
    effectiveness_ratio: Annotated[float, Field(gt=0, le=1)]
    fan_w: Positive  # all fans at full speed
    fan_supply: Literal["ac", "dc"]  # DC fans go on through a mains failure
    least_speed_ratio: Annotated[float, Field(gt=0, le=1)]
    min_difference_k: Positive  # room above outdoors, else it rests
    dewpoint_max_c: Celsius | None = None  # outdoors; none for an exchanger

    @model_validator(mode="after")
    def _dryness(self) -> Self:
        if (self.kind == "fan") != (self.dewpoint_max_c is not None):
            raise ValueError("dewpoint_max_c belongs to kind fan, which lets outdoor air in, and to it alone")
        return self

    @property
    def conductance_w_per_k(self) -> float:
        """Heat that full speed moves per K between room and outdoors. [W/K]"""
        return self.airflow_m3_h * AIR_WH_PER_M3_K * self.effectiveness_ratio


class LimitsSpec(Spec):
    """What the room must keep to, and what may be asked of its unit."""

    setpoint_min_c: Celsius
    setpoint_max_c: Celsius
    safe_setpoint_c: Celsius  # in force where nothing sensible is asked
    band_k: Positive  # the compressor starts this far above the set point and stops as far below
    battery_min_c: Celsius  # preferred
    battery_max_c: Celsius  # preferred
    alarm_c: Celsius  # air; equipment shuts itself down above

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.setpoint_min_c <= self.safe_setpoint_c <= self.setpoint_max_c:
            raise ValueError("safe_setpoint_c must lie between setpoint_min_c and setpoint_max_c")
        if self.setpoint_max_c + 2 * self.band_k >= self.alarm_c:
            raise ValueError("setpoint_max_c + 2 band_k must be below alarm_c, so that cooling comes in time")
        if self.battery_min_c >= self.battery_max_c:
            raise ValueError("battery_min_c must be below battery_max_c")
        return self


class CoolingSpec(Spec):
    """A room with its cooling: hw/catalogue/cooling/*.yaml."""

    # "schema" would shadow a method of pydantic's BaseModel, hence the alias
    schema_name: Annotated[Literal["quietcell.cooling/1"], Field(alias="schema")]
    name: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    room: RoomSpec
    compressor: CompressorSpec | None = None
    free_cooling: FreeCoolingSpec | None = None
    limits: LimitsSpec

    @model_validator(mode="after")
    def _cooled(self) -> Self:
        if self.compressor is None and self.free_cooling is None:
            raise ValueError("a room needs a compressor, free_cooling, or both")
        if self.compressor is not None and self.free_cooling is not None:
            free = self.free_cooling
            least_cop = free.conductance_w_per_k * free.min_difference_k / free.fan_w
            # else the compressor would be the cheaper one in air that the fans are allowed to use
            if least_cop < 2 * self.compressor.cop:
                raise ValueError(
                    f"free cooling moves {least_cop:.1f} W per W at min_difference_k, which must be at least twice "
                    f"the cop of the compressor; raise min_difference_k"
                )
        return self
