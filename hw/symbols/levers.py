"""What a radio may do with its empty symbols beyond micro sleep, and what its light sleep costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from hw.radio import Radio
from hw.spec import NotNegative, Radio3gppSpec, Spec

Lever = Literal["light_sleep", "filling"]


class LeverSpec(Spec):
    """Levers on top of symbol shutdown."""

    light_sleep: bool = False  # rest in gaps that outlast the transition
    filling: bool = False  # hold small transmissions until they fill symbols
    latency_budget_ms: NotNegative = 10.0  # for which filling may hold data
    feedback_ms: Annotated[float, Field(ge=0)] = 4.0  # awake for the feedback (HARQ-ACK) to the last data


@dataclass(frozen=True, slots=True)
class Sleep:
    """Light sleep of a radio; down and up together. References: 3GPP TR 38.864 V18.1.0, Tables 5.1-4 and 5.1-5."""

    transition_ms: float
    transition_energy_ms: float  # on top of light sleep [relative power x ms]

    @property
    def wake_ms(self) -> float:
        """Time from the wish to the radio on air: the upper half of the transition, which the tables do not split."""
        return self.transition_ms / 2


def light_sleep_of(radio: Radio3gppSpec) -> Sleep:
    """Light sleep of a reference radio."""
    return Sleep(radio.light_transition_ms, radio.light_transition_energy_ms)


def rest_ms(radio: Radio, sleep: Sleep) -> float:
    """Shortest gap in which light sleep is used: it outlasts the transition, and the transition pays. [ms]"""
    saved = radio.micro_sleep - radio.light_sleep
    pays = sleep.transition_energy_ms / saved if saved > 0 else np.inf
    return max(sleep.transition_ms, pays)
