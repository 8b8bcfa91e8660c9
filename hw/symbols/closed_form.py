"""What a carrier draws at a PRB load, without its slots: the closed form behind plans and worlds.

Data at PRB load r comes in the share ``r^(1 - g)`` of the milliseconds, each filled to ``r^g`` of its RBs: busier hours
fill them better. Where a millisecond has n downlink slots, one of each is left partly empty, so that the share
``r + (r^(1 - g) - r) / n`` of them is used.

Data comes in episodes: a Poisson process of rate ``a (r / (1 - r))^b``, each keeping the radio up for ``d / (1 - r)``
with the feedback to it, as a busy period of a queue would. Between the mandatory slots of the frame these episodes cut
the rest. The expected light sleep in a gap follows from a renewal equation over the time that is left of it, in steps
of ``STEP_MS``.

The constants are calibrated on slot traces (hw/symbols/model.yaml) and checked with ``hw.symbols.simulation``.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hw.radio import Radio, dl_symbol_power
from hw.spec import Positive, Share, Spec
from hw.symbols.frame import SYMBOLS_PER_SLOT
from hw.symbols.layout import Layout
from hw.symbols.levers import LeverSpec, Sleep, rest_ms

Float64 = NDArray[np.float64]
STEP_MS = 0.5  # of the renewal equation
FULLEST = 0.999  # load above which nothing changes any more
ROUNDING_SYMBOLS = 0.5  # mean part of a symbol that packing leaves empty in a slot


class EpisodeSpec(Spec):
    """Episodes of traffic that keep the radio up."""

    rate_per_ms: Positive  # a
    exponent: Positive  # b
    awake_ms: Positive  # d


class LeverModelSpec(Spec):
    """Constants without or with filling."""

    fill_exponent: Annotated[float, Field(ge=0, lt=1)]  # g
    episodes: EpisodeSpec

    def busy_share(self, layout: Layout, load: Float64) -> Float64:
        """Share of the whole downlink slots of a frame that carry data at a PRB load. Any shape. [ratio]"""
        per_ms = layout.slots_per_ms * layout.dl_symbol_share
        return np.asarray(load + (load ** (1 - self.fill_exponent) - load) / per_ms)


class SymbolModelSpec(Spec):
    """The calibrated constants: hw/symbols/model.yaml."""

    schema_name: Annotated[Literal["quietcell.symbol-model/1"], Field(alias="schema")]
    source: Annotated[str, Field(min_length=1)]
    load_max: Share  # largest load of a window that was calibrated on; above it the form is extrapolation
    plain: LeverModelSpec
    filled: LeverModelSpec

    def of(self, levers: LeverSpec) -> LeverModelSpec:
        """The constants that hold under some levers."""
        return self.filled if levers.filling else self.plain


def filled_symbol_share(layout: Layout, model: SymbolModelSpec, load: Float64, plain: Float64) -> Float64:
    """Share of the free downlink symbols that carry data when it is packed into them. Any shape. [ratio]

    As many as its RBs fill, and in each used slot PDCCH and what rounding leaves empty; never more than ``plain``.
    """
    slots = model.filled.busy_share(layout, load)
    overhead = (layout.pdcch_symbols + ROUNDING_SYMBOLS) / SYMBOLS_PER_SLOT
    return np.asarray(np.minimum(plain, load + overhead * slots * (1 - load)))


def rests(
    layout: Layout, radio: Radio, sleep: Sleep, levers: LeverSpec, model: SymbolModelSpec, load: Float64
) -> tuple[Float64, Float64]:
    """Share of the time in light sleep, transitions included, and light sleeps per ms. Shape (n,) each.

    ``load`` : downlink PRB load. Shape (n,). [ratio]
    """
    light, sleeps = np.zeros(len(load)), np.zeros(len(load))
    shortest = rest_ms(radio, sleep)
    gaps = layout.gaps_ms()
    if not levers.light_sleep or not np.isfinite(gaps).all():
        return light, sleeps
    lengths, counts = np.unique(gaps[gaps >= shortest], return_counts=True)
    period_ms = layout.n_slots / layout.slots_per_ms
    for length, count in zip(lengths, counts, strict=True):
        in_gap = _in_gap(float(length), shortest, sleep, levers, model.of(levers).episodes, load)
        light += count * in_gap[0] / period_ms
        sleeps += count * in_gap[1] / period_ms
    return light, sleeps


def _in_gap(
    gap_ms: float, shortest_ms: float, sleep: Sleep, levers: LeverSpec, episodes: EpisodeSpec, load: Float64
) -> tuple[Float64, Float64]:
    """Expected light sleep [ms] and light sleeps in one gap. Shape (n,) each."""
    n_steps, shortest = int(gap_ms / STEP_MS), int(np.ceil(shortest_ms / STEP_MS))
    capped = np.minimum(load, FULLEST)
    rate = episodes.rate_per_ms * (capped / (1 - capped)) ** episodes.exponent
    awake = episodes.awake_ms / (1 - capped) / STEP_MS
    comes = 1 - np.exp(-rate * STEP_MS)
    reaction = (max(levers.latency_budget_ms, sleep.wake_ms) if levers.filling else sleep.wake_ms) / STEP_MS
    at_once = sleep.transition_ms / STEP_MS
    light, sleeps = np.zeros((n_steps + 1, len(load))), np.zeros((n_steps + 1, len(load)))
    for left in range(shortest, n_steps + 1):
        step = np.arange(left)
        # data that comes in a step wakes the radio after its reaction, or finds it woken by the end of the gap
        rested = np.minimum(np.maximum(step + reaction, at_once), left)
        chance = comes * (1 - comes) ** step[:, None]
        then = np.where(rested < left, 1.0, 0.0)[:, None]
        at = np.maximum(left - rested[:, None] - awake, 0)
        light[left] = (chance * (rested[:, None] * STEP_MS + then * _between(light, at))).sum(0)
        light[left] += (1 - comes) ** left * left * STEP_MS
        sleeps[left] = 1 + (chance * then * _between(sleeps, at)).sum(0)
    if (
        levers.filling
    ):  # what waited at the start of the gap went with the burst, and its feedback comes first
        busy = 1 - np.exp(-rate * levers.latency_budget_ms)
        late = np.maximum(n_steps - awake[None, :], 0)
    else:  # an episode under way takes a uniform part of its length from the gap
        busy = 1 - np.exp(-rate * awake * STEP_MS)
        late = np.maximum(n_steps - (np.arange(32)[:, None] + 0.5) / 32 * awake, 0)
    return (
        (1 - busy) * light[n_steps] + busy * _between(light, late).mean(0),
        (1 - busy) * sleeps[n_steps] + busy * _between(sleeps, late).mean(0),
    )


def _between(table: Float64, at: Float64) -> Float64:
    """Rows of ``table`` (steps, n) at fractional steps (k, n), column by column."""
    below = np.minimum(at.astype(np.intp), len(table) - 2) if len(table) > 1 else np.zeros(at.shape, np.intp)
    low = np.take_along_axis(table, below, 0)
    high = np.take_along_axis(table, np.minimum(below + 1, len(table) - 1), 0)
    return np.asarray(low + (high - low) * (at - below))


def rest_power(
    layout: Layout, radio: Radio, sleep: Sleep, levers: LeverSpec, model: SymbolModelSpec, load: Float64
) -> Float64:
    """What light sleep saves on top of micro sleep. Shape (n,). [relative power]"""
    light, sleeps = rests(layout, radio, sleep, levers, model, load)
    return (radio.micro_sleep - radio.light_sleep) * light - sleep.transition_energy_ms * sleeps


def predicted_power(
    layout: Layout,
    radio: Radio,
    sleep: Sleep,
    levers: LeverSpec,
    model: SymbolModelSpec,
    load: Float64,
    *,
    txru_share: float = 1.0,
) -> Float64:
    """Mean relative power of a carrier whose empty symbols rest, uplink traffic left out.

    Parameters
    ----------
    load : share of the data RBs in use. Shape (n,). [ratio]
    """
    load = np.asarray(load, np.float64)
    empty, full = (float(dl_symbol_power(radio, share, txru_share)) for share in (0.0, 1.0))
    slots = model.of(levers).busy_share(layout, load)
    data = 1 - layout.pdcch_symbols / SYMBOLS_PER_SLOT
    pdcch = (1 - data) * layout.pdcch_prb / layout.n_prb
    used = slots if not levers.filling else filled_symbol_share(layout, model, load * data, slots)
    always_on = layout.always_on_share
    active = always_on + (1 - always_on) * used
    n_dl = layout.n_slots * SYMBOLS_PER_SLOT * layout.dl_symbol_share
    rb = layout.rb_share.sum() / n_dl + load * data + slots * pdcch
    dl = active * (empty - radio.micro_sleep) + rb * (full - empty)
    listened = np.bitwise_count(layout.listen).sum() / (layout.n_slots * SYMBOLS_PER_SLOT)
    uplink = listened * txru_share * (radio.active_ul - radio.micro_sleep)
    saved = rest_power(layout, radio, sleep, levers, model, load)
    return np.asarray(radio.micro_sleep + layout.dl_symbol_share * dl + uplink - saved)
