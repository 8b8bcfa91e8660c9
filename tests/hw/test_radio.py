"""Radio power by TR 38.864 against a frame laid out symbol by symbol, and against values by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.strict_yaml import load_yaml
from controller.worlds import CATALOGUE, default_evaluation
from hw.compiling import reference_radio
from hw.radio import (
    Radio,
    carrier_group_power,
    channel_rate_ratio,
    dl_symbol_power,
    mean_power,
    ul_power,
    ul_symbol_power,
    used_symbol_share,
)
from hw.spec import World3gppSpec
from tests.hw.naive_radio import SETS, dl_load, frame_power

TXRU_SHARES = (1.0, 0.5, 0.25, 0.125)


def catalogue_radio(name: str) -> Radio:
    return reference_radio(load_yaml(CATALOGUE / f"{name}.yaml", World3gppSpec), default_evaluation())


RADIOS = {name: catalogue_radio(name) for name in SETS}
SET1 = RADIOS["3gpp-cat1-set1"]


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("symbol_shutdown", [False, True])
@pytest.mark.parametrize("txru_share", TXRU_SHARES)
def test_the_closed_form_is_the_mean_of_the_frame(
    name: str, symbol_shutdown: bool, txru_share: float
) -> None:
    radio, of = RADIOS[name], SETS[name]
    free = of.n_dl - of.n_always_on
    for used in (0, 1, free // 3, free - 1, free):
        for ul_used in (0, of.n_ul // 4, of.n_ul):
            dl = mean_power(radio, np.array([dl_load(of, used)]), txru_share, symbol_shutdown=symbol_shutdown)
            closed = dl[0] + ul_used / of.n_ul * ul_power(radio, txru_share)
            naive = frame_power(of, used, ul_used, txru_share, symbol_shutdown=symbol_shutdown)
            assert closed == pytest.approx(naive, rel=1e-12), (used, ul_used)


@given(st.integers(0, 384), st.integers(0, 140), st.floats(0.01, 1), st.booleans())
def test_the_closed_form_holds_at_any_load(
    used: int, ul_used: int, txru_share: float, symbol_shutdown: bool
) -> None:
    of = SETS["3gpp-cat1-set1"]
    load = np.array([dl_load(of, used)])
    closed = mean_power(SET1, load, txru_share, symbol_shutdown=symbol_shutdown)[0]
    closed += ul_used / of.n_ul * ul_power(SET1, txru_share)
    assert closed == pytest.approx(
        frame_power(of, used, ul_used, txru_share, symbol_shutdown=symbol_shutdown), rel=1e-12
    )


def test_frames_have_the_symbols_of_their_numerology() -> None:
    counts = {of.scs_khz: (of.n_symbols, of.n_dl, of.n_always_on) for of in SETS.values()}
    assert counts == {30: (560, 420, 36), 15: (280, 280, 24), 120: (2240, 1680, 144)}


def test_symbols_worked_out_by_hand() -> None:
    assert float(dl_symbol_power(SET1, 1.0)) == pytest.approx(280)
    assert float(dl_symbol_power(SET1, 0.0)) == pytest.approx(145)
    assert float(dl_symbol_power(SET1, 0.5, 0.5)) == pytest.approx(55 + 0.5 * 225 * (0.4 + 0.6 * 0.5))
    assert float(dl_symbol_power(SET1, 0.5, 1.0, 0.5)) == pytest.approx(55 + 225 * (0.4 + 0.6 * 0.25))
    assert ul_symbol_power(SET1) == 110
    assert ul_symbol_power(SET1, 0.25) == 55 + 0.25 * 55


def test_an_empty_cell_by_hand() -> None:
    # three quarters DL symbols, of which 6 of 70 always on with 20 of 273 RB; a quarter UL symbols at rest
    always_on = 55 + 225 * (0.4 + 0.6 * 20 / 273)
    none = mean_power(SET1, np.zeros(1), 1.0, symbol_shutdown=False)[0]
    symbol = mean_power(SET1, np.zeros(1), 1.0, symbol_shutdown=True)[0]
    assert none == pytest.approx(0.75 * (6 * always_on + 64 * 145) / 70 + 0.25 * 55)
    assert symbol == pytest.approx(0.75 * (6 * always_on + 64 * 55) / 70 + 0.25 * 55)


def test_a_full_cell_has_no_empty_symbol_to_shut_down() -> None:
    for radio in RADIOS.values():
        none, symbol = (mean_power(radio, np.ones(1), 1.0, symbol_shutdown=s)[0] for s in (False, True))
        assert none == pytest.approx(symbol)


@given(st.floats(0, 1))
def test_used_symbols_carry_the_load(load: float) -> None:
    filled = float(used_symbol_share(np.array([load]))[0])
    assert filled * (1 + load) / 2 == pytest.approx(load)
    assert load <= filled <= 1


@pytest.mark.parametrize("radio", RADIOS.values(), ids=RADIOS)
def test_power_rises_with_load_and_falls_with_every_lever(radio: Radio) -> None:
    load = np.linspace(0, 1, 101)
    none = mean_power(radio, load, 1.0, symbol_shutdown=False)
    symbol = mean_power(radio, load, 1.0, symbol_shutdown=True)
    half = mean_power(radio, load, 0.5, symbol_shutdown=True)
    assert (np.diff(none) > 0).all()
    assert (np.diff(symbol) > 0).all()
    assert (symbol <= none + 1e-9).all()
    assert (half < symbol).all()
    assert (half > radio.micro_sleep).all()
    assert (none < radio.active_dl).all()


def test_the_amplifier_is_less_efficient_at_low_power_where_asked_for() -> None:
    radio = replace(SET1, variable_eta=True)
    assert float(dl_symbol_power(radio, 0.4)) == pytest.approx(55 + 225 * (0.4 + 0.6 * 0.4 / 0.76))
    assert float(dl_symbol_power(radio, 0.5)) == pytest.approx(55 + 225 * (0.4 + 0.6 * 0.5))
    assert float(dl_symbol_power(radio, 1.0, 1.0, 0.4)) == pytest.approx(55 + 225 * (0.4 + 0.6 * 0.4 / 0.76))
    assert float(dl_symbol_power(SET1, 0.4)) == pytest.approx(55 + 225 * (0.4 + 0.6 * 0.4))


def test_further_carriers_of_a_contiguous_group_weigh_less() -> None:
    assert carrier_group_power([280, 280], contiguous=True) == pytest.approx(280 * 1.7)
    assert carrier_group_power([100, 280, 200], contiguous=True) == pytest.approx(280 + 0.7 * 300)
    assert carrier_group_power([100, 280, 200], contiguous=False) == 580
    assert carrier_group_power([280], contiguous=True) == 280
    assert carrier_group_power([], contiguous=True) == 0


def test_rates_of_fewer_txru() -> None:
    assert [round(channel_rate_ratio(share), 2) for share in TXRU_SHARES] == [1, 0.85, 0.71, 0.57]
    gentle = [channel_rate_ratio(share, loss_db_per_halving=1.5) for share in TXRU_SHARES]
    steep = [channel_rate_ratio(share, loss_db_per_halving=6) for share in TXRU_SHARES]
    middle = [channel_rate_ratio(share) for share in TXRU_SHARES]
    assert gentle[2] == pytest.approx(middle[1])
    assert steep[1] == pytest.approx(middle[2])
    assert all(s < m < g for s, m, g in zip(steep[1:], middle[1:], gentle[1:], strict=True))
    assert channel_rate_ratio(0.5, sinr_db=10) == pytest.approx(np.log2(1 + 10**0.7) / np.log2(11))
