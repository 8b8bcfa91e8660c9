"""Levers in a world: the powers of the levels on air with light sleep and filling, by the closed form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hw.compiling import LOAD, reference_radio
from hw.errors import WorldError
from hw.radio import used_symbol_share
from hw.spec import EvaluationSpec, World3gppSpec
from hw.symbols.closed_form import SymbolModelSpec, filled_symbol_share, rest_power
from hw.symbols.frame import FrameSpec
from hw.symbols.layout import Layout, lay_out
from hw.symbols.levers import LeverSpec, light_sleep_of, rest_ms
from hw.world import RF_CHANNEL, SYMBOL, World


def frame_name(spec: World3gppSpec) -> str:
    """Name of the frame that stands behind the always-on symbols of a world."""
    return f"evaluation-{spec.radio.duplex.lower()}-{spec.radio.scs_khz}khz"


def pull_levers(
    world: World,
    spec: World3gppSpec,
    evaluation: EvaluationSpec,
    frame: FrameSpec,
    levers: LeverSpec,
    model: SymbolModelSpec,
) -> World:
    """``world`` with levers at every level on air but ``full``; they are echoed in its parameters.

    Raises WorldError where the frame does not send the always-on symbols that the world counts.
    """
    layout, radio, sleep = lay_out(frame), reference_radio(spec, evaluation), light_sleep_of(spec.radio)
    _check(world, layout, frame, evaluation, radio.dl_symbol_share)
    saved = np.maximum(rest_power(layout, radio, sleep, levers, model, LOAD), 0)  # unused where it would cost
    packed = np.zeros_like(LOAD)
    if levers.filling:
        plain = used_symbol_share(LOAD)
        freed = plain - filled_symbol_share(layout, model, LOAD, plain)
        packed = radio.dl_symbol_share * (1 - radio.always_on_symbol_share) * freed
    power = world.power.astype(np.float64)
    for level, name in enumerate(world.level_names):
        if level >= SYMBOL and not world.asleep[level]:
            txru = int(name.removeprefix(RF_CHANNEL)) if name.startswith(RF_CHANNEL) else radio.txru
            static = txru / radio.txru * (radio.active_dl - radio.micro_sleep) * radio.static_share
            power[:, level] -= saved + static * packed
    echo = {
        "levers": levers.model_dump(mode="json")
        | {
            "frame": frame.name,
            "longest_gap_ms": float(layout.gaps_ms().max(initial=0.0)),
            "shortest_light_sleep_ms": rest_ms(radio, sleep),
            "calibrated_to_load": model.load_max,
        }
    }
    # prices of planners keep their unit
    return replace(
        world,
        power=np.ascontiguousarray(power, np.float32),
        price_power=world.idle_power,
        parameters=world.parameters | echo,
    )


def _check(
    world: World, layout: Layout, frame: FrameSpec, evaluation: EvaluationSpec, dl_symbol_share: float
) -> None:
    for what, found, counted in (
        ("always-on symbols", layout.always_on_share, evaluation.always_on.symbol_share),
        ("downlink symbols", layout.dl_symbol_share, dl_symbol_share),
    ):
        if not np.isclose(found, counted, rtol=1e-6):
            raise WorldError(
                f"world {world.name}: its evaluation counts {counted:.6f} {what}, frame {frame.name} has {found:.6f}; "
                "levers need the always_on and dl_symbol_share_tdd of hw/catalogue/evaluation.yaml"
            )
