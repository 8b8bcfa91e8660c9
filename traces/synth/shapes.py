"""Mean shape of a day by area type: a floor and a few circular bumps, mean 1 over a weekday.

The area types business, residential, transport and entertainment follow the time-domain patterns that
Wang et al. describe for the towers of a large city (doi:10.1145/2815675.2815680); ``rural`` follows the
European daily shape of EARTH (doi:10.1109/MWC.2011.6056691); ``campus`` is invented. The parameters are
rounded: they give the structure, not a measured network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64 = NDArray[np.float64]
AreaType = Literal["business", "residential", "transport", "entertainment", "rural", "campus"]
AREA_TYPES: tuple[AreaType, ...] = get_args(AreaType)
MINUTES_PER_DAY = 1440

Bump = tuple[float, float, float]  # hour of the middle, width [h], height


@dataclass(frozen=True, slots=True)
class Area:
    """Shape of a weekday and of a day of the weekend, each floor + bumps, and the traffic of such a day."""

    weekday: tuple[Bump, ...]
    weekend: tuple[Bump, ...]
    floor: float
    weekend_ratio: float  # traffic of a day of the weekend over that of a weekday [ratio]
    level_ratio: float = 1.0  # median load over that of the network [ratio]


AREAS: dict[AreaType, Area] = {
    "business": Area(
        weekday=((9.6, 1.4, 1.3), (14.0, 2.8, 2.0), (21.5, 2.5, 0.5)),
        weekend=((10.3, 1.8, 0.9), (14.4, 2.8, 1.2), (21.0, 3.2, 1.1)),
        floor=0.05,
        weekend_ratio=0.55,
    ),
    "residential": Area(
        weekday=((10.9, 3.4, 0.95), (18.6, 3.0, 1.1), (22.4, 1.9, 1.0)),
        weekend=((10.2, 2.3, 0.8), (16.0, 3.5, 1.1), (22.1, 2.6, 1.1)),
        floor=0.03,
        weekend_ratio=1.1,
    ),
    "transport": Area(
        weekday=((7.8, 0.9, 2.3), (11.8, 2.7, 1.1), (17.8, 1.6, 2.2), (21.5, 1.2, 0.7)),
        weekend=((9.5, 2.4, 1.1), (16.6, 3.3, 1.6), (21.8, 1.2, 0.4)),
        floor=0.05,
        weekend_ratio=0.8,
    ),
    "entertainment": Area(
        weekday=((10.5, 2.0, 1.2), (14.2, 2.1, 0.8), (18.6, 2.7, 1.5)),
        weekend=((11.0, 1.8, 1.3), (14.3, 1.8, 0.7), (18.1, 3.0, 1.5)),
        floor=0.1,
        weekend_ratio=1.2,
    ),
    "rural": Area(
        weekday=((10.8, 2.2, 0.6), (15.9, 3.1, 1.0), (22.2, 2.9, 1.5)),
        weekend=((11.4, 2.4, 0.7), (16.2, 3.1, 1.0), (22.2, 2.9, 1.4)),
        floor=0.03,
        weekend_ratio=1.05,
        level_ratio=0.5,
    ),
    "campus": Area(
        weekday=((11.5, 2.0, 0.9), (16.5, 2.4, 0.8), (22.3, 1.9, 1.9)),
        weekend=((12.5, 2.6, 0.9), (17.5, 2.6, 0.8), (22.6, 2.2, 1.6)),
        floor=0.06,
        weekend_ratio=0.75,
    ),
}


def bumps(hour: ArrayLike, floor: float, parts: tuple[Bump, ...]) -> Float64:
    """Floor plus circular (von Mises) bumps at local hours 0..24; shape of ``hour``, not normalised."""
    angle = 2 * np.pi / 24
    total = np.full(np.shape(hour), floor, np.float64)
    for middle, width_h, height in parts:
        sharpness = 1 / (width_h * angle) ** 2
        total += height * np.exp(sharpness * (np.cos((np.asarray(hour) - middle) * angle) - 1))
    return total


def day_table(area: AreaType) -> Float64:
    """Shape per local minute of a weekday (row 0, mean 1) and of a day of the weekend. (2, 1440) [ratio]"""
    spec = AREAS[area]
    hour = (np.arange(MINUTES_PER_DAY) + 0.5) / 60
    rows = np.stack([bumps(hour, spec.floor, parts) for parts in (spec.weekday, spec.weekend)])
    rows /= rows.mean(axis=1, keepdims=True)
    rows[1] *= spec.weekend_ratio
    return rows
