"""Stations and cells that a calibration has no energy of: the middle of their kind of hardware."""

from __future__ import annotations

from collections.abc import Sequence

from hw.calibration.model import Calibration, CellFit, StationFit
from hw.calibration.priors import CellKind, Middles


class Typical:
    """What a calibration says about hardware that it did not measure."""

    def __init__(self, calibration: Calibration) -> None:
        self._middles = Middles(
            {middle.path: middle.value for middle in calibration.base_middles},
            {middle.path: middle.value for middle in calibration.slope_middles},
            calibration.typical_txru,
        )
        self._effects = {
            product: {name: level.effect for name, level in fit.levels.items() if level.effect is not None}
            for product, fit in calibration.products.items()
        }

    def station(self, site_id: str, cell_id: Sequence[str], kinds: Sequence[CellKind]) -> StationFit:
        """A station with these cells; levels have the effect of their product."""
        cells = tuple(
            CellFit(
                cell_id=cell,
                product=kind.product,
                config=kind.config,
                txru=kind.txru,
                slope=self._middles.slope_of(kind),
                effects=self._effects.get(kind.product, {}),
            )
            for cell, kind in zip(cell_id, kinds, strict=True)
        )
        return StationFit(site_id=site_id, n_steps=0, base=self._middles.base_of(kinds), cells=cells)
