"""What a world file may say. Read by the controller's strict YAML reader; compiled by ``hw.compile``."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
TxruLadder = tuple[Annotated[int, Field(gt=0)], ...]


class Spec(BaseModel):
    """Strict and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TrafficPathSpec(Spec):
    """The seeded path of the traffic inside a recorded step."""

    sample_s: Annotated[int, Field(gt=0)]
    sigma: NotNegative
    sigma_low: NotNegative
    sigma_high: NotNegative
    correlation_s: Positive


class ServiceSpec(Spec):
    """Service limits, all on what a policy adds to ``none``."""

    target_mbit_s: Positive
    curve_targets_mbit_s: tuple[Positive, ...]
    target_share_of_none: Share
    unserved_share: Share
    below_target_share: Share
    cell_below_target_share: Share
    cells_over_limit_share: Share
    level_changes_per_cell_day: Positive
    latency_object_mbit: Positive


class AlwaysOnSpec(Spec):
    """Symbols that are sent whatever the load."""

    symbol_share: Share
    prb: Annotated[int, Field(ge=0)]


class RfChannelSpec(Spec):
    """What fewer TxRU cost."""

    sinr_db: float
    loss_db_per_halving: NotNegative
    wake_s: NotNegative


class WakeSpec(Spec):
    """Time from the command to the first traffic."""

    wake_s: NotNegative


class HostSpec(Spec):
    """What a server draws for each logical processor: hw/catalogue/host/server.yaml."""

    idle_w: Positive
    busy_w: Positive


class EvaluationSpec(Spec):
    """Parameters of the evaluation: hw/catalogue/evaluation.yaml."""

    traffic_path: TrafficPathSpec
    plan_interval_s: Annotated[int, Field(gt=0)]
    service: ServiceSpec
    always_on: AlwaysOnSpec
    ul_per_dl: Share
    dl_symbol_share_tdd: Share
    rf_channel: RfChannelSpec
    carrier_shutdown: WakeSpec
    deep_dormancy: WakeSpec
    censored_above: Share

    @model_validator(mode="after")
    def _whole_samples(self) -> Self:
        if self.plan_interval_s % self.traffic_path.sample_s:
            raise ValueError("plan_interval_s must be a whole number of traffic_path.sample_s")
        slowest_s = max(self.rf_channel.wake_s, self.carrier_shutdown.wake_s, self.deep_dormancy.wake_s)
        if slowest_s > self.plan_interval_s:
            raise ValueError("wake_s must not exceed plan_interval_s: a wake-up ends within its plan")
        return self


class Radio3gppSpec(Spec):
    """A reference radio of TR 38.864, powers relative to deep sleep."""

    source: str
    duplex: Literal["TDD", "FDD"]
    bandwidth_mhz: Positive
    scs_khz: Literal[15, 30, 60, 120]
    n_prb: Annotated[int, Field(gt=0)]
    txru: Annotated[int, Field(gt=0)]
    power_dbm: float
    deep_sleep: Positive
    light_sleep: Positive
    micro_sleep: Positive
    active_dl: Positive
    active_ul: Positive
    static_share: Share
    deep_transition_ms: NotNegative
    deep_transition_energy_ms: NotNegative
    light_transition_ms: NotNegative
    light_transition_energy_ms: NotNegative

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.deep_sleep <= self.light_sleep <= self.micro_sleep <= self.active_ul <= self.active_dl:
            raise ValueError("powers must not fall from deep_sleep over light_sleep, micro_sleep to active")
        return self


class EarthSpec(Spec):
    """A base-station type of the EARTH model, in W."""

    source: str
    n_trx: Annotated[int, Field(gt=0)]
    p_max_w: Positive
    p_0_w: Positive
    delta_p: Positive
    p_sleep_w: Positive


class _WorldSpec(Spec):
    # "schema" would shadow a method of pydantic's BaseModel, hence the alias
    schema_name: Annotated[Literal["quietcell.world/1"], Field(alias="schema")]
    name: Annotated[str, Field(min_length=1)]
    evaluation: EvaluationSpec | None = None  # in place of hw/catalogue/evaluation.yaml


class _OneRadioSpec(_WorldSpec):
    full_rate_mbit_s: Positive
    txru_ladder: TxruLadder


class World3gppSpec(_OneRadioSpec):
    """A world in which every cell is one 3GPP reference radio."""

    model: Literal["3gpp"]
    radio: Radio3gppSpec


class WorldEarthSpec(_OneRadioSpec):
    """A world in which every cell is one EARTH base station."""

    model: Literal["earth"]
    radio: EarthSpec


class ProductSpec(Spec):
    """The radio of one product and what its full cell carries."""

    radio: Radio3gppSpec
    spectral_efficiency_bit_s_hz: Positive  # of a full cell over its bandwidth, pauses for uplink included
    txru_ladder: TxruLadder

    @property
    def full_rate_mbit_s(self) -> float:
        """Rate of a full cell. [Mbit/s]"""
        return self.radio.bandwidth_mhz * self.spectral_efficiency_bit_s_hz


class WorldProductsSpec(_WorldSpec):
    """A world in which the cells of each product are a 3GPP radio of their own, all of one category."""

    model: Literal["3gpp-products"]
    products: Annotated[dict[str, ProductSpec], Field(min_length=1)]

    @model_validator(mode="after")
    def _one_category(self) -> Self:
        transitions = {
            (p.radio.light_sleep, p.radio.light_transition_ms, p.radio.deep_transition_ms)
            for p in self.products.values()
        }
        if len(transitions) > 1:
            raise ValueError(
                "products must be of one category of TR 38.864: powers of different categories have different units"
            )
        return self


WorldSpec = World3gppSpec | WorldEarthSpec | WorldProductsSpec
