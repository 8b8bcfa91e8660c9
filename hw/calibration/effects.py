"""What a level changes: identified where stations show it on and off at overlapping load, and how much.

The effect of a level is a factor on the awake energy of a cell: with the level active for the share a of a
step, the cell takes awake x (1 + effect x a), effect <= 0. It is estimated per station against the station's
own awake curve, and per product as the mean over stations, weighted by what each station says (random
effects).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hw.calibration.awake import Awake, shaped_load
from hw.calibration.measurements import Float64, Mask, Measurements, SiteRows
from hw.errors import WorldError
from hw.world import depth

MIN_STATIONS = 5
ON, OFF, FULLY_ON = 0.5, 0.1, 0.98  # share of the step for which a level is active
OVERLAP = 0.1  # on and off overlap if their loads come this close [ratio]
TOUCHED = 0.02  # rows with more than this of a level on do not count as awake

_LOAD_QUANTILE = 0.99
_RESAMPLES = 2000
_LEAST_SPREAD = 0.01
_LEAST_ENERGY = 1e-3  # of the measured energy: least awake energy that a change is relative to
_LEAST_WEIGHT = 1e-6
_RIDGE = 0.3  # rows' worth of pull towards one effect for all products of a station
_LARGEST_RISE = 0.5  # of a step's energy above the awake curve; more is no effect of a level

Kind = tuple[str, str]  # product, level


@dataclass(slots=True)
class Evidence:
    """What the data says about one level of one product."""

    active: set[int] = field(default_factory=set)  # stations with the level on for any part of a step
    on: set[int] = field(default_factory=set)  # stations with the level on for half of a step or more
    contrast: set[int] = field(default_factory=set)  # stations with it on and off at overlapping load
    load_when_on: list[Float64] = field(default_factory=list)  # load while on for all or most of the step
    load_when_half_on: list[Float64] = field(default_factory=list)
    n_rows: int = 0  # steps of the contrast stations with the level on

    @property
    def identified(self) -> bool:
        """Whether enough stations show the level on and off at overlapping load."""
        return len(self.contrast) >= MIN_STATIONS

    @property
    def load_max(self) -> float:
        """Upper end of the load seen with the level on, the 0.99 quantile. [ratio]"""
        loads = self.load_when_on or self.load_when_half_on
        return float(np.quantile(np.concatenate(loads), _LOAD_QUANTILE))

    def reason(self) -> str:
        """Why the level is not identified."""
        if not self.on:
            return "no station has it on for half of a step or more"
        if not self.contrast:
            return f"{len(self.on)} stations have it on, none on and off at overlapping load"
        shown = "1 station shows" if len(self.contrast) == 1 else f"{len(self.contrast)} stations show"
        return f"{shown} it on and off at overlapping load; {MIN_STATIONS} are needed"


@dataclass(frozen=True, slots=True)
class Effect:
    """Effect of an identified level: of the product, and of each station."""

    mean: float  # relative change of awake energy, 0 to -1 [ratio]
    low: float  # 95 % interval by a bootstrap over stations [ratio]
    high: float
    of_station: dict[int, float]  # station -> effect; other stations have the mean


def gather_evidence(m: Measurements, rows: list[SiteRows]) -> dict[Kind, Evidence]:
    """Evidence for each product and level that is ever active.

    Levels that the engine knows come first. Rows on which an earlier level with contrast is active say
    nothing about a later one.
    """
    found: dict[Kind, Evidence] = {}
    for level in sorted(m.activation, key=lambda name: (not is_known(name), name)):
        earlier = dict(found)
        for site in rows:
            for column, cell in enumerate(site.cells):
                product = str(m.product[cell])
                _add(found, (product, level), site, column, ~_touched(site, column, product, earlier))
    return found


def is_known(level: str) -> bool:
    """Whether the engine has a level of this name."""
    try:
        depth(level)
    except WorldError:
        return False
    return True


def untouched(m: Measurements, rows: SiteRows, evidence: dict[Kind, Evidence]) -> Mask:
    """Rows of one station on which no level with contrast is active, its awake rows. (R,)"""
    touched = np.zeros(len(rows.step), np.bool_)
    for column, cell in enumerate(rows.cells):
        touched |= _touched(rows, column, str(m.product[cell]), evidence)
    return ~touched


def estimate_effects(
    m: Measurements, rows: list[SiteRows], awake: Awake, evidence: dict[Kind, Evidence]
) -> dict[Kind, Effect]:
    """Effect of every identified level."""
    kinds = [kind for kind, e in evidence.items() if e.identified]
    raw: dict[Kind, dict[int, tuple[float, float]]] = {kind: {} for kind in kinds}  # effect, its weight
    for site in rows:
        present = [k for k in kinds if site.site in evidence[k].contrast]
        if present:
            change, weight = _station_effects(m, site, awake, present)
            for kind, c, w in zip(present, change, weight, strict=True):
                raw[kind][site.site] = (float(c), float(w))
    noise = awake.noise**2
    return {kind: _pool(own, noise) for kind, own in raw.items()}


def _awake_energy(m: Measurements, rows: SiteRows, awake: Awake) -> Float64:
    """Awake energy of each cell of one station. (R, n) [energy unit]"""
    product = [str(p) for p in m.product[rows.cells]]
    shaped = shaped_load(rows.load, product, awake.shape)
    energy: Float64 = awake.base[rows.site] + awake.slope[rows.cells] * shaped
    return energy


def _touched(rows: SiteRows, column: int, product: str, evidence: dict[Kind, Evidence]) -> Mask:
    touched = np.zeros(len(rows.step), np.bool_)
    for (p, level), e in evidence.items():
        if p == product and e.contrast:
            touched |= rows.activation[level][:, column] > TOUCHED
    return touched


def _add(found: dict[Kind, Evidence], kind: Kind, rows: SiteRows, column: int, usable: Mask) -> None:
    """Add what one cell says about one level."""
    share, load = rows.activation[kind[1]][:, column], rows.load[:, column]
    usable = usable & rows.recorded[:, column]
    if not (share[usable] > 0).any():
        return
    evidence = found.setdefault(kind, Evidence())
    evidence.active.add(rows.site)
    on, off = usable & (share >= ON), usable & (share <= OFF)
    if not on.any():
        return
    evidence.on.add(rows.site)
    evidence.load_when_half_on.append(load[on])
    if (usable & (share >= FULLY_ON)).any():
        evidence.load_when_on.append(load[usable & (share >= FULLY_ON)])
    gap = max(load[off].min() - load[on].max(), load[on].min() - load[off].max()) if off.any() else np.inf
    if gap <= OVERLAP:
        evidence.contrast.add(rows.site)
        evidence.n_rows += int(on.sum())


def _station_effects(
    m: Measurements, rows: SiteRows, awake: Awake, present: list[Kind]
) -> tuple[Float64, Float64]:
    """Effects at one station against its awake curve, and the weight of each. (k,), (k,)

    First one effect for each level by least squares, then what its products differ in by ridge regression:
    products that rest together can hardly be told apart.
    """
    energy = _awake_energy(m, rows, awake)
    total = np.maximum(energy.sum(axis=1), _LEAST_ENERGY * rows.energy)
    product = m.product[rows.cells]
    x = np.column_stack(
        [(energy * (product == p) * rows.activation[level]).sum(axis=1) / total for p, level in present]
    )
    use = (x > 0).any(axis=1)
    x = x[use]
    change = np.minimum(rows.energy[use] / total[use] - 1, _LARGEST_RISE)
    levels = sorted({level for _, level in present})
    of_level = np.array([[level == name for name in levels] for _, level in present], np.float64)
    common = of_level @ np.linalg.lstsq(x @ of_level, change, rcond=1e-8)[0]
    gram = x.T @ x
    own = np.linalg.solve(gram + _RIDGE * np.eye(len(present)), x.T @ (change - x @ common))
    return common + own, np.diag(gram)


def _pool(own: dict[int, tuple[float, float]], noise: float) -> Effect:
    """Random-effects mean with its bootstrap interval, and each station drawn towards it."""
    effect = np.array([e for e, _ in own.values()])
    error = noise / np.maximum([w for _, w in own.values()], _LEAST_WEIGHT)
    spread = max(_LEAST_SPREAD**2, float(effect.var() - error.mean()))
    weight = 1 / (spread + error)
    mean = float(effect @ weight / weight.sum())
    pick = np.random.default_rng(0).integers(len(effect), size=(_RESAMPLES, len(effect)))
    means = (effect * weight)[pick].sum(axis=1) / weight[pick].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    drawn = mean + (effect - mean) * spread / (spread + error)
    clipped = {site: float(np.clip(e, -1, 0)) for site, e in zip(own, drawn, strict=True)}
    return Effect(float(np.clip(mean, -1, 0)), float(low), float(high), clipped)
