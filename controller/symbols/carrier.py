"""A carrier: a reference radio with a frame, read from the catalogues of hw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.errors import ConfigError
from controller.symbols.catalogue import load_frame
from controller.worlds import default_evaluation, load_spec
from hw.compiling import reference_radio
from hw.radio import Radio
from hw.spec import World3gppSpec
from hw.symbols.frame import FrameSpec, PeriodMs
from hw.symbols.layout import Layout, lay_out
from hw.symbols.levers import Sleep, light_sleep_of
from hw.symbols.worlds import frame_name
from traces.slots import SlotRecording


@dataclass(frozen=True, slots=True)
class Carrier:
    """A reference radio and what its carrier must send."""

    world: str
    frame: FrameSpec
    layout: Layout
    radio: Radio
    sleep: Sleep


def load_carrier(world: str, frame: str | None = None, ssb_period_ms: PeriodMs | None = None) -> Carrier:
    """The carrier of a 3GPP world with a frame, that of the evaluation by default, its SSB stretched where asked for.

    Raises ConfigError for an unknown name, a file that cannot be used, a world that has no reference radio, or a period
    that the frame does not allow.
    """
    spec = load_spec(world)
    if not isinstance(spec, World3gppSpec):
        raise ConfigError(f"world {world!r} has no 3GPP reference radio; use one such as 3gpp-cat1-set2")
    found = load_frame(frame or frame_name(spec))
    if ssb_period_ms is not None:
        try:
            found = found.stretched(ssb_period_ms)
        except ValueError as error:
            raise ConfigError(str(error)) from error
    radio = reference_radio(spec, spec.evaluation or default_evaluation())
    return Carrier(spec.name, found, lay_out(found), radio, light_sleep_of(spec.radio))


def frame_demand(recording: SlotRecording, layout: Layout) -> NDArray[np.float64]:
    """Downlink data of a recording as it comes on a frame, at equal PRB load. (slots,) [RBs of a whole slot]

    A millisecond of the recording comes in the first slot of the same millisecond of the frame, times the whole
    downlink slots that the frame has in one: 1.5 at 30 kHz with three quarters downlink.
    """
    n_ms = int(recording.duration_ms)
    own = recording.dl_share[: n_ms * recording.slots_per_ms].reshape(n_ms, -1).mean(1)
    demand = np.zeros((n_ms, layout.slots_per_ms))
    demand[:, 0] = own * layout.slots_per_ms * layout.dl_symbol_share
    return demand.reshape(-1)
