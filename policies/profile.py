"""The operator's settings of the policies: what policies/profiles/*.yaml may say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Epsilon = Annotated[float, Field(gt=0, le=0.5)]
LocalHour = Annotated[float, Field(ge=0, le=24)]
Seconds = Annotated[int, Field(ge=0)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ForecastProfile(_Settings):
    """Constants of the seasonal forecaster."""

    horizon_ticks: Annotated[int, Field(ge=1, le=96)]
    noise_sigma: Positive  # log standard deviation of samples around the slow level, to begin with
    correlation_s: Positive  # time after which that noise has fallen to 1/e
    drift_variance_per_min: Positive  # wandering of the log level
    unprofiled_variance_per_min: NotNegative  # more of it while the time of day has no profile
    profile_weight: Share  # how much of the profile's movement is believed
    profile_memory_days: Positive
    spread_memory_h: Positive  # memory of the measured noise variance
    wander_memory_h: Positive  # memory of the measured drift variance


class PredictiveProfile(_Settings):
    """Prices of the ``predictive`` policy, in a cell's idle power (symbol shutdown, no traffic) over one tick."""

    epsilon: Epsilon  # probability that a minute misses its target, up to which a level is allowed: the operator's knob
    risk_price: Positive  # for traffic that misses its target, per full-rate tick of traffic, at epsilon 0.03
    off_air_caution: Annotated[float, Field(ge=1)]  # factor on the risk of joint levels with cells off air
    surge_probability: Share  # per tick, that traffic jumps as no forecast sees while cells are off air
    surge_load: Share  # by how much it jumps [ratio of full rate]
    # time that all cells of a group must have been measured before one leaves the air
    off_air_after_h: NotNegative
    change_price: NotNegative  # for one change of level
    group_change: Annotated[
        float, Field(ge=1)
    ]  # factor on that in groups of cells, where a level lasts shorter
    group_risk: Annotated[
        float, Field(ge=1)
    ]  # factor on the risk in groups, where one cell's surge is missed by all
    caution: NotNegative  # added to the risk price, in multiples of it, while a cell is new; halves with its first day


class GuardProfile(_Settings):
    """Limits that are checked last; docs/guards.md says what each does."""

    max_changes_per_cell_day: Annotated[int, Field(ge=1)]
    dwell_s: Seconds  # least time at a level before going deeper [s]
    hysteresis_ticks: Annotated[int, Field(ge=1)]  # ticks in a row that a deeper plan must hold; 1: at once
    least_awake_s: Seconds  # least time awake after a wake-up [s]
    max_reversals: Annotated[int, Field(ge=1)]  # changes of direction in the window before it is flapping
    reversal_window_s: Seconds
    lockout_s: Seconds  # time that a cell is locked awake after flapping [s]
    max_deeper_share: Share  # of a site's cells that may go deeper in a tick; one whole group always may
    least_on_air_share: Share  # of the cells of a site that stay on air
    telemetry_max_age_s: Seconds  # age of the last measurement from which on a group is awake; 0: at once

    @property
    def counts_sites(self) -> bool:
        """Whether a limit holds over the cells of a site."""
        return self.max_deeper_share < 1 or self.least_on_air_share > 0


class SurgeProfile(_Settings):
    """The guard loop, which wakes cells between plans."""

    # as in ``PredictiveProfile``; with the guard loop the plan too is made at this price
    risk_price: Positive
    hold_s: Annotated[int, Field(ge=1)]  # least time awake [s]


class TimerProfile(_Settings):
    """A fixed night window in local time."""

    start_h: LocalHour
    end_h: LocalHour


class ThresholdProfile(_Settings):
    """Two thresholds on the load of the level in use, and a dwell."""

    sleep_below: Share  # measured load below which a cell goes one level deeper [ratio]
    wake_above: Share  # measured load above which it returns to full service [ratio]
    dwell_s: NotNegative  # least time at a level before going deeper [s]
    carrier_sleep_below: Share  # offered load below which a capacity cell leaves the air [ratio]
    candidate_below: Share  # load its candidates must stay under with its traffic [ratio]


class Profile(_Settings):
    """One file of policies/profiles/."""

    schema_name: Annotated[Literal["quietcell.profile/1"], Field(alias="schema")]
    name: Annotated[str, Field(min_length=1)]
    forecast: ForecastProfile
    predictive: PredictiveProfile
    guards: GuardProfile
    surge: SurgeProfile
    timer: TimerProfile
    threshold: ThresholdProfile

    def with_epsilon(self, epsilon: float, name: str | None = None) -> Profile:
        """The same profile at another epsilon: the one knob between saving and service."""
        predictive = self.predictive.model_copy(update={"epsilon": epsilon})
        return self.model_copy(update={"predictive": predictive, "name": name or self.name})


class Preset(_Settings):
    """A profile that differs from another one by its epsilon alone."""

    schema_name: Annotated[Literal["quietcell.preset/1"], Field(alias="schema")]
    name: Annotated[str, Field(min_length=1)]
    of: Annotated[str, Field(min_length=1)]  # shipped profile that it is based on
    epsilon: Epsilon
