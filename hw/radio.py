"""Radio power by 3GPP TR 38.864 V18.1.0, clause 5.1, in relative power (deep sleep P1 = 1).

Per symbol (Table 5.1-3 and the scaling below it): a downlink symbol that uses the RB share ``s_f`` with ``s_a`` of
the reference TxRU and transmit power ratio ``s_p`` draws

    P_DL = P3 + s_a (P4 - P3) [A + (1 - A) s_f s_p / eta]

an uplink symbol ``P_UL = P3 + s_a (P5 - P3)``, an empty one P3. ``mean_power`` is the closed form of the mean over
a frame with always-on symbols and data; tests/hw/naive_radio.py adds up the same frame symbol by symbol.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

ETA_LOW_POWER = 0.76  # power amplifier efficiency factor below half of RB share x power (TR 38.864 cl. 5.1)


@dataclass(frozen=True, slots=True)
class Radio:
    """A reference radio. Powers are relative to deep sleep."""

    deep_sleep: float  # P1
    light_sleep: float  # P2
    micro_sleep: float  # P3, also the static part while on air
    active_dl: float  # P4, all RB, all TxRU, full power
    active_ul: float  # P5
    txru: int  # reference number of transceiver units
    n_prb: int
    dl_symbol_share: float  # share of the symbols that are downlink; 1 in FDD [ratio]
    fdd: bool  # FDD adds its uplink part over the one static part
    always_on_symbol_share: float  # SSB, SIB1 and their PDCCH, of the downlink symbols [ratio]
    always_on_prb: int  # RB they occupy
    static_share: float = 0.4  # A
    variable_eta: bool = False  # eta = 0.76 below s_f s_p = 0.5 instead of 1


def dl_symbol_power(
    radio: Radio, rb_share: Float64 | float, txru_share: float = 1.0, power_ratio: float = 1.0
) -> Float64:
    """Relative power of one downlink symbol in which RBs are sent.

    Parameters
    ----------
    rb_share : occupied share of the RBs of the carrier, any shape. [ratio]
    txru_share : active TxRU over the reference number. [ratio]
    power_ratio : transmit power per RB over the reference. [ratio]

    References
    ----------
    3GPP TR 38.864 V18.1.0, clause 5.1.
    """
    product = np.asarray(rb_share, np.float64) * power_ratio
    eta = np.where(product < 0.5, ETA_LOW_POWER, 1.0) if radio.variable_eta else 1.0
    dynamic = radio.static_share + (1 - radio.static_share) * product / eta
    return np.asarray(radio.micro_sleep + txru_share * (radio.active_dl - radio.micro_sleep) * dynamic)


def ul_symbol_power(radio: Radio, txru_share: float = 1.0) -> float:
    """Relative power of one uplink symbol that is received. References: TR 38.864 V18.1.0, clause 5.1."""
    return radio.micro_sleep + txru_share * (radio.active_ul - radio.micro_sleep)


def used_symbol_share(load: Float64) -> Float64:
    """Share o(r) = 2 r / (1 + r) of the symbols that carry data at PRB load r, each at RB share (1 + r) / 2."""
    return 2 * load / (1 + load)


def mean_power(radio: Radio, load: Float64, txru_share: float, *, symbol_shutdown: bool) -> Float64:
    """Mean relative power of a cell on air over its downlink symbols and static uplink, uplink at rest.

    Parameters
    ----------
    load : downlink PRB load of the level in use, any shape, 0..1. [ratio]
    txru_share : active TxRU over the reference number. [ratio]
    symbol_shutdown : empty downlink symbols rest at micro sleep; otherwise they draw the carrier's idle part.
    """
    load = np.asarray(load, np.float64)
    idle = radio.micro_sleep if symbol_shutdown else float(dl_symbol_power(radio, 0.0, txru_share))
    always_on = dl_symbol_power(radio, radio.always_on_prb / radio.n_prb, txru_share)
    used = dl_symbol_power(radio, (1 + load) / 2, txru_share)
    filled = used_symbol_share(load)
    data = filled * used + (1 - filled) * idle
    dl = radio.always_on_symbol_share * always_on + (1 - radio.always_on_symbol_share) * data
    if radio.fdd:
        return np.asarray(dl)
    return np.asarray(radio.dl_symbol_share * dl + (1 - radio.dl_symbol_share) * radio.micro_sleep)


def ul_power(radio: Radio, txru_share: float) -> float:
    """What full uplink load adds to ``mean_power``; uplink of load u adds u times as much."""
    share = 1.0 if radio.fdd else 1 - radio.dl_symbol_share
    return share * (ul_symbol_power(radio, txru_share) - radio.micro_sleep)


def carrier_group_power(carrier_power: Sequence[float], *, contiguous: bool) -> float:
    """Power of several carriers of one radio: each further carrier of a contiguous intra-band group weighs 0.7.

    References
    ----------
    3GPP TR 38.864 V18.1.0, clause 5.1 (multi-carrier scaling).
    """
    if not len(carrier_power):
        return 0.0
    ordered = sorted(carrier_power, reverse=True)
    return float(ordered[0] + (0.7 if contiguous else 1.0) * sum(ordered[1:]))


def channel_rate_ratio(
    txru_share: float, *, sinr_db: float = 20.0, loss_db_per_halving: float = 3.0
) -> float:
    """Rate of a cell with fewer TxRU relative to all of them: log2(1 + SINR) with the SINR lost per halving.

    1, 0.85, 0.71 and 0.57 for 1, 1/2, 1/4 and 1/8 at the defaults.
    """
    lost_db = loss_db_per_halving * -np.log2(txru_share)
    return float(np.log2(1 + 10 ** ((sinr_db - lost_db) / 10)) / np.log2(1 + 10 ** (sinr_db / 10)))
