"""The EARTH model against values worked out by hand from Table 2 of Auer et al. 2011."""

from __future__ import annotations

import numpy as np
import pytest

from hw.earth import EarthRadio, mean_power_w

MACRO = EarthRadio(n_trx=6, p_max_w=20, p_0_w=130, delta_p=4.7, p_sleep_w=75)
PICO = EarthRadio(n_trx=2, p_max_w=0.13, p_0_w=6.8, delta_p=4.0, p_sleep_w=4.3)


@pytest.mark.parametrize(
    ("radio", "load", "trx_share", "power_w"),
    [
        (MACRO, 0.0, 1.0, 780.0),
        (MACRO, 1.0, 1.0, 1344.0),
        (MACRO, 0.5, 1.0, 1062.0),
        (MACRO, 0.0, 0.5, 3 * 130 + 3 * 75),
        (MACRO, 1.0, 0.5, 3 * (130 + 94) + 3 * 75),
        (MACRO, 1.0, 0.0, 450.0),
        (PICO, 0.0, 1.0, 13.6),
        (PICO, 1.0, 1.0, 14.64),
    ],
)
def test_power_by_hand(radio: EarthRadio, load: float, trx_share: float, power_w: float) -> None:
    assert mean_power_w(radio, np.array([load]), trx_share)[0] == pytest.approx(power_w)


def test_power_is_linear_in_load_and_keeps_its_shape() -> None:
    load = np.linspace(0, 1, 12).reshape(3, 4)
    power = mean_power_w(MACRO, load)
    assert power.shape == (3, 4)
    np.testing.assert_allclose(power, 780 + 564 * load)
