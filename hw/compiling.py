"""From a world file to arrays: compiles a ``WorldSpec`` and its evaluation into a ``World``."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from hw.earth import EarthRadio, mean_power_w
from hw.errors import WorldError
from hw.radio import Radio, channel_rate_ratio, mean_power, ul_power
from hw.spec import EvaluationSpec, World3gppSpec, WorldEarthSpec, WorldProductsSpec, WorldSpec
from hw.world import LOAD_BINS, RF_CHANNEL, SYMBOL, World, depth

LOAD = np.arange(LOAD_BINS + 1) / LOAD_BINS


def compile_world(spec: WorldSpec, evaluation: EvaluationSpec) -> World:
    """The world of ``spec``, with one model that serves every cell, or one of each product.

    Raises WorldError where a TxRU ladder does not fall from the radio's own number.
    """
    if isinstance(spec, WorldProductsSpec):
        return _join_products(spec, evaluation)
    reference = spec.radio.txru if isinstance(spec, World3gppSpec) else spec.radio.n_trx
    ladder = (reference, *spec.txru_ladder)
    if any(deep >= shallow for shallow, deep in pairwise(ladder)):
        raise WorldError(f"world {spec.name}: txru_ladder must fall from below {reference}, not {ladder[1:]}")
    names = ("full", "symbol", *(f"{RF_CHANNEL}{n}" for n in ladder[1:]), "carrier_shutdown", "deep_dormancy")
    shares = [1.0, *(n / reference for n in ladder)]
    rates = [_rate(share, evaluation) for share in shares] + [0.0, 0.0]
    power, ul, wake_energy, unit, watt = (
        _power_3gpp(spec, evaluation, shares)
        if isinstance(spec, World3gppSpec)
        else _power_earth(spec, shares)
    )
    channels = evaluation.rf_channel.wake_s
    wakes = [0.0, 0.0, *(channels for _ in ladder[1:])]
    wakes += [evaluation.carrier_shutdown.wake_s, evaluation.deep_dormancy.wake_s]
    rate_ratio = np.asarray([rates], np.float32)
    return World(
        name=spec.name,
        level_names=names,
        asleep=np.array([rate == 0 for rate in rates]),
        rate_ratio=rate_ratio,
        capacity_ratio=rate_ratio.copy(),
        power=np.ascontiguousarray(power[None], np.float32),
        ul_power=np.asarray([ul], np.float32),
        wake_s=np.asarray(wakes, np.float32),
        wake_energy=np.asarray([wake_energy], np.float32),
        has_level=np.ones((1, len(names)), np.bool_),
        full_rate_mbit_s=spec.full_rate_mbit_s,
        ul_per_dl=evaluation.ul_per_dl,
        model_of_product={"": 0},
        power_unit=unit,
        watt_per_unit=watt,
        parameters=_echo(spec, evaluation),
    )


def _join_products(spec: WorldProductsSpec, evaluation: EvaluationSpec) -> World:
    """One model of each product; a level is there for all and used by the models that have it."""
    alone = [
        compile_world(
            World3gppSpec.model_validate(
                {
                    "schema": spec.schema_name,
                    "name": f"{spec.name}: {name}",
                    "model": "3gpp",
                    "radio": product.radio,
                    "full_rate_mbit_s": product.full_rate_mbit_s,
                    "txru_ladder": product.txru_ladder,
                }
            ),
            evaluation,
        )
        for name, product in spec.products.items()
    ]
    names = tuple(sorted({name for world in alone for name in world.level_names}, key=depth))
    # a level that a model lacks is never used; its row repeats symbol shutdown
    at = np.array([[w.level_names.index(n) if n in w.level_names else SYMBOL for n in names] for w in alone])
    has = np.array([[n in w.level_names for n in names] for w in alone])
    first = has.argmax(0)
    levels = [(alone[m], at[m, i]) for i, m in enumerate(first)]
    largest = max(w.full_rate_mbit_s for w in alone)
    return World(
        name=spec.name,
        level_names=names,
        asleep=np.array([world.asleep[level] for world, level in levels]),
        rate_ratio=_stack([w.rate_ratio for w in alone], at),
        capacity_ratio=_stack([w.capacity_ratio for w in alone], at),
        power=_stack([w.power for w in alone], at),
        ul_power=_stack([w.ul_power for w in alone], at),
        wake_s=np.array([world.wake_s[level] for world, level in levels], np.float32),
        wake_energy=_stack([w.wake_energy for w in alone], at),
        has_level=has,
        full_rate_mbit_s=largest,
        ul_per_dl=evaluation.ul_per_dl,
        model_of_product={name: m for m, name in enumerate(spec.products)},
        power_unit=alone[0].power_unit,
        parameters=_echo(spec, evaluation) | {"full_rate_mbit_s": largest},
        size=tuple(w.full_rate_mbit_s / largest for w in alone),
    )


def _stack(of_model: list[np.ndarray], at: np.ndarray) -> np.ndarray:
    """Rows ``at`` (M, L) of arrays of one model each, as one contiguous array."""
    return np.ascontiguousarray([array[0, rows] for array, rows in zip(of_model, at, strict=True)])


def _rate(txru_share: float, evaluation: EvaluationSpec) -> float:
    channel = evaluation.rf_channel
    return channel_rate_ratio(
        txru_share, sinr_db=channel.sinr_db, loss_db_per_halving=channel.loss_db_per_halving
    )


def reference_radio(spec: World3gppSpec, evaluation: EvaluationSpec) -> Radio:
    """The radio of a 3GPP world file with the evaluation's frame."""
    radio = spec.radio
    return Radio(
        deep_sleep=radio.deep_sleep,
        light_sleep=radio.light_sleep,
        micro_sleep=radio.micro_sleep,
        active_dl=radio.active_dl,
        active_ul=radio.active_ul,
        txru=radio.txru,
        n_prb=radio.n_prb,
        dl_symbol_share=evaluation.dl_symbol_share_tdd if radio.duplex == "TDD" else 1.0,
        fdd=radio.duplex == "FDD",
        always_on_symbol_share=evaluation.always_on.symbol_share,
        always_on_prb=evaluation.always_on.prb,
        static_share=radio.static_share,
    )


def _power_3gpp(
    spec: World3gppSpec, evaluation: EvaluationSpec, shares: list[float]
) -> tuple[np.ndarray, list[float], list[float], str, float | None]:
    radio = reference_radio(spec, evaluation)
    rows = [mean_power(radio, LOAD, share, symbol_shutdown=i > 0) for i, share in enumerate(shares)]
    rows += [np.full_like(LOAD, radio.light_sleep), np.full_like(LOAD, radio.deep_sleep)]
    ul = [ul_power(radio, share) for share in shares] + [0.0, 0.0]
    transitions = [spec.radio.light_transition_energy_ms / 1000, spec.radio.deep_transition_energy_ms / 1000]
    return np.stack(rows), ul, [0.0] * len(shares) + transitions, "P1", None


def _power_earth(
    spec: WorldEarthSpec, shares: list[float]
) -> tuple[np.ndarray, list[float], list[float], str, float | None]:
    radio = EarthRadio(**spec.radio.model_dump(exclude={"source"}))
    rows = [mean_power_w(radio, LOAD, share) for share in shares]
    asleep = np.full_like(LOAD, radio.n_trx * radio.p_sleep_w)
    n = len(shares) + 2
    return np.stack([*rows, asleep, asleep]), [0.0] * n, [0.0] * n, "W", 1.0


def _echo(spec: WorldSpec, evaluation: EvaluationSpec) -> dict[str, object]:
    echoed = spec.model_dump(mode="json", exclude={"evaluation", "schema_name"})
    return echoed | evaluation.model_dump(mode="json")


def whole_samples(seconds: float, sample_s: int) -> int:
    """Number of samples that a time takes, rounded up; below one sample it takes none."""
    return math.ceil(seconds / sample_s) if seconds >= sample_s else 0
