"""A carrier: a reference radio with a frame, read from the catalogues of hw."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from controller.errors import ConfigError
from controller.strict_yaml import load_yaml
from controller.worlds import default_evaluation, load_spec
from hw.compiling import reference_radio
from hw.radio import Radio
from hw.spec import World3gppSpec
from hw.symbols.closed_form import SymbolModelSpec
from hw.symbols.frame import PeriodMs, FrameSpec
from hw.symbols.layout import Layout, lay_out
from hw.symbols.levers import Sleep, light_sleep_of
from traces.slots import SlotRecording

SYMBOLS = Path(str(files("hw").joinpath("symbols")))


@dataclass(frozen=True, slots=True)
class Carrier:
    """A reference radio and what its carrier must send."""

    world: str
    frame: FrameSpec
    layout: Layout
    radio: Radio
    sleep: Sleep


def frame_names() -> list[str]:
    """Names of the shipped frames."""
    return sorted(p.stem for p in (SYMBOLS / "frames").glob("*.yaml"))


def load_frame(name_or_file: str) -> FrameSpec:
    """A shipped frame by name, or one of a file. Raises ConfigError naming line, field and remedy."""
    if name_or_file in frame_names():
        return load_yaml(SYMBOLS / "frames" / f"{name_or_file}.yaml", FrameSpec)
    if not Path(name_or_file).is_file():
        known = ", ".join(frame_names())
        raise ConfigError(f"frame {name_or_file!r} is neither a file nor a shipped frame; shipped: {known}")
    return load_yaml(Path(name_or_file), FrameSpec)


def load_symbol_model() -> SymbolModelSpec:
    """The calibrated constants of hw/symbols/model.yaml."""
    return load_yaml(SYMBOLS / "model.yaml", SymbolModelSpec)


def load_carrier(world: str, frame: str, ssb_period_ms: PeriodMs | None = None) -> Carrier:
    """The carrier of a 3GPP world with a frame, its SSB stretched where asked for.

    Raises ConfigError for an unknown name, a file that cannot be used, a world that has no reference radio, or a period
    that the frame does not allow.
    """
    spec = load_spec(world)
    if not isinstance(spec, World3gppSpec):
        raise ConfigError(f"world {world!r} has no 3GPP reference radio; use one such as 3gpp-cat1-set2")
    found = load_frame(frame)
    if ssb_period_ms is not None:
        try:
            found = found.stretched(ssb_period_ms)
        except ValueError as error:
            raise ConfigError(str(error)) from error
    radio = reference_radio(spec, spec.evaluation or default_evaluation())
    return Carrier(spec.name, found, lay_out(found), radio, light_sleep_of(spec.radio))


def frame_demand(recording: SlotRecording, layout: Layout) -> NDArray[np.float64]:
    """Downlink data of a recording as it comes on a frame, at equal PRB load. (slots,) [RBs of a whole slot]

    A millisecond of the recording comes in the first slot of the millisecond on the frame, times the whole downlink slots that
    the frame has in one: a TDD frame at 30 kHz has 1.5.
    """
    n_ms = int(recording.duration_ms)
    own = recording.dl_share[: n_ms * recording.slots_per_ms].reshape(n_ms, -1).mean(1)
    demand = np.zeros((n_ms, layout.slots_per_ms))
    demand[:, 0] = own * layout.slots_per_ms * layout.dl_symbol_share
    return demand.reshape(-1)
