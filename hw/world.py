"""A hardware world in arrays: what each level of each radio model draws and carries.

A world is compiled once, from a catalogue file or a calibration, and then read by kernels. Its axes are
``model`` (a radio model; one per product, per station or one for all), ``level`` (shallow to deep) and ``load bin``.

The first two levels exist in every world: ``full`` (nothing rests) and ``symbol`` (symbol shutdown, no loss of
service); both count as awake. Below them come ``rf_channel_<TxRU>`` and the other ``NAMED_LEVELS``, of which a world
holds a subset; ``night_shutdown`` is the one level that measured data identifies in calibrated worlds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.errors import WorldError

LOAD_BINS = 512
FULL, SYMBOL = 0, 1
DEEPEST = 255  # no level of any world is deeper
NAMED_LEVELS = ("full", "symbol", "night_shutdown", "carrier_shutdown", "deep_dormancy")
RF_CHANNEL = "rf_channel_"  # followed by the TxRU that stay active: rf_channel_32


def depth(level: str) -> tuple[int, int]:
    """Sort key of a level name, shallow to deep. Raises WorldError for a name that is no level."""
    if level.startswith(RF_CHANNEL) and level[len(RF_CHANNEL) :].isdigit():
        return (SYMBOL, -int(level[len(RF_CHANNEL) :]))
    if level not in NAMED_LEVELS:
        raise WorldError(f"{level!r} is no level; use one of {', '.join(NAMED_LEVELS)} or {RF_CHANNEL}<TxRU>")
    shallowest = -(10**6)  # before any number of TxRU
    return (NAMED_LEVELS.index(level), shallowest)


@dataclass(frozen=True, slots=True)
class World:
    """What each level draws and carries. Shapes use M models, L levels, B = ``LOAD_BINS`` + 1 load points.

    ``power[m, l, b]`` is the power at load ``b / LOAD_BINS`` of the level's own rate, uplink at rest; uplink adds
    ``ul_power[m, l]`` times its load. Offered traffic r is a share of the full cell's rate: at a level of relative
    rate g the load is ``min(r / g, 1)``. Traffic above ``capacity`` is unserved.
    """

    name: str
    level_names: tuple[str, ...]  # (L,)
    asleep: NDArray[np.bool_]  # (L,) True where the cell is off air
    rate_ratio: NDArray[np.float32]  # (M, L) relative rate g of the level, 0 asleep [ratio]
    capacity_ratio: NDArray[
        np.float32
    ]  # (M, L) largest offered traffic the level carries [ratio of full rate]
    power: NDArray[np.float32]  # (M, L, B) [power_unit]
    ul_power: NDArray[np.float32]  # (M, L) additional power at full uplink load [power_unit]
    wake_s: NDArray[np.float32]  # (L,) time from command to traffic, powered as the new level [s]
    wake_energy: NDArray[np.float32]  # (M, L) extra energy of sleeping and waking once [power_unit x s]
    has_level: NDArray[np.bool_]  # (M, L) the model can use the level
    full_rate_mbit_s: float  # rate of a full cell of size 1 [Mbit/s]
    ul_per_dl: float  # uplink load as a share of downlink load where uplink is not recorded [ratio]
    model_of_product: dict[str, int]  # product or cell_id -> model; "" is the default
    power_unit: str  # "P1" (deep sleep) in 3GPP worlds, "W", or "<unit> per h"
    watt_per_unit: float | None = None  # None where W is not known
    price_power: NDArray[np.float32] | None = None  # (M,) see ``idle_power``; None: what an idle cell draws
    parameters: dict[str, Any] = field(default_factory=dict)  # echoed as world_parameters
    size: tuple[float, ...] = ()  # (M,) full rate of each model over ``full_rate_mbit_s``; empty: all alike

    def __post_init__(self) -> None:
        n_levels = len(self.level_names)
        if self.level_names[:2] != NAMED_LEVELS[:2] or list(self.level_names) != sorted(
            self.level_names, key=depth
        ):
            raise WorldError(
                f"world {self.name}: levels must start with full, symbol and run from shallow to deep"
            )
        if self.power.shape[1:] != (n_levels, LOAD_BINS + 1):
            raise WorldError(
                f"world {self.name}: power must have shape (models, {n_levels}, {LOAD_BINS + 1})"
            )
        if not np.isfinite(self.power).all() or (self.power < 0).any():
            raise WorldError(f"world {self.name}: power must be finite and not negative")

    @property
    def n_levels(self) -> int:
        """Number of levels of this world."""
        return len(self.level_names)

    @property
    def energy_unit(self) -> str:
        """Unit of energy figures: the power unit over an hour."""
        if self.power_unit == "W":
            return "Wh"
        unit = self.power_unit.removesuffix(" per h")
        return unit if unit != self.power_unit else f"{unit} x h"

    @property
    def idle_power(self) -> NDArray[np.float32]:
        """Power of an idle cell at ``symbol`` without levers, in which planners count prices. (M,) [power_unit]"""
        return self.power[:, SYMBOL, 0].copy() if self.price_power is None else self.price_power

    def sizes(self) -> NDArray[np.float64]:
        """Full rate of each model over that of the world. (M,) [ratio]"""
        return np.array(self.size or (1.0,) * len(self.power))

    def models_of(self, product: NDArray[np.str_], cell_id: NDArray[np.str_]) -> NDArray[np.int32]:
        """Model of each cell, by its own identifier, else its product, else the default. (n_cells,)

        Raises WorldError naming the first product that the world does not know.
        """
        table, default = self.model_of_product, self.model_of_product.get("", -1)
        found = np.array(
            [table.get(c, table.get(p, default)) for c, p in zip(cell_id, product, strict=True)], np.int32
        )
        if (found < 0).any():
            name = str(product[np.argmin(found)])
            raise WorldError(f"world {self.name} has no model for product {name!r}; known: {sorted(table)}")
        return found
